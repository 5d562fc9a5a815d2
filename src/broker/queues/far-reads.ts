/**
 * Queues whose next message lies in an object store that does not answer now. They wait, which is
 * no fault of their consumers, and read again when the store is back.
 */
import type { Log } from '#kit';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { Queue } from './queue.ts';

/** For a store that is not away but refused this read alone: nobody tells when to try it again. */
const AGAIN_MS = 5_000;

export class FarReads implements Deadline {
  dueMs = 0;
  heapIndex = -1;
  readonly #waiting = new Set<Queue>();
  readonly #deadlines: Deadlines;
  readonly #log: Log;

  constructor(deadlines: Deadlines, log: Log) {
    this.#deadlines = deadlines;
    this.#log = log;
  }

  /** The queue could not read its next message. */
  wait(queue: Queue, reason: string): void {
    if (this.heapIndex < 0) this.#deadlines.set(this, this.#deadlines.nowMs() + AGAIN_MS);
    if (this.#waiting.has(queue)) return;
    this.#waiting.add(queue);
    this.#log.warn('a queue waits for the object store', { queue: queue.name, reason });
  }

  forget(queue: Queue): void {
    this.#waiting.delete(queue);
  }

  /** Every queue that waits tries again. */
  due(): void {
    if (this.heapIndex >= 0) this.#deadlines.clear(this);
    const waiting = [...this.#waiting];
    for (const queue of waiting) queue.dispatch();
  }

  /** The queue has read again what it wanted. */
  arrived(queue: Queue): void {
    if (this.#waiting.size > 0 && this.#waiting.delete(queue)) {
      this.#log.info('a queue reads from the object store again', { queue: queue.name });
    }
  }
}
