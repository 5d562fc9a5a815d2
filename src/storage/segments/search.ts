/** Searches in ascending values that are read on demand. */
import { baseOf, ROW_BYTES } from '../commit/row-codec.ts';

/** Index of the last of `count` ascending values that is at most `limit`; -1 when none is. */
export function lastAtOrBefore(count: number, value: (at: number) => number, limit: number) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value(middle) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Base offsets of encoded rows, for a search among them. */
export function rowBase(rows: Buffer): (at: number) => number {
  return (at) => baseOf(rows, at * ROW_BYTES);
}
