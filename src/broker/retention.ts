/**
 * Retention: drops what streams need not keep any more, by age, by size, and for streams made for a
 * queue, some time after the acknowledgement. Durable queues pin what they still need.
 */
import { BrokerError, type Clock, type Log, type Timer, type Timers } from '#kit';
import type { Partition } from './partition.ts';
import type { Queues } from './queues.ts';
import type { Streams } from './streams.ts';

/** How often streams are looked through. */
const ROUND_MS = 30_000;

/** Partitions looked through in one turn of the event loop. */
const TURN_PARTITIONS = 100;

export class Retention {
  readonly #streams: Streams;
  readonly #queues: Queues;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #log: Log;
  /** For streams of queues: what was acknowledged when. Oldest first. */
  readonly #floors = new Map<Partition, { timeMs: number; offset: number }[]>();
  #timer: Timer | null = null;
  #closed = false;

  constructor(streams: Streams, queues: Queues, clock: Clock, timers: Timers, log: Log) {
    this.#streams = streams;
    this.#queues = queues;
    this.#clock = clock;
    this.#timers = timers;
    this.#log = log;
    streams.watch((event, stream) => {
      if (event !== 'removed') return;
      for (const partition of stream.partitions) this.#floors.delete(partition);
    });
    this.#schedule();
  }

  /** Looks through all streams now. */
  async run(): Promise<void> {
    let looked = 0;
    for (const stream of [...this.#streams.list()]) {
      for (const partition of stream.partitions) {
        if (this.#closed) return;
        if (partition.highWatermark > partition.startOffset) await this.#keep(partition);
        // A hundred thousand streams must not hold up the connections.
        if (++looked % TURN_PARTITIONS === 0) {
          await new Promise<void>((resolve) => this.#timers.soon(resolve));
        }
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = this.#timers.after(ROUND_MS, () => {
      this.run()
        .catch((error: unknown) => {
          this.#log.error('retention failed', { reason: String(error) });
        })
        .finally(() => this.#schedule());
    });
  }

  async #keep(partition: Partition): Promise<void> {
    const { settings } = partition.stream;
    let offset = partition.startOffset;
    try {
      if (settings.retentionMs >= 0) {
        const batch = await partition.log.findByTime(this.#clock.nowMs() - settings.retentionMs);
        offset = Math.max(offset, batch === null ? partition.highWatermark : batch.baseOffset);
      }
      if (settings.retentionBytes >= 0) {
        offset = Math.max(offset, await partition.log.offsetForBytes(settings.retentionBytes));
      }
    } catch (error) {
      // A damaged range cannot be searched; its records stay until they are repaired or trimmed.
      if (!(error instanceof BrokerError)) throw error;
      this.#log.warn('retention skips a damaged log', { stream: partition.stream.name });
      return;
    }
    if (settings.retentionAckedMs >= 0) {
      offset = Math.max(offset, this.#ackedBefore(partition, settings.retentionAckedMs));
    }
    offset = Math.min(offset, this.#queues.firstOffset(partition), partition.highWatermark);
    if (offset > partition.startOffset) partition.trim(offset);
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
