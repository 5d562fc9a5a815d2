/** A Kafka client of a few lines over a memory connection, and record batches to send with it. */
import { crc32c, defaults, writeSigned } from '#kit';
import {
  connectMemory,
  type MemoryClient,
  type MemoryOptions,
} from '../../../test/contract/memory-connection.ts';
import type { TestHost } from '../../../test/contract/test-host.ts';
import { apiOf } from './codec.ts';
import { produce } from './messages/00-produce.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { type KafkaOptions, options as rows } from './options.ts';
import { kafka } from './protocol.ts';
import { Reader } from './reader.ts';
import type { Room } from './room.ts';
import type { Decoded, Encodable, MessagePair } from './rows.ts';
import { Writer } from './writer.ts';

export function openRoom(host: TestHost, options: Partial<KafkaOptions> = {}): Room {
  return kafka.open(host, { ...defaults(rows), ...options }) as Room;
}

export class Client {
  readonly memory: MemoryClient;
  #correlation = 0;

  constructor(room: Room, options: MemoryOptions = {}) {
    const local = { address: '127.0.0.1', port: 9092 };
    this.memory = connectMemory(room, { listener: 'kafka', local, ...options });
  }

  /** A whole request frame. */
  frame<Pair extends MessagePair>(
    pair: Pair,
    version: number,
    body: Encodable<Pair['request']>,
  ): Buffer {
    const writer = new Writer();
    const mark = writer.open();
    writer.int16(pair.key);
    writer.int16(version);
    writer.int32(++this.#correlation);
    writer.string('test-client');
    if (version >= pair.flexible) writer.unsigned(0);
    apiOf(pair).request.write(writer, version, body);
    writer.close(mark);
    return Buffer.concat(writer.take());
  }

  send<Pair extends MessagePair>(
    pair: Pair,
    version: number,
    body: Encodable<Pair['request']>,
  ): void {
    this.memory.send(this.frame(pair, version, body));
  }

  /** The next response frame, without its size. */
  async next(): Promise<Buffer> {
    const size = await this.memory.read(4);
    return this.memory.read(size.readInt32BE());
  }

  /** The next response, read as an answer to this API. */
  async receive<Pair extends MessagePair>(
    pair: Pair,
    version: number,
  ): Promise<Decoded<Pair['response']>> {
    const reader = new Reader(await this.next());
    reader.int32('correlationId');
    if (version >= pair.flexible && pair.key !== 18) reader.skipTags('header.tags');
    const body = apiOf(pair).response.read(reader, version);
    if (reader.at !== reader.end) throw new Error(`${reader.end - reader.at} bytes too many`);
    return body;
  }

  ask<Pair extends MessagePair>(
    pair: Pair,
    version: number,
    body: Encodable<Pair['request']>,
  ): Promise<Decoded<Pair['response']>> {
    this.send(pair, version, body);
    return this.receive(pair, version);
  }
}

export interface BatchOptions {
  readonly attributes?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly timestampMs?: number;
  /** One for each value; all null when left out. */
  readonly keys?: readonly (string | null)[];
}

/** A record batch of format 2 with these values and no headers. */
export function batchOf(values: readonly string[], options: BatchOptions = {}): Buffer {
  const records = values.map((value, index) => recordOf(value, index, options.keys?.[index]));
  const bytes = Buffer.concat([Buffer.alloc(61), ...records]);
  const timestampMs = BigInt(options.timestampMs ?? 1_700_000_000_000);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt32BE(-1, 12);
  bytes.writeInt8(2, 16);
  bytes.writeInt16BE(options.attributes ?? 0, 21);
  bytes.writeInt32BE(values.length - 1, 23);
  bytes.writeBigInt64BE(timestampMs, 27);
  bytes.writeBigInt64BE(timestampMs, 35);
  bytes.writeBigInt64BE(BigInt(options.producerId ?? -1), 43);
  bytes.writeInt16BE(options.producerEpoch ?? -1, 51);
  bytes.writeInt32BE(options.baseSequence ?? -1, 53);
  bytes.writeInt32BE(values.length, 57);
  return seal(bytes);
}

/** Writes the checksum of a batch that was changed. */
export function seal(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function recordOf(value: string, offsetDelta: number, key: string | null = null): Buffer {
  const body = Buffer.alloc((value.length + (key?.length ?? 0)) * 3 + 32);
  let at = 1;
  at = writeSigned(body, at, 0);
  at = writeSigned(body, at, offsetDelta);
  at = writeSigned(body, at, key === null ? -1 : Buffer.byteLength(key));
  at += body.write(key ?? '', at);
  at = writeSigned(body, at, Buffer.byteLength(value));
  at += body.write(value, at);
  at = writeSigned(body, at, 0);
  const size = Buffer.alloc(5);
  return Buffer.concat([size.subarray(0, writeSigned(size, 0, at)), body.subarray(0, at)]);
}

let topicCount = 0;

/** A topic of its own for a test. */
export async function newTopic(
  client: Client,
  partitions = 1,
  configs: readonly { name: string; value: string }[] = [],
): Promise<{ name: string; topicId: string }> {
  const name = `topic-${++topicCount}`;
  const wanted = { name, numPartitions: partitions, replicationFactor: 1 };
  const { topics } = await client.ask(createTopics, 7, {
    topics: [{ ...wanted, assignments: [], configs }],
  });
  if (topics[0]!.errorCode !== 0) throw new Error(`no topic: ${topics[0]!.errorMessage}`);
  return { name, topicId: topics[0]!.topicId };
}

export function produceBody(name: string, records: Buffer, acks = -1, index = 0) {
  return { acks, timeoutMs: 1000, topicData: [{ name, partitionData: [{ index, records }] }] };
}

export async function produceTo(client: Client, name: string, records: Buffer, acks = -1) {
  const { responses } = await client.ask(produce, 8, produceBody(name, records, acks));
  return responses[0]!.partitionResponses[0]!;
}

export function fetchBody(topic: string, fetchOffset: number, more: object = {}) {
  const asked = { partition: 0, fetchOffset, partitionMaxBytes: 1 << 20, ...more };
  return {
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1 << 20,
    ...more,
    topics: [{ topic, partitions: [asked] }],
    forgottenTopicsData: [],
  };
}
