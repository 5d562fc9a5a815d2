/**
 * A pause of a publisher: it goes on when all the subscribers that it has overrun have caught up,
 * or after a moment (N15).
 */
import type { Timer, Timers } from '#kit';
import type { SendGuard, Waiter } from './send-guard.ts';

export class Stall implements Waiter {
  readonly #over: () => void;
  readonly #timer: Timer;
  #behind: number;

  /** @param over called once, unless `cancel` comes before */
  constructor(behind: readonly SendGuard[], timers: Timers, stallMs: number, over: () => void) {
    this.#over = over;
    this.#behind = behind.length;
    this.#timer = timers.after(stallMs, () => this.#end());
    for (const guard of behind) guard.wait(this);
  }

  /** One of them. */
  caughtUp(): void {
    if (--this.#behind === 0) this.#end();
  }

  cancel(): void {
    this.#behind = 0;
    this.#timer.cancel();
  }

  #end(): void {
    this.cancel();
    this.#over();
  }
}
