/**
 * Numbers of what waits outside of memory: they grow with every message, also over starts, so that
 * rows of different kinds can be put in one order.
 */
import type { StateTable } from '../state/state-table.ts';

/** Counts the starts of the server that gave a number. */
const STARTS = 'queue.starts';
const PER_START = 2 ** 32;
const START_DIGITS = 6;
const COUNT_DIGITS = 9;

export class ColdNumbers {
  readonly #state: StateTable;
  /** 0: the state was not asked yet. */
  #start = 0;
  #count = 0;
  #started = false;

  constructor(state: StateTable) {
    this.#state = state;
  }

  /** All numbers given so far are less, those to come are not. */
  get next(): number {
    if (this.#start === 0) this.#start = Number(this.#state.get(STARTS, '')?.toString() ?? 0) + 1;
    return this.#start * PER_START + this.#count;
  }

  take(): number {
    const number = this.next;
    if (!this.#started) {
      this.#started = true;
      this.#state.put(STARTS, '', Buffer.from(String(this.#start)));
    }
    this.#count++;
    if (this.#count === PER_START) {
      this.#start++;
      this.#count = 0;
      this.#started = false;
    }
    return number;
  }
}

/** In the order of the numbers. */
export function keyOfNumber(number: number): string {
  const start = Math.floor(number / PER_START);
  const count = number % PER_START;
  return (
    start.toString(36).padStart(START_DIGITS, '0') + count.toString(36).padStart(COUNT_DIGITS, '0')
  );
}

/** @param key ends with the text of a number */
export function numberAtEnd(key: string): number {
  const countAt = key.length - COUNT_DIGITS;
  const start = Number.parseInt(key.slice(countAt - START_DIGITS, countAt), 36);
  return start * PER_START + Number.parseInt(key.slice(countAt), 36);
}
