/**
 * A page of a segment's directory. A search looks at some six of its 32 rows, and only those are
 * checked, once each: what they say decides alone what it finds, so a flaw elsewhere in the page
 * cannot mislead it.
 */
import { isSealed } from '../recovery/repair.ts';
import { RUN_BYTES, runLog } from './segment-codec.ts';

/** All rows are whole. */
const ALL = -1;

export class DirectoryPage {
  #rows: Buffer;
  #isShort: boolean;
  /** A bit for each row that was found whole: a page has no more rows than a number has bits. */
  #whole = 0;

  /**
   * @param rows as they were read
   * @param count of rows that should be there
   */
  constructor(rows: Buffer, count: number) {
    this.#rows = rows;
    this.#isShort = rows.length !== count * RUN_BYTES;
  }

  get rows(): Buffer {
    return this.#rows;
  }

  /** Takes rows that were all checked, without those that are lost. */
  mend(rows: Buffer): void {
    this.#rows = rows;
    this.#isShort = false;
    this.#whole = ALL;
  }

  /**
   * Index of the row of `log` or of the last one before it, -1 when it lies before all of them.
   * Null when something on the way is damaged: the page must be mended first.
   */
  search(log: number): number | null {
    if (this.#isShort) return null;
    let low = 0;
    let high = this.#rows.length / RUN_BYTES;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (!this.#isWhole(middle)) return null;
      if (runLog(this.#rows, middle * RUN_BYTES) <= log) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #isWhole(index: number): boolean {
    const bit = 1 << index;
    if ((this.#whole & bit) !== 0) return true;
    const at = index * RUN_BYTES;
    if (!isSealed(this.#rows.subarray(at, at + RUN_BYTES))) return false;
    this.#whole |= bit;
    return true;
  }
}
