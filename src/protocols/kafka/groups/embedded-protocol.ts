/**
 * What classic consumers say inside of their opaque bytes: ConsumerProtocolSubscription and
 * ConsumerProtocolAssignment. Opened only where the server must take part: for groups that change
 * over to the newer protocol (KIP-848), and to protect offsets in use from OffsetDelete.
 */
import { ProtocolError } from '#kit';
import { Reader } from '../reader.ts';
import { Writer } from '../writer.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import type { Group } from './group.ts';

export const CONSUMER_TYPE = 'consumer';
/** The newest version of both whose fields are known. */
const VERSION_MAX = 3;
const OWNED_SINCE = 1;
const GENERATION_SINCE = 2;
const RACK_SINCE = 3;

export interface NamedPartitions {
  readonly name: string;
  readonly partitions: readonly number[];
}

interface Subscription {
  readonly version: number;
  readonly topics: readonly string[];
  readonly owned: readonly NamedPartitions[];
  readonly rackId: string | null;
}

/** @returns null when the bytes are something else */
export function readSubscription(bytes: Buffer): Subscription | null {
  return readWith(bytes, (reader) => {
    const version = Math.min(reader.int16('version'), VERSION_MAX);
    const topics: string[] = [];
    for (let left = reader.arrayCount(2, 'topics'); left > 0; left--) {
      topics.push(reader.string('topics'));
    }
    // Old clients end here.
    if (version < OWNED_SINCE || reader.at === reader.end) {
      return { version, topics, owned: [], rackId: null };
    }
    reader.nullableBlob('userData');
    const owned = readPartitions(reader);
    if (version >= GENERATION_SINCE) reader.int32('generationId');
    const rackId = version >= RACK_SINCE ? reader.nullableString('rackId') : null;
    return { version, topics, owned, rackId };
  });
}

/** @returns null when the bytes are something else */
export function readAssignment(bytes: Buffer): NamedPartitions[] | null {
  if (bytes.length === 0) return [];
  return readWith(bytes, (reader) => {
    reader.int16('version');
    return readPartitions(reader);
  });
}

/** @param version that of the member's subscription */
export function writeAssignment(version: number, partitions: readonly NamedPartitions[]): Buffer {
  const writer = new Writer();
  writer.int16(version);
  writer.arrayCount(partitions.length);
  for (const { name, partitions: own } of partitions) {
    writer.string(name);
    writer.arrayCount(own.length);
    for (const partition of own) writer.int32(partition);
  }
  writer.nullableBlob(null);
  return Buffer.concat(writer.take());
}

/**
 * Which topics members say that they read.
 * @returns null when the group has members whose metadata says nothing about topics
 */
export function readTopics(group: Group | ConsumerGroup): ((topic: string) => boolean) | null {
  if (group.type === 'consumer') return (topic) => group.reads(topic);
  const topics = new Set<string>();
  if (group.members.size > 0 && group.protocolType !== CONSUMER_TYPE) return null;
  for (const member of group.members.values()) {
    for (const { metadata } of member.protocols) {
      for (const topic of readSubscription(metadata)?.topics ?? []) topics.add(topic);
    }
  }
  return (topic) => topics.has(topic);
}

function readPartitions(reader: Reader): NamedPartitions[] {
  const list: NamedPartitions[] = [];
  for (let left = reader.arrayCount(6, 'topics'); left > 0; left--) {
    const name = reader.string('topic');
    const partitions: number[] = [];
    for (let more = reader.arrayCount(4, 'partitions'); more > 0; more--) {
      partitions.push(reader.int32('partition'));
    }
    list.push({ name, partitions });
  }
  return list;
}

function readWith<Result>(bytes: Buffer, read: (reader: Reader) => Result): Result | null {
  try {
    return read(new Reader(bytes));
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}
