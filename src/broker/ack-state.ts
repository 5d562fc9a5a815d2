/**
 * Which positions of an ordered source are finished: everything below the floor, and ranges above
 * it. The persisted form of every cursor that acknowledges one message at a time.
 */
export class AckState {
  /** Everything below is finished. */
  floor: number;
  /** Finished ranges above the floor, ascending, apart: from (inclusive), to (exclusive). */
  readonly #ranges: [from: number, to: number][] = [];

  constructor(floor: number, ranges: readonly (readonly [number, number])[] = []) {
    this.floor = floor;
    for (const [from, to] of ranges) this.add(from, to);
  }

  get ranges(): readonly (readonly [number, number])[] {
    return this.#ranges;
  }

  has(position: number): boolean {
    if (position < this.floor) return true;
    const index = this.#after(position) - 1;
    return index >= 0 && position < this.#ranges[index]![1];
  }

  /** Finishes the positions from … to - 1. */
  add(from: number, to: number = from + 1): void {
    if (to <= this.floor || from >= to) return;
    if (from <= this.floor) {
      this.floor = to;
      this.#absorb();
      return;
    }
    // Replace every range that touches [from, to) by one that covers all of them.
    const ranges = this.#ranges;
    let first = this.#after(from);
    if (first > 0 && ranges[first - 1]![1] >= from) first--;
    let end = first;
    while (end < ranges.length && ranges[end]![0] <= to) end++;
    if (end > first) {
      from = Math.min(from, ranges[first]![0]);
      to = Math.max(to, ranges[end - 1]![1]);
    }
    ranges.splice(first, end - first, [from, to]);
  }

  /** The first unfinished position at or after `position`. */
  nextOpen(position: number): number {
    if (position < this.floor) position = this.floor;
    const index = this.#after(position) - 1;
    if (index >= 0 && position < this.#ranges[index]![1]) return this.#ranges[index]![1];
    return position;
  }

  #absorb(): void {
    let taken = 0;
    for (const [from, to] of this.#ranges) {
      if (from > this.floor) break;
      if (to > this.floor) this.floor = to;
      taken++;
    }
    if (taken > 0) this.#ranges.splice(0, taken);
  }

  /** Index of the first range that begins after `position`. */
  #after(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]![0] <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
