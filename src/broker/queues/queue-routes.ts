/** Where one message goes: the queues that hold a reference to it, and chosen members of groups. */
import type { Subscription } from '../addresses/interest.ts';
import type { Partition } from '../streams/partition.ts';
import type { Queue } from './queue.ts';

/** A larger set is not kept for the next message. */
export const ROUTES_KEPT_MAX = 1024;
/** Up to this many a loop beats a native search. */
const SCAN_MAX = 16;

export class QueueRoutes {
  /** As many as `count` count; the rest is of an earlier message. */
  readonly queues: Queue[] = [];
  readonly metas: number[] = [];
  count = 0;
  /** Queues that are not in memory, by their rows, and what is noted with a reference. */
  readonly coldRows: number[] = [];
  readonly coldMetas: number[] = [];
  /** Filters whose lines get it, and whether they matched the flat name. */
  readonly coldFilters: number[] = [];
  readonly coldAliases: boolean[] = [];
  readonly groupMatches: { subscription: Subscription; alias: boolean }[] = [];
  durable = false;
  /** Groups of which no member accepts the message. */
  groupsWithout = 0;
  partition: Partition | null = null;

  /** Queues that are not in memory get it. */
  get toCold(): boolean {
    return this.coldRows.length > 0 || this.coldFilters.length > 0;
  }

  clear(): void {
    this.count = 0;
    if (this.coldRows.length > 0) {
      this.coldRows.length = 0;
      this.coldMetas.length = 0;
    }
    if (this.coldFilters.length > 0) {
      this.coldFilters.length = 0;
      this.coldAliases.length = 0;
    }
    if (this.groupMatches.length > 0) this.groupMatches.length = 0;
    this.durable = false;
    this.groupsWithout = 0;
    this.partition = null;
  }

  /** A queue that is a cursor over the message's own partition needs no reference. */
  add(queue: Queue, meta: number): void {
    const own = queue.cursor !== null && queue.cursor.partition === this.partition;
    if (own && !queue.referencesOnly) return;
    if (queue.removed || this.#has(queue)) return;
    this.queues[this.count] = queue;
    this.metas[this.count] = meta;
    this.count++;
    if (queue.durable) this.durable = true;
  }

  #has(queue: Queue): boolean {
    if (this.count > SCAN_MAX) return this.queues.lastIndexOf(queue, this.count - 1) >= 0;
    for (let index = 0; index < this.count; index++) if (this.queues[index] === queue) return true;
    return false;
  }
}
