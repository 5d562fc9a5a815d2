/**
 * Notices that the wall clock was set: timers follow the monotonic clock, so one that waits for a
 * time of the wall clock is wrong then (docs/decisions/0013).
 */
import type { Clock } from '#kit';

/** Longest time until a clock that was set is noticed when nothing else happens. */
export const CLOCK_CHECK_MS = 10_000;
/** The monotonic clock has fractions, the wall clock whole milliseconds. */
const ROUNDING_MS = 5;

export class ClockWatch {
  readonly #clock: Clock;
  /** Wall clock minus monotonic clock when a timer was armed. */
  #armedOffset = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A timer is armed by the wall clock as it is now. */
  armed(): void {
    this.#armedOffset = this.#offset();
  }

  /** True when the wall clock was set since `armed`. */
  get wasSet(): boolean {
    return Math.abs(this.#offset() - this.#armedOffset) > ROUNDING_MS;
  }

  #offset(): number {
    return this.#clock.nowMs() - this.#clock.monotonicMs();
  }
}
