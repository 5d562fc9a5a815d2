/** Work that may be done in one turn of the event loop, shared by all who have much to do. */
import type { Timers } from '#kit';

export class TurnBudget {
  readonly #timers: Timers;
  readonly #units: number;
  #left: number;
  #armed = false;
  readonly #refill = (): void => {
    this.#armed = false;
    this.#left = this.#units;
  };

  constructor(timers: Timers, units: number) {
    this.#timers = timers;
    this.#units = units;
    this.#left = units;
  }

  /** @returns false when the turn has had its share: go on in the next one */
  take(units: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= units;
    if (!this.#armed) {
      this.#armed = true;
      this.#timers.soon(this.#refill);
    }
    return true;
  }
}
