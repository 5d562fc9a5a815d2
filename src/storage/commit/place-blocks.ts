/**
 * Sums over the rows of a log that lie in write-ahead files, by blocks: a log with a million of
 * them is searched by time or size without looking at each. Made when first asked for.
 */
import type { RecentRows } from './recent-rows.ts';
import { maxTimeOf } from './row-codec.ts';

/** Places that one block stands for. */
export const PLACES_PER_BLOCK = 256;

export class PlaceBlocks {
  /** Of each whole block of places: the latest time, and the bytes of the bodies. */
  readonly maxTimeMs: number[] = [];
  readonly bytes: number[] = [];

  /** Adds the blocks that became whole since the last time. */
  extend(places: readonly number[], rows: RecentRows): this {
    const whole = Math.floor(places.length / PLACES_PER_BLOCK);
    for (let block = this.bytes.length; block < whole; block++) {
      let [maxTimeMs, bytes] = [-1, 0];
      const end = (block + 1) * PLACES_PER_BLOCK;
      for (let index = block * PLACES_PER_BLOCK; index < end; index++) {
        const row = places[index]!;
        maxTimeMs = Math.max(maxTimeMs, maxTimeOf(rows.rowsOf(row), rows.at(row)));
        bytes += rows.bodyBytes(row);
      }
      this.maxTimeMs.push(maxTimeMs);
      this.bytes.push(bytes);
    }
    return this;
  }
}
