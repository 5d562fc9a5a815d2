/**
 * Deadlines that need not survive a restart: leases, the end of a queue's first message, short
 * waits. One heap and one timer for all of them, armed for the next one; nothing polls.
 */
import type { Clock, Timer, Timers } from '#kit';
import { CLOCK_CHECK_MS, ClockWatch } from '../time/clock-watch.ts';

/**
 * Something with a deadline; the heap keeps its place in it, so that it can be moved or removed.
 */
export interface Deadline {
  dueMs: number;
  /** -1 while it is not set. Belongs to `Deadlines`. */
  heapIndex: number;
  /** Calls when the time has come; it is not set any more then. */
  due(): void;
}

/** Longer waits are cut: timers count in 32 bits. */
const WAIT_MS_MAX = 1 << 30;

export class Deadlines {
  readonly #heap: Deadline[] = [];
  readonly #timers: Timers;
  readonly #clock: Clock;
  /** Null: deadlines are monotonic times. */
  readonly #watch: ClockWatch | null;
  #timer: Timer | null = null;
  #armedMs = Number.POSITIVE_INFINITY;
  #closed = false;
  readonly #ring = (): void => this.#run();

  /**
   * @param times which of its times the deadlines are. When the clock is set, those of the wall
   *   clock stay: what is due by the new clock ends within 10 s, what is not any more waits again.
   */
  constructor(timers: Timers, clock: Clock, times: 'wall' | 'monotonic') {
    this.#timers = timers;
    this.#clock = clock;
    this.#watch = times === 'wall' ? new ClockWatch(clock) : null;
  }

  get count(): number {
    return this.#heap.length;
  }

  nowMs(): number {
    return this.#watch === null ? this.#clock.monotonicMs() : this.#clock.nowMs();
  }

  /** Sets the deadline, or moves it. */
  set(entry: Deadline, dueMs: number): void {
    if (entry.heapIndex < 0) {
      entry.dueMs = dueMs;
      this.#heap.push(entry);
      this.#up(entry, this.#heap.length - 1);
    } else if (dueMs < entry.dueMs) {
      entry.dueMs = dueMs;
      this.#up(entry, entry.heapIndex);
    } else {
      entry.dueMs = dueMs;
      this.#down(entry, entry.heapIndex);
    }
    this.#arm();
  }

  clear(entry: Deadline): void {
    const index = entry.heapIndex;
    if (index < 0) return;
    entry.heapIndex = -1;
    const last = this.#heap.pop()!;
    if (last === entry) return;
    if (index > 0 && last.dueMs < this.#heap[(index - 1) >>> 1]!.dueMs) this.#up(last, index);
    else this.#down(last, index);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
    for (const entry of this.#heap) entry.heapIndex = -1;
    this.#heap.length = 0;
  }

  /** A timer that rings early, because its deadline was cleared, finds nothing and is set again. */
  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || this.#closed) return;
    const watch = this.#watch;
    if (first.dueMs >= this.#armedMs && watch?.wasSet !== true) return;
    this.#timer?.cancel();
    this.#armedMs = first.dueMs;
    watch?.armed();
    const longest = watch === null ? WAIT_MS_MAX : CLOCK_CHECK_MS;
    const wait = Math.min(Math.max(0, first.dueMs - this.nowMs()), longest);
    this.#timer = this.#timers.after(wait, this.#ring);
  }

  #run(): void {
    this.#timer = null;
    this.#armedMs = Number.POSITIVE_INFINITY;
    const now = this.nowMs();
    while (true) {
      const first = this.#heap[0];
      if (first === undefined || first.dueMs > now) break;
      this.clear(first);
      first.due();
    }
    this.#arm();
  }

  #up(entry: Deadline, index: number): void {
    const heap = this.#heap;
    while (index > 0) {
      const above = (index - 1) >>> 1;
      const other = heap[above]!;
      if (other.dueMs <= entry.dueMs) break;
      heap[index] = other;
      other.heapIndex = index;
      index = above;
    }
    heap[index] = entry;
    entry.heapIndex = index;
  }

  #down(entry: Deadline, index: number): void {
    const heap = this.#heap;
    const { length } = heap;
    while (true) {
      let below = index * 2 + 1;
      if (below >= length) break;
      if (below + 1 < length && heap[below + 1]!.dueMs < heap[below]!.dueMs) below++;
      const other = heap[below]!;
      if (other.dueMs >= entry.dueMs) break;
      heap[index] = other;
      other.heapIndex = index;
      index = below;
    }
    heap[index] = entry;
    entry.heapIndex = index;
  }
}
