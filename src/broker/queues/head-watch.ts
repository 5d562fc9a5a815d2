/**
 * Wakes a queue when its first message ends: the owner of the queue may want it to leave at that
 * moment even while nobody consumes.
 */
import type { Deadline, Deadlines } from './deadlines.ts';

export class HeadWatch {
  on = false;
  readonly #ages: Deadlines;
  readonly #end: Deadline;

  /** @param look called when the first message may have ended, never before `until` returns */
  constructor(ages: Deadlines, look: () => void) {
    this.#ages = ages;
    this.#end = { dueMs: 0, heapIndex: -1, due: look };
  }

  /** The first message ends at this time of the wall clock; 0: never. */
  until(endsAtMs: number): void {
    if (endsAtMs !== 0) this.#ages.set(this.#end, endsAtMs);
  }

  /** When it looks; 0: not at all. */
  get dueMs(): number {
    return this.#end.heapIndex < 0 ? 0 : this.#end.dueMs;
  }

  /** It is not known how long the first message has: a look will tell. */
  soon(): void {
    this.until(this.#ages.nowMs());
  }

  close(): void {
    this.#ages.clear(this.#end);
  }
}
