/**
 * Retained messages of one turn of the event loop: a value that is set costs a multiple of another
 * message, and a client may send thousands at once. Beyond a share of the turn the clients wait in
 * a line; each turn the first of them goes on, until its packets or the share are used up.
 */
import type { Timers } from '#kit';

/** Some milliseconds. */
const PER_TURN = 128;

/** A connection whose packets can wait. */
interface Setter {
  hold(): void;
  goOn(): void;
}

export class RetainedPace {
  readonly #timers: Timers;
  #line: Setter[] = [];
  #left = PER_TURN;
  #armed = false;
  /** It goes on now, though others wait. */
  #first: Setter | null = null;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** @returns false when the packet must wait: it is met again when it is this setter's turn */
  take(setter: Setter): boolean {
    if (this.#left > 0 && (this.#line.length === 0 || this.#first === setter)) {
      this.#left--;
      this.#arm();
      return true;
    }
    setter.hold();
    this.#line.push(setter);
    this.#arm();
    return false;
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#timers.soon(this.#turn);
  }

  readonly #turn = (): void => {
    this.#armed = false;
    this.#left = PER_TURN;
    while (this.#left > 0 && this.#line.length > 0) {
      const first = this.#line.shift()!;
      this.#first = first;
      try {
        first.goOn();
      } finally {
        this.#first = null;
        if (this.#line.length > 0) this.#arm();
      }
    }
  };
}
