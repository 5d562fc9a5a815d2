/**
 * What storage asks of the owner of a compacted stream: how to open its batches, and the limits.
 */
import type { Compaction, KeyedRecords, StoredBatch } from '#storage';
import type { StreamSettings } from '../streams/stream.ts';
import { isControlBatch } from './record-batch.ts';
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

  /**
   * @param neededFrom first offset of the partition that a durable cursor needs, or Infinity
   * @param openedBytesMax bound for what a compressed batch may become
   */
  constructor(settings: StreamSettings, neededFrom: () => number, openedBytesMax: number) {
    this.minLagMs = settings.compactMinLagMs;
    this.maxLagMs = settings.compactMaxLagMs;
    this.dirtyRatio = settings.compactDirtyRatio;
    this.tombstoneMs = settings.tombstoneMs;
    this.headMs = settings.headMs;
    this.headBytes = settings.headBytes;
    this.#neededFrom = neededFrom;
    this.#openedBytesMax = openedBytesMax;
  }

  neededFrom(): number {
    return this.#neededFrom();
  }

  open(batch: StoredBatch): KeyedRecords | null {
    if (isControlBatch(batch.attributes)) return null;
    return new RecordWalk(batch.bytes, batch.baseOffset, this.#openedBytesMax);
  }
}
