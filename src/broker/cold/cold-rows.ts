/** What memory has of each queue that is not in it: its name, and some twenty bytes. */
import { grownBytes, grownNumbers, grownRows, grownWords } from './numbers.ts';
import { TextTable } from './text-table.ts';

/** Its owner has named its subscriptions since the start. */
export const KEPT = 1;
/** There is a stored queue of that name, with messages. */
export const STORED = 2;
/** It is in the line of those that are brought into memory for a while. */
export const CALLED = 4;
/** Some of its messages may expire, and the time engine knows when to look. */
export const EXPIRING = 8;
/** Its positions must stay what they are: its owner knows some of them. */
export const PLACED = 16;
/** A row of state tells what it has had from lines, and that there is no stored queue. */
export const NOTED = 32;

export class ColdRows {
  readonly names = new TextTable();
  /** Messages that wait as rows of state. */
  waiting = new Uint32Array(0);
  /** Messages that wait in the stored queue. */
  queued = new Uint32Array(0);
  /** It has all messages with lesser numbers that it is to have. */
  since = new Float64Array(0);
  flags = new Uint8Array(0);

  get bytes(): number {
    return this.names.bytes + 17 * this.flags.length;
  }

  /** The row of a queue, made when there is none. */
  of(name: string): number {
    const known = this.names.find(name);
    if (known >= 0) return known;
    const row = this.names.add(name);
    if (row >= this.flags.length) this.#grow(grownRows(this.flags.length, row + 1));
    this.waiting[row] = 0;
    this.queued[row] = 0;
    this.since[row] = 0;
    this.flags[row] = 0;
    return row;
  }

  has(row: number, flag: number): boolean {
    return (this.flags[row]! & flag) !== 0;
  }

  set(row: number, flag: number, on: boolean): void {
    this.flags[row] = on ? this.flags[row]! | flag : this.flags[row]! & ~flag;
  }

  #grow(rows: number): void {
    this.waiting = grownWords(this.waiting, rows);
    this.queued = grownWords(this.queued, rows);
    this.since = grownNumbers(this.since, rows);
    this.flags = grownBytes(this.flags, rows);
  }
}
