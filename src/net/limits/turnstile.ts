/**
 * Who comes in or leaves takes more of a turn of the event loop than who is there. When many do it
 * at once they go through here, a few in each turn, in their order; what the others sent is handled
 * in between. As long as few come, nobody waits.
 */
import type { Timers } from '#kit';

export interface Passenger {
  /** Its turn has come. */
  pass(): void;
}

/** Those who may come in or leave in one turn. */
const TURN_MAX = 64;

export class Turnstile {
  readonly #timers: Timers;
  #waiting: Passenger[] = [];
  #next = 0;
  /** Of this turn. */
  #passed = 0;
  #armed = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** @returns true when it may go on at once; otherwise `pass` is called later */
  enter(passenger: Passenger): boolean {
    if (!this.#armed) {
      this.#armed = true;
      this.#timers.soon(this.#run);
    }
    if (this.#passed < TURN_MAX && this.#next === this.#waiting.length) {
      this.#passed++;
      return true;
    }
    this.#waiting.push(passenger);
    return false;
  }

  readonly #run = (): void => {
    this.#armed = false;
    this.#passed = 0;
    const waiting = this.#waiting;
    const end = Math.min(waiting.length, this.#next + TURN_MAX);
    if (this.#next === end) return;
    this.#passed = end - this.#next;
    this.#armed = true;
    this.#timers.soon(this.#run);
    while (this.#next < end) waiting[this.#next++]!.pass();
    if (this.#next < waiting.length) return;
    this.#waiting = [];
    this.#next = 0;
  };
}
