/**
 * Connections that have not said anything yet. They are bounded in number (the oldest goes when a
 * new one would be too many) and in time. All wait equally long, so the order of arrival is the
 * order of expiry, and one timer serves them all.
 */
import type { Clock, Timer, Timers } from '#kit';

export interface Waiting {
  /** Closes it; `reason` says why. */
  destroy(reason: string): void;
}

export interface HalfOpenLimits {
  readonly countMax: number;
  readonly firstBytesMs: number;
}

export class HalfOpen {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #limits: HalfOpenLimits;
  readonly #sinceMs = new Map<Waiting, number>();
  #timer: Timer | null = null;

  constructor(clock: Clock, timers: Timers, limits: HalfOpenLimits) {
    this.#clock = clock;
    this.#timers = timers;
    this.#limits = limits;
  }

  get count(): number {
    return this.#sinceMs.size;
  }

  add(waiting: Waiting): void {
    if (this.#sinceMs.size >= this.#limits.countMax) {
      const [oldest] = this.#sinceMs.keys();
      if (oldest !== undefined) this.#expire(oldest, 'too many connections that sent nothing yet');
    }
    this.#sinceMs.set(waiting, this.#clock.monotonicMs());
    this.#timer ??= this.#timers.after(this.#limits.firstBytesMs, this.#sweep);
  }

  /** It spoke, or it is gone. */
  remove(waiting: Waiting): void {
    this.#sinceMs.delete(waiting);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#sinceMs.clear();
  }

  #expire(waiting: Waiting, reason: string): void {
    this.#sinceMs.delete(waiting);
    waiting.destroy(reason);
  }

  readonly #sweep = (): void => {
    this.#timer = null;
    const now = this.#clock.monotonicMs();
    for (const [waiting, since] of this.#sinceMs) {
      const leftMs = since + this.#limits.firstBytesMs - now;
      if (leftMs > 0.5) {
        this.#timer = this.#timers.after(Math.ceil(leftMs), this.#sweep);
        return;
      }
      this.#expire(waiting, `sent nothing within ${this.#limits.firstBytesMs} ms`);
    }
  };
}
