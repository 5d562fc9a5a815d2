/**
 * What storage asks of the owner of a compacted stream: how to open its batches, and the limits.
 */
import type { Compaction, KeyedRecords, StoredBatch } from '#storage';
import type { Partition } from '../streams/partition.ts';
import { RecordWalk } from './record-walk.ts';

export class KeyCompaction implements Compaction {
  readonly minLagMs: number;
  readonly maxLagMs: number;
  readonly dirtyRatio: number;
  readonly tombstoneMs: number;
  readonly headMs: number;
  readonly headBytes: number;
  readonly #openedBytesMax: number;
  readonly #neededFrom: () => number;
  readonly #partition: Partition;

  /**
   * @param neededFrom first offset of the partition that a durable cursor needs, or Infinity
   * @param openedBytesMax bound for what a compressed batch may become
   */
  constructor(partition: Partition, neededFrom: () => number, openedBytesMax: number) {
    const { settings } = partition.stream;
    this.#partition = partition;
    this.minLagMs = settings.compactMinLagMs;
    this.maxLagMs = settings.compactMaxLagMs;
    this.dirtyRatio = settings.compactDirtyRatio;
    this.tombstoneMs = settings.tombstoneMs;
    this.headMs = settings.headMs;
    this.headBytes = settings.headBytes;
    this.#neededFrom = neededFrom;
    this.#openedBytesMax = openedBytesMax;
  }

  /** Nobody knows yet what becomes of records behind an open transaction. */
  neededFrom(): number {
    const open = this.#partition.transactions?.firstOpen ?? Number.POSITIVE_INFINITY;
    return Math.min(open, this.#neededFrom());
  }

  open(batch: StoredBatch, turn: () => Promise<void>): KeyedRecords | null | Promise<KeyedRecords> {
    // What was aborted replaces nothing, and goes with its time.
    if (this.#partition.isAside(batch)) return null;
    return RecordWalk.open(batch.bytes, batch.baseOffset, this.#openedBytesMax, turn);
  }
}
