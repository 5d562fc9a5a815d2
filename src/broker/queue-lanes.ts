/**
 * Where a queue's messages come from. A cursor lane reads one partition and keeps nothing per
 * message; a reference lane holds some twenty bytes per message, in the order in which they were
 * routed, and a durable one writes them to a log of its own.
 */
import { BrokerError } from '#kit';
import type { ShardLog } from '#storage';
import type { AckState } from './ack-state.ts';
import type { Message } from './message.ts';
import type { Partition, Run } from './partition.ts';

/** Positions of reference lanes begin here, so that both lanes of a queue share one number line. */
export const REFERENCE_BASE = 2 ** 51;

const READ_BYTES = 256 << 10;

export interface Item {
  readonly position: number;
  readonly message: Message;
  readonly meta: number;
}

interface Lane {
  readonly acks: AckState;
  /** Messages that can be taken now. */
  readonly ready: number;
  /**
   * The next message; null when there is none; a promise when it must be read first: ask again
   * then.
   */
  peek(): Item | null | Promise<void>;
  /** Takes the message that `peek` gave. */
  shift(): void;
  /** Finishes the next message without reading it. False when there is none. */
  drop(): boolean;
  /** Finishes everything that is ready. @returns how many */
  purge(): number;
}

/** What a read that failed for good says: go on from here. Other errors are thrown on. */
function resumeAfter(error: unknown, partition: Partition): number {
  if (error instanceof BrokerError) {
    if (error.code === 'damaged') return Number(error.details['to']);
    if (error.code === 'offset-out-of-range') return partition.startOffset;
  }
  throw error;
}

export class CursorLane implements Lane {
  readonly partition: Partition;
  readonly acks: AckState;
  /** Later offsets belong to the reference lane. */
  limit: number;
  #next: number;
  #window: readonly Message[] = [];
  #windowAt = 0;

  constructor(partition: Partition, acks: AckState, limit: number) {
    this.partition = partition;
    this.acks = acks;
    this.limit = limit;
    this.#next = acks.floor;
  }

  get ready(): number {
    return Math.max(0, this.#end - this.#next) + this.#window.length - this.#windowAt;
  }

  get #end(): number {
    return Math.min(this.partition.highWatermark, this.limit);
  }

  peek(): Item | null | Promise<void> {
    while (true) {
      for (; this.#windowAt < this.#window.length; this.#windowAt++) {
        const message = this.#window[this.#windowAt]!;
        if (!this.acks.has(message.offset)) {
          return { position: message.offset, message, meta: 0 };
        }
      }
      this.#next = this.acks.nextOpen(this.#next);
      if (this.#next >= this.#end) return null;
      try {
        const run = this.partition.readRun(this.#next, READ_BYTES);
        if (run instanceof Promise) return run.then(this.#take, this.#skip);
        this.#take(run);
      } catch (error) {
        this.#skip(error);
      }
    }
  }

  readonly #take = (run: { messages: readonly Message[]; next: number }): void => {
    const end = Math.min(run.next, this.limit);
    // What is no message (a marker, a compacted record) counts as finished.
    let at = this.#next;
    for (const { offset } of run.messages) {
      if (offset >= end) break;
      if (offset > at) this.acks.add(at, offset);
      at = Math.max(at, offset + 1);
    }
    if (end > at) this.acks.add(at, end);
    this.#window =
      run.next > this.limit ? run.messages.filter((m) => m.offset < this.limit) : run.messages;
    this.#windowAt = 0;
    while (this.#window[this.#windowAt] !== undefined) {
      if (this.#window[this.#windowAt]!.offset >= this.#next) break;
      this.#windowAt++;
    }
    this.#next = end;
  };

  readonly #skip = (error: unknown): void => {
    const to = Math.min(resumeAfter(error, this.partition), this.limit);
    this.acks.add(this.#next, to);
    this.#next = Math.max(to, this.#next);
  };

  shift(): void {
    this.#windowAt++;
    if (this.#windowAt === this.#window.length) {
      this.#window = [];
      this.#windowAt = 0;
    }
  }

  drop(): boolean {
    if (this.#windowAt < this.#window.length) {
      this.acks.add(this.#window[this.#windowAt]!.offset);
      this.shift();
      return true;
    }
    this.#next = this.acks.nextOpen(this.#next);
    if (this.#next >= this.#end) return false;
    this.acks.add(this.#next);
    this.#next++;
    return true;
  }

  purge(): number {
    const count = this.ready;
    const from = this.#window[this.#windowAt]?.offset ?? this.#next;
    this.acks.add(from, this.#end);
    this.#next = Math.max(this.#next, this.#end);
    this.#window = [];
    this.#windowAt = 0;
    return count;
  }
}

const CHUNK = 1024;
/** A reference whose message never came to be. */
const DEAD = 0xffffffff;
/**
 * Messages kept in memory beside their references; later ones are read again when their turn comes.
 */
const HELD_MESSAGES_MAX = 1000;
/** How far ahead one read looks for references into it. */
const NEAR_REFERENCES = 4 * HELD_MESSAGES_MAX;

class Chunk {
  readonly partitions = new Uint32Array(CHUNK);
  readonly offsets = new Float64Array(CHUNK);
  readonly metas = new Uint32Array(CHUNK);
  readonly messages: (Message | null)[] = [];
}

/** Bytes of one reference in the log: log id, offset (both as doubles), meta. */
const REFERENCE_BYTES = 20;

export class ReferenceLane implements Lane {
  readonly acks: AckState;
  /** The references' own log; null for a queue that does not survive a restart. */
  readonly log: ShardLog | null;
  readonly #partitions: (Partition | null)[] = [null];
  readonly #partitionIndex = new Map<Partition | null, number>([[null, 0]]);
  readonly #chunks: Chunk[] = [];
  /** Indexes grow by one per reference; a durable lane's are the offsets of its log. */
  #chunksFrom: number;
  #next: number;
  #visible: number;
  #sealed: number;
  #end: number;
  #held = 0;

  constructor(log: ShardLog | null, acks: AckState) {
    this.log = log;
    this.acks = acks;
    const start = log === null ? 0 : log.endOffset;
    this.#chunksFrom = start;
    this.#next = this.#visible = this.#sealed = this.#end = start;
  }

  /** Reads the references that the log holds. @param find the partition of a log id */
  async recover(find: (logId: number) => Partition | undefined): Promise<void> {
    const { log } = this;
    if (log === null) return;
    let offset = Math.max(log.startOffset, this.acks.floor - REFERENCE_BASE);
    this.acks.add(REFERENCE_BASE, REFERENCE_BASE + offset);
    this.#chunksFrom = this.#next = this.#visible = this.#sealed = this.#end = offset;
    while (offset < log.highWatermark) {
      const batches = await log.read(offset, READ_BYTES);
      if (batches.length === 0) break;
      for (const batch of batches) {
        for (let at = batch.baseOffset; at < batch.baseOffset + batch.count; at++) {
          if (at < offset) continue;
          const byte = (at - batch.baseOffset) * REFERENCE_BYTES;
          const partition = find(batch.bytes.readDoubleBE(byte));
          const place = batch.bytes.readDoubleBE(byte + 8);
          this.#push(
            partition ?? null,
            partition === undefined ? DEAD : place,
            batch.bytes.readUInt32BE(byte + 16),
            null,
          );
        }
        offset = batch.baseOffset + batch.count;
      }
    }
    this.#visible = this.#sealed = this.#end;
  }

  get ready(): number {
    return this.#visible - this.#next;
  }

  /** All that was routed, visible or not. */
  get length(): number {
    return this.#end - this.#next;
  }

  push(message: Message, meta: number): void {
    const held = message.partition === null || this.#held < HELD_MESSAGES_MAX;
    this.#push(message.partition, message.offset, meta, held ? message : null);
  }

  #push(partition: Partition | null, offset: number, meta: number, held: Message | null): void {
    let known = this.#partitionIndex.get(partition);
    if (known === undefined) {
      known = this.#partitions.push(partition) - 1;
      this.#partitionIndex.set(partition, known);
    }
    const index = this.#end - this.#chunksFrom;
    const slot = index % CHUNK;
    if (slot === 0) this.#chunks.push(new Chunk());
    const chunk = this.#chunks[this.#chunks.length - 1]!;
    chunk.partitions[slot] = offset === DEAD ? DEAD : known;
    chunk.offsets[slot] = offset;
    chunk.metas[slot] = meta;
    chunk.messages[slot] = held;
    if (held !== null) this.#held++;
    this.#end++;
  }

  /**
   * Appends the references since the last call to the log. @param committed called after the commit
   */
  seal(committed: (error: BrokerError | null) => void): void {
    const { log } = this;
    if (log === null || this.#sealed === this.#end) return;
    const count = this.#end - this.#sealed;
    const bytes = Buffer.allocUnsafe(count * REFERENCE_BYTES);
    for (let index = this.#sealed, at = 0; index < this.#end; index++, at += REFERENCE_BYTES) {
      const chunk = this.#chunkOf(index);
      const slot = (index - this.#chunksFrom) % CHUNK;
      const partition = this.#partitions[chunk.partitions[slot]!] ?? null;
      bytes.writeDoubleBE(partition === null ? -1 : partition.log.id, at);
      bytes.writeDoubleBE(chunk.offsets[slot]!, at + 8);
      bytes.writeUInt32BE(chunk.metas[slot]!, at + 16);
    }
    log.append(
      bytes,
      {
        kind: 'state',
        count,
        maxTimestampMs: -1,
        serverPacked: true,
        origin: 0,
        principal: 0,
        producerId: -1,
        producerEpoch: -1,
        baseSequence: -1,
        attributes: 0,
      },
      committed,
    );
    this.#sealed = this.#end;
  }

  /** Makes committed references ready. @returns true when there are new ones */
  settle(): boolean {
    const before = this.#visible;
    const bound = this.log === null ? this.#end : Math.min(this.#end, this.log.highWatermark);
    while (this.#visible < bound) {
      const chunk = this.#chunkOf(this.#visible);
      const slot = (this.#visible - this.#chunksFrom) % CHUNK;
      const known = chunk.partitions[slot]!;
      const partition = known === DEAD ? null : this.#partitions[known]!;
      if (partition !== null && chunk.offsets[slot]! >= partition.highWatermark) break;
      this.#visible++;
    }
    return this.#visible > before;
  }

  /** The append of these offsets failed: their references stand for nothing. */
  failed(partition: Partition, fromOffset: number): void {
    const known = this.#partitionIndex.get(partition);
    for (let index = this.#visible; index < this.#end; index++) {
      const chunk = this.#chunkOf(index);
      const slot = (index - this.#chunksFrom) % CHUNK;
      if (chunk.partitions[slot] !== known || chunk.offsets[slot]! < fromOffset) continue;
      chunk.partitions[slot] = DEAD;
      this.#release(chunk, slot);
    }
  }

  /**
   * The first offset of a partition that is still wanted, or Infinity: what retention must keep.
   */
  firstOffset(partition: Partition): number {
    const known = this.#partitionIndex.get(partition);
    if (known === undefined) return Number.POSITIVE_INFINITY;
    const from = Math.max(this.#chunksFrom, this.acks.floor - REFERENCE_BASE);
    for (let index = from; index < this.#end; index++) {
      const chunk = this.#chunkOf(index);
      const slot = (index - this.#chunksFrom) % CHUNK;
      if (chunk.partitions[slot] === known && !this.acks.has(REFERENCE_BASE + index)) {
        return chunk.offsets[slot]!;
      }
    }
    return Number.POSITIVE_INFINITY;
  }

  peek(): Item | null | Promise<void> {
    while (this.#next < this.#visible) {
      const position = REFERENCE_BASE + this.#next;
      const chunk = this.#chunkOf(this.#next);
      const slot = (this.#next - this.#chunksFrom) % CHUNK;
      if (this.acks.has(position)) {
        this.shift();
        continue;
      }
      if (chunk.partitions[slot] === DEAD) {
        this.drop();
        continue;
      }
      const meta = chunk.metas[slot]!;
      const held = chunk.messages[slot];
      if (held) return { position, message: held, meta };
      const loading = this.#load(chunk, slot);
      if (loading !== null) return loading;
    }
    return null;
  }

  /** Brings the message of a reference into memory; marks it dead when it is gone. */
  #load(chunk: Chunk, slot: number): Promise<void> | null {
    const partition = this.#partitions[chunk.partitions[slot]!]!;
    const offset = chunk.offsets[slot]!;
    const take = (run: Run): void => {
      if (run.messages[0]?.offset === offset) this.#hold(chunk.partitions[slot]!, run.messages);
      else chunk.partitions[slot] = DEAD;
    };
    const gone = (error: unknown): void => {
      // Damaged, trimmed or removed with its stream: there is no such message any more.
      if (!(error instanceof BrokerError)) throw error;
      chunk.partitions[slot] = DEAD;
    };
    try {
      const run = partition.readRun(offset, READ_BYTES);
      if (run instanceof Promise) return run.then(take, gone);
      take(run);
    } catch (error) {
      gone(error);
    }
    return null;
  }

  /** One read serves all references into it that are near: those of a partition are in order. */
  #hold(known: number, messages: readonly Message[]): void {
    let at = 0;
    const end = Math.min(this.#visible, this.#next + NEAR_REFERENCES);
    for (let index = this.#next; index < end; index++) {
      const chunk = this.#chunkOf(index);
      const slot = (index - this.#chunksFrom) % CHUNK;
      if (chunk.partitions[slot] !== known) continue;
      const offset = chunk.offsets[slot]!;
      while (at < messages.length && messages[at]!.offset < offset) at++;
      const message = messages[at];
      if (message === undefined || this.#held > HELD_MESSAGES_MAX) return;
      if (message.offset !== offset || chunk.messages[slot]) continue;
      chunk.messages[slot] = message;
      this.#held++;
    }
  }

  shift(): void {
    this.#release(this.#chunkOf(this.#next), (this.#next - this.#chunksFrom) % CHUNK);
    this.#next++;
    this.#freeChunks();
  }

  drop(): boolean {
    if (this.#next >= this.#visible) return false;
    this.acks.add(REFERENCE_BASE + this.#next);
    this.shift();
    return true;
  }

  purge(): number {
    const count = this.ready;
    while (this.drop());
    return count;
  }

  #chunkOf(index: number): Chunk {
    return this.#chunks[Math.floor((index - this.#chunksFrom) / CHUNK)]!;
  }

  #release(chunk: Chunk, slot: number): void {
    if (!chunk.messages[slot]) return;
    chunk.messages[slot] = null;
    this.#held--;
  }

  /** Chunks below the floor are done with; those of messages in flight stay, for `firstOffset`. */
  #freeChunks(): void {
    const done = Math.min(this.#next, this.acks.floor - REFERENCE_BASE);
    while (this.#chunks.length > 1 && done - this.#chunksFrom >= CHUNK) {
      this.#chunks.shift();
      this.#chunksFrom += CHUNK;
    }
  }
}
