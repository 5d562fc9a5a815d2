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

/** Values that others have written and that take some turns to be there. */
interface Values {
  readonly endOffset: number;
  isBehind(offset: number): boolean;
}

export class RetainedPace {
  readonly #timers: Timers;
  readonly #values: Values;
  #line: Setter[] = [];
  #left = PER_TURN;
  #armed = false;
  /** It goes on now, though others wait. */
  #first: Setter | null = null;
  /** The line waits for what was written before the first of it came. */
  #after = 0;

  constructor(timers: Timers, values: Values) {
    this.#timers = timers;
    this.#values = values;
  }

  /** @returns false when the packet must wait: it is met again when it is this setter's turn */
  take(setter: Setter): boolean {
    if (this.#left > 0 && (this.#first === setter || this.#isFree())) {
      this.#left--;
      this.#arm();
      return true;
    }
    if (this.#line.length === 0) this.#after = this.#values.endOffset;
    setter.hold();
    this.#line.push(setter);
    this.#arm();
    return false;
  }

  #isFree(): boolean {
    return this.#line.length === 0 && !this.#values.isBehind(this.#values.endOffset);
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#timers.soon(this.#turn);
  }

  readonly #turn = (): void => {
    this.#armed = false;
    this.#left = PER_TURN;
    if (this.#line.length > 0 && this.#values.isBehind(this.#after)) {
      this.#arm();
      return;
    }
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
