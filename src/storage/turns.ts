/**
 * Long work in short pieces: between two of them the event loop serves connections. Counted in
 * units of work, not in time, so that a simulation takes the same turns each time.
 */
import type { Timers } from '#kit';

export class Turns {
  readonly #timers: Timers;
  readonly #unitsMax: number;
  #units = 0;

  /** @param unitsMax so many units take well under a millisecond */
  constructor(timers: Timers, unitsMax: number) {
    this.#timers = timers;
    this.#unitsMax = unitsMax;
  }

  /** Counts units of work; true when it is time to await `next`. */
  over(units = 1): boolean {
    this.#units += units;
    return this.#units >= this.#unitsMax;
  }

  async next(): Promise<void> {
    this.#units = 0;
    await new Promise<void>((resolve) => this.#timers.soon(resolve));
  }
}

/** Sorts ascending without holding up anybody: sorted stretches, merged two by two. */
export async function sortInPieces(values: Float64Array, turns: Turns): Promise<Float64Array> {
  const stretch = 2048;
  for (let from = 0; from < values.length; from += stretch) {
    values.subarray(from, from + stretch).sort();
    if (turns.over(stretch)) await turns.next();
  }
  let source: Float64Array = values;
  let target: Float64Array = new Float64Array(values.length);
  for (let width = stretch; width < values.length; width *= 2) {
    for (let from = 0; from < values.length; from += 2 * width) {
      await mergeTwo(source, target, from, width, turns);
    }
    [source, target] = [target, source];
  }
  return source;
}

async function mergeTwo(
  source: Float64Array,
  target: Float64Array,
  from: number,
  width: number,
  turns: Turns,
): Promise<void> {
  const middle = Math.min(from + width, source.length);
  const end = Math.min(from + 2 * width, source.length);
  let [left, right] = [from, middle];
  for (let at = from; at < end; at++) {
    const fromLeft = right >= end || (left < middle && source[left]! <= source[right]!);
    target[at] = source[fromLeft ? left++ : right++]!;
    if (turns.over()) await turns.next();
  }
}
