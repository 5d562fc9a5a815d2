/**
 * Retention: drops what streams need not keep any more, by age, by size, and for streams made for a
 * queue, some time after the acknowledgement. Durable queues pin what they still need.
 *
 * A partition with records has one deadline: when the first of them may go. It is looked at then,
 * or when so much was appended that it may be too large; nobody looks through all streams.
 */
import { BrokerError, type Clock, type Log, type Timer, type Timers } from '#kit';
import { type Deadline, Deadlines } from '../queues/deadlines.ts';
import type { Queues } from '../queues/queues.ts';
import type { Partition } from './partition.ts';
import { isRetained } from './stream.ts';
import type { Streams } from './streams.ts';

/** Pause between two looks at a partition that waits for others, or was not looked at yet. */
const ROUND_MS = 20_000;
/** Shortest pause between two looks at a partition. */
const PAUSE_MS = 5_000;
/** Partitions looked through in one turn of the event loop. */
const TURN_PARTITIONS = 100;

class Watch implements Deadline {
  dueMs = 0;
  heapIndex = -1;
  readonly partition: Partition;
  /** Bytes that may be appended before it is too large. */
  roomBytes = Number.POSITIVE_INFINITY;
  readonly #call: (partition: Partition) => void;

  constructor(partition: Partition, call: (partition: Partition) => void) {
    this.partition = partition;
    this.#call = call;
  }

  due(): void {
    this.#call(this.partition);
  }
}

export class Retention {
  readonly #streams: Streams;
  readonly #queues: Queues;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #log: Log;
  readonly #deadlines: Deadlines;
  /** Partitions with records. */
  readonly #watches = new Map<Partition, Watch>();
  /** Those whose time has come. */
  #due = new Set<Partition>();
  #working = false;
  /** For streams of queues: what was acknowledged when. Oldest first. */
  readonly #floors = new Map<Partition, { timeMs: number; offset: number }[]>();
  #closed = false;
  readonly #firstRound: Timer;
  readonly #isDue = (partition: Partition): void => {
    this.#due.add(partition);
    if (!this.#working) void this.#work();
  };

  constructor(streams: Streams, queues: Queues, clock: Clock, timers: Timers, log: Log) {
    this.#streams = streams;
    this.#queues = queues;
    this.#clock = clock;
    this.#timers = timers;
    this.#log = log;
    this.#deadlines = new Deadlines(timers, clock, 'wall');
    streams.neededFrom = (partition) => queues.firstOffset(partition);
    streams.appended = (partition, bytes) => this.#grew(partition, bytes);
    streams.watch((event, stream) => {
      for (const partition of stream.partitions) {
        if (event === 'removed') this.#forget(partition);
        else if (event === 'changed') this.#watch(partition, PAUSE_MS);
      }
    });
    // Of a hundred thousand streams that are there at a start each is met in its turn.
    this.#firstRound = timers.after(ROUND_MS, () => void this.#meetAll());
  }

  /** Looks through all streams now. */
  async run(): Promise<void> {
    let looked = 0;
    for (const stream of [...this.#streams.list()]) {
      for (const partition of stream.partitions) {
        if (this.#closed) return;
        if (partition.highWatermark > partition.startOffset) await this.#keep(partition);
        // A hundred thousand streams must not hold up the connections.
        if (++looked % TURN_PARTITIONS === 0) await this.#turn();
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#firstRound.cancel();
    this.#deadlines.close();
  }

  /** Looks at what was there at the start. */
  async #meetAll(): Promise<void> {
    let met = 0;
    for (const { partitions } of this.#streams.list()) {
      for (const partition of partitions) {
        if (!this.#watches.has(partition)) this.#watch(partition, 0);
        if (++met % TURN_PARTITIONS === 0) await this.#turn();
        if (this.#closed) return;
      }
    }
  }

  /** Bytes were appended to a partition. */
  #grew(partition: Partition, bytes: number): void {
    const watch = this.#watches.get(partition);
    if (watch === undefined) {
      this.#begin(partition, ROUND_MS);
      return;
    }
    watch.roomBytes -= bytes;
    if (watch.roomBytes >= 0) return;
    const soonMs = this.#clock.nowMs() + PAUSE_MS;
    if (watch.heapIndex >= 0 && watch.dueMs > soonMs) this.#deadlines.set(watch, soonMs);
  }

  #watch(partition: Partition, delayMs: number): void {
    const isEmpty = partition.highWatermark <= partition.startOffset;
    if (!isEmpty) this.#begin(partition, delayMs);
  }

  #begin(partition: Partition, delayMs: number): void {
    if (this.#closed) return;
    let watch = this.#watches.get(partition);
    if (watch === undefined) {
      watch = new Watch(partition, this.#isDue);
      this.#watches.set(partition, watch);
    }
    this.#deadlines.set(watch, this.#clock.nowMs() + delayMs);
  }

  #forget(partition: Partition): void {
    this.#floors.delete(partition);
    this.#due.delete(partition);
    const watch = this.#watches.get(partition);
    if (watch === undefined) return;
    this.#watches.delete(partition);
    this.#deadlines.clear(watch);
  }

  /** Looks at what is due, some partitions in each turn of the event loop. */
  async #work(): Promise<void> {
    this.#working = true;
    let looked = 0;
    try {
      for (const partition of this.#due) {
        this.#due.delete(partition);
        if (this.#closed) return;
        if (++looked % TURN_PARTITIONS === 0) await this.#turn();
        await this.#lookAt(partition);
      }
    } catch (error) {
      this.#log.error('retention failed', { reason: String(error) });
    } finally {
      this.#working = false;
    }
  }

  async #lookAt(partition: Partition): Promise<void> {
    const watch = this.#watches.get(partition);
    if (watch === undefined) return;
    let nextMs = this.#clock.nowMs() + ROUND_MS;
    try {
      nextMs = await this.#keep(partition);
    } finally {
      if (this.#watches.get(partition) === watch && !this.#closed) this.#again(watch, nextMs);
    }
  }

  #again(watch: Watch, nextMs: number): void {
    const { partition } = watch;
    if (partition.endOffset <= partition.startOffset) {
      this.#forget(partition);
      return;
    }
    const { settings } = partition.stream;
    const isBounded = isRetained(settings) && settings.retentionBytes >= 0;
    watch.roomBytes = isBounded
      ? settings.retentionBytes - partition.stat().bytes
      : Number.POSITIVE_INFINITY;
    if (nextMs < Number.POSITIVE_INFINITY || isBounded) this.#deadlines.set(watch, nextMs);
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#timers.soon(resolve));
  }

  /** Drops what may go. @returns when to look again */
  async #keep(partition: Partition): Promise<number> {
    const { settings } = partition.stream;
    const nowMs = this.#clock.nowMs();
    let offset = partition.startOffset;
    let nextMs = Number.POSITIVE_INFINITY;
    try {
      if (isRetained(settings) && settings.retentionMs >= 0) {
        const batch = await partition.log.findByTime(nowMs - settings.retentionMs);
        offset = Math.max(offset, batch === null ? partition.highWatermark : batch.baseOffset);
        const oldestMs = batch === null ? nowMs : batch.maxTimestampMs;
        nextMs = Math.max(nowMs + PAUSE_MS, oldestMs + settings.retentionMs + 1);
      }
      if (isRetained(settings) && settings.retentionBytes >= 0) {
        offset = Math.max(offset, await partition.log.offsetForBytes(settings.retentionBytes));
      }
    } catch (error) {
      // A damaged range cannot be searched; its records stay until they are repaired or trimmed.
      if (!(error instanceof BrokerError)) throw error;
      this.#log.warn('retention skips a damaged log', { stream: partition.stream.name });
      return nowMs + ROUND_MS;
    }
    if (settings.retentionAckedMs >= 0) {
      nextMs = Math.min(nextMs, nowMs + ROUND_MS);
      offset = Math.max(offset, this.#ackedBefore(partition, settings.retentionAckedMs));
    }
    const allowed = Math.min(this.#queues.firstOffset(partition), partition.highWatermark);
    if (Math.min(offset, allowed) > partition.startOffset)
      partition.trim(Math.min(offset, allowed));
    // Somebody holds on to it.
    return offset > allowed ? Math.min(nextMs, nowMs + ROUND_MS) : nextMs;
  }

  /** What all queues had finished `ackedMs` ago. */
  #ackedBefore(partition: Partition, ackedMs: number): number {
    const nowMs = this.#clock.nowMs();
    const pinned = this.#queues.firstOffset(partition);
    const floors = this.#floors.get(partition) ?? [];
    this.#floors.set(partition, floors);
    if (pinned !== Number.POSITIVE_INFINITY) floors.push({ timeMs: nowMs, offset: pinned });
    let offset = partition.startOffset;
    while (floors.length > 0 && floors[0]!.timeMs <= nowMs - ackedMs) {
      offset = Math.max(offset, floors.shift()!.offset);
    }
    return offset;
  }
}
