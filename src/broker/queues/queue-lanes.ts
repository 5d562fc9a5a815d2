/**
 * The lanes of one queue, in order of delivery: the cursor over its own stream first, then the
 * references, those of the highest priority before the others.
 */
import type { BrokerError } from '#kit';
import type { Partition } from '../streams/partition.ts';
import type { CursorLane } from './cursor-lane.ts';
import type { KeyOrder } from './key-order.ts';
import type { Item, Lane } from './queue-lane.ts';
import { ENDED, type QueueState } from './queue-state.ts';
import type { ReferenceLane } from './reference-lane.ts';

/** Positions of reference lanes begin here, so that all lanes of a queue share one number line. */
export const REFERENCE_BASE = 2 ** 51;
/** Positions of one reference lane. */
export const LANE_POSITIONS = 2 ** 43;

/** Where every message is that was ever appended to a queue: the rest of them adds up to it. */
export interface QueueCounts {
  readonly appended: number;
  /** Ready, or waiting for a time or for an earlier message of their key. */
  readonly pending: number;
  readonly inFlight: number;
  readonly acked: number;
  readonly deadLettered: number;
  readonly expired: number;
  /** Given up: rejected, over a limit, purged. */
  readonly dropped: number;
  /** Places without a message: compacted, trimmed, damaged, never committed. */
  readonly gone: number;
}

export class QueueLanes {
  readonly cursor: CursorLane | null;
  readonly references: ReferenceLane[] = [];
  readonly all: Lane[] = [];
  readonly #byPriority: (ReferenceLane | undefined)[] = [];

  constructor(cursor: CursorLane | null) {
    this.cursor = cursor;
    if (cursor !== null) this.all.push(cursor);
  }

  ofPriority(priority: number): ReferenceLane | undefined {
    return this.#byPriority[priority];
  }

  add(lane: ReferenceLane, priority: number): void {
    this.#byPriority[priority] = lane;
    this.references.push(lane);
    this.all.push(lane);
    this.all.sort((a, b) => a.base - b.base);
  }

  get ready(): number {
    let count = 0;
    for (const lane of this.all) count += lane.ready;
    return count;
  }

  get readyBytes(): number {
    let bytes = 0;
    for (const lane of this.all) bytes += lane.readyBytes;
    return bytes;
  }

  /** Appended, but not ready before their commit. */
  get expected(): number {
    let count = 0;
    for (const lane of this.all) count += lane.expectedEnd - lane.end;
    return count;
  }

  /** Bytes of what is not ready before its commit. */
  get expectedBytes(): number {
    let bytes = 0;
    for (const lane of this.references) bytes += lane.unsealedBytes + lane.hiddenBytes;
    return bytes;
  }

  of(position: number): Lane | undefined {
    if (position < REFERENCE_BASE) return this.cursor ?? undefined;
    if (this.references.length === 1) return this.references[0];
    for (const lane of this.references) {
      if (position >= lane.base && position < lane.base + LANE_POSITIONS) return lane;
    }
    return undefined;
  }

  /** Deliveries of this message that came back. */
  attemptsOf(item: Item): number {
    const lane = this.of(item.position)!;
    const { attempts } = lane.state;
    return attempts.size === 0 ? 0 : (attempts.get(item.position - lane.base) ?? 0);
  }

  /** See `Lane.peek`. */
  peek(): Item | null | Promise<void> {
    for (const lane of this.all) {
      if (lane.isEmpty) continue;
      const found = lane.peek();
      if (found !== null) return found;
    }
    return null;
  }

  /** Makes committed references ready. @returns true when some still wait to be appended */
  settle(): boolean {
    let unsealed = false;
    for (const lane of this.references) {
      lane.settle();
      if (lane.unsealed) unsealed = true;
    }
    return unsealed;
  }

  /** Calls when all references so far are on disk, or never will be. */
  whenStored(done: (error: BrokerError | null) => void): void {
    let remaining = this.references.length;
    let failure: BrokerError | null = null;
    if (remaining === 0) done(null);
    for (const lane of this.references) {
      lane.whenStored((error) => {
        failure ??= error;
        remaining--;
        if (remaining === 0) done(failure);
      });
    }
  }

  /** First offset of a partition that is still needed, or Infinity. */
  firstOffset(partition: Partition): number {
    let first = Number.POSITIVE_INFINITY;
    if (this.cursor?.partition === partition) first = this.cursor.firstOffset;
    for (const lane of this.references) first = Math.min(first, lane.firstOffset(partition));
    return first;
  }

  /** The first offset that is needed of each partition, by log id. */
  pins(): (readonly [logId: number, offset: number])[] {
    const pins: (readonly [number, number])[] = [];
    for (const { partition } of this.references.flatMap((lane) => lane.sources.all)) {
      const offset = partition === null ? Number.POSITIVE_INFINITY : this.firstOffset(partition);
      if (Number.isFinite(offset)) pins.push([partition!.log.id, offset]);
    }
    return pins;
  }

  /**
   * About how many bytes of streams cannot go because of a durable queue: those from the first
   * message on that it needs, as far as the messages of a stream are of one size.
   */
  get pinnedBytes(): number {
    const partitions = new Set<Partition>();
    if (this.cursor !== null) partitions.add(this.cursor.partition);
    for (const lane of this.references) {
      for (const { partition } of lane.sources.all) {
        if (partition !== null) partitions.add(partition);
      }
    }
    let pinned = 0;
    for (const partition of partitions) {
      const first = this.firstOffset(partition);
      const { startOffset, endOffset, bytes } = partition.stat();
      const share = (endOffset - Math.max(first, startOffset)) / (endOffset - startOffset);
      if (share > 0) pinned += bytes * share;
    }
    return Math.round(pinned);
  }

  counts(state: QueueState, keys: KeyOrder | null, inFlight: number): QueueCounts {
    let appended = 0;
    let pending = keys === null ? 0 : keys.count;
    for (const lane of this.all) {
      appended += Math.max(0, lane.end - lane.state.start);
      pending += lane.ready + lane.state.delayed.size;
    }
    const { ended } = state;
    return {
      ...{ appended, pending, inFlight },
      acked: ended[ENDED.acked]!,
      deadLettered: ended[ENDED.dead]!,
      expired: ended[ENDED.expired]!,
      dropped: ended[ENDED.dropped]!,
      gone: ended[ENDED.gone]!,
    };
  }
}
