/** Members of the consumer protocol (KIP-848): the broker says who reads what, by heartbeats. */

import { randomUUID } from 'node:crypto';
import { ByteWriter } from './bytes.ts';
import { Client } from './kafka-client.ts';
import { isNotYet, type Member, type Settling } from './kafka-group.ts';

const HEARTBEAT = 68;
const VERSION = 1;
const REBALANCE_MS = 60_000;
const JOINS = 0;
const LEAVES = -1;

export class ConsumerGroup implements Settling {
  readonly name: string;
  readonly topic: string;
  readonly partitions: number;
  expected = 0;
  onChange: (() => void) | undefined;
  /** Partitions that some member has, and members that have any. */
  #owned = 0;
  #owners = 0;

  constructor(name: string, topic: string, partitions: number) {
    this.name = name;
    this.topic = topic;
    this.partitions = partitions;
  }

  get isSettled(): boolean {
    return this.#owned === this.partitions && this.#owners === this.expected;
  }

  owns(before: number, now: number): void {
    this.#owned += now - before;
    this.#owners += Math.sign(now) - Math.sign(before);
    this.onChange?.();
  }
}

export class ConsumerMember implements Member {
  readonly #group: ConsumerGroup;
  readonly #client: Client;
  readonly #id = randomUUID();
  #epoch = JOINS;
  #awaits = false;
  /** The id of the topic, once it was heard, and the partitions that the broker gave. */
  #topicId: Buffer = Buffer.alloc(16);
  #owned: readonly number[] = [];
  #changed = true;

  private constructor(group: ConsumerGroup, client: Client) {
    this.#group = group;
    this.#client = client;
    client.onAnswer = (bytes, start) => this.#answer(bytes, start + 4 + 4 + 1 + 4);
  }

  static async open(port: number, group: ConsumerGroup, readBytes: number) {
    return new ConsumerMember(group, await Client.open(port, readBytes));
  }

  beat(): void {
    if (this.#awaits || this.#epoch === LEAVES) return;
    this.#awaits = true;
    this.#client.wire.send(this.#heartbeat());
  }

  leave(): void {
    this.#epoch = LEAVES;
    this.#group.owns(this.#owned.length, 0);
    this.#client.wire.send(this.#heartbeat());
  }

  close(): Promise<void> {
    return this.#client.wire.close();
  }

  /** Everything is said when it joins, afterwards only what it owns, when that is news. */
  #heartbeat(): Buffer {
    const joins = this.#epoch === JOINS;
    const body = new ByteWriter().raw(compact(this.#group.name)).raw(compact(this.#id));
    body.i32(this.#epoch).u8(0).u8(0);
    body.i32(joins ? REBALANCE_MS : -1);
    if (joins) body.u8(2).raw(compact(this.#group.topic));
    else body.u8(0);
    body.u8(0).u8(0);
    if (this.#changed) this.#writeOwned(body);
    else body.u8(0);
    this.#changed = false;
    const head = new ByteWriter().i16(HEARTBEAT).i16(VERSION).i32(0).text16('bench').u8(0);
    const message = Buffer.concat([head.done(), body.u8(0).done()]);
    return new ByteWriter().i32(message.length).raw(message).done();
  }

  #writeOwned(body: ByteWriter): void {
    const topics = this.#owned.length === 0 ? 0 : 1;
    body.u8(topics + 1);
    if (topics === 0) return;
    body.raw(this.#topicId).raw(unsigned(this.#owned.length + 1));
    for (const partition of this.#owned) body.i32(partition);
    body.u8(0);
  }

  #answer(bytes: Buffer, errorAt: number): void {
    this.#awaits = false;
    if (this.#epoch === LEAVES) return;
    const error = bytes.readInt16BE(errorAt);
    if (isNotYet(error)) {
      this.#changed = true;
      return;
    }
    if (error !== 0) throw new Error(`ConsumerGroupHeartbeat answered error ${error}`);
    // The message and the id are short: one byte of length each, nothing where they are null.
    let at = errorAt + 2;
    for (let texts = 2; texts > 0; texts--) at += Math.max(1, bytes[at]!);
    this.#epoch = bytes.readInt32BE(at);
    if (bytes.readInt8(at + 8) < 0) return;
    this.#take(bytes, at + 9);
  }

  /** What it gives up is given up at once, and told with the next heartbeat, as what it gets. */
  #take(bytes: Buffer, from: number): void {
    const topics = bytes[from]! - 1;
    const before = this.#owned.length;
    this.#owned = [];
    if (topics > 0) {
      this.#topicId = Buffer.from(bytes.subarray(from + 1, from + 17));
      const { value, next } = readUnsigned(bytes, from + 17);
      this.#owned = Array.from({ length: value - 1 }, (_, n) => bytes.readInt32BE(next + 4 * n));
    }
    this.#changed = true;
    this.#group.owns(before, this.#owned.length);
    this.beat();
  }
}

function unsigned(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

function readUnsigned(bytes: Buffer, from: number): { value: number; next: number } {
  let [value, at, shift] = [0, from, 0];
  for (; bytes[at]! > 0x7f; shift += 7) value |= (bytes[at++]! & 0x7f) << shift;
  return { value: value | (bytes[at]! << shift), next: at + 1 };
}

/** Text behind its length and one, in a varint. */
function compact(value: string): Buffer {
  const body = Buffer.from(value);
  return Buffer.concat([unsigned(body.length + 1), body]);
}
