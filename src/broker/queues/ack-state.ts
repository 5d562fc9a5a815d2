/**
 * Which positions of an ordered source are finished: everything below the floor, and pages of bits
 * above it. A million ranges are a million bits, whatever their shape.
 */
import { BitPages } from './bit-pages.ts';

export class AckState {
  /** Everything below is finished. */
  #floor: number;
  readonly #above = new BitPages();

  constructor(floor: number) {
    this.#floor = floor;
  }

  get floor(): number {
    return this.#floor;
  }

  /** Finished ones above the floor. */
  get aboveCount(): number {
    return this.#above.size;
  }

  get pageCount(): number {
    return this.#above.pageCount;
  }

  /** Finished ranges above the floor, ascending, apart: from (inclusive), to (exclusive). */
  ranges(): Iterable<readonly [from: number, to: number]> {
    return this.#above.ranges();
  }

  has(position: number): boolean {
    return position < this.#floor || (this.#above.size > 0 && this.#above.has(position));
  }

  /** Finishes the positions from … to - 1. @returns how many of them were open */
  add(from: number, to: number = from + 1): number {
    if (to <= this.#floor || from >= to) return 0;
    if (from > this.#floor) return this.#above.add(from, to);
    const above = this.#above;
    const open = to - this.#floor - (above.size === 0 ? 0 : above.countBelow(to));
    this.#floor = to;
    if (above.size > 0) {
      this.#floor = above.nextGap(to);
      above.dropBelow(this.#floor);
    }
    return open;
  }

  /** The first unfinished position at or after `position`. */
  nextOpen(position: number): number {
    if (position < this.#floor) position = this.#floor;
    return this.#above.size === 0 ? position : this.#above.nextGap(position);
  }

  /** Finished positions at or after `position`, which is not below the floor. */
  countFrom(position: number): number {
    return this.#above.size === 0 ? 0 : this.#above.countFrom(position);
  }
}
