/**
 * A map whose keys are kept in the order of their UTF-8 bytes, as catalogues sort them: inserts,
 * removals and ranges in the middle of a million keys cost microseconds. The order is a list of
 * short sorted runs, which needs one pointer per key.
 */

/** A run is split when it grows beyond this. */
const RUN_MAX = 512;

/** Orders strings by their UTF-8 bytes, which is not the order of `<` where surrogates occur. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x === y) continue;
    return x >= 0xd800 && y >= 0xd800 ? rank(x) - rank(y) : x - y;
  }
  return a.length - b.length;
}

/** Halves of a pair stand for characters beyond U+FFFF, so they come last. */
function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** The least string that is greater than `key`. */
export function keyAfter(key: string): string {
  return `${key}\0`;
}

/** Index of the first of `keys` that is not less than `key`. */
export function firstNotBelow(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class OrderedMap<V> {
  readonly #values = new Map<string, V>();
  /** Never empty runs; all keys of one are less than those of the next. */
  readonly #runs: string[][] = [];

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  set(key: string, value: V): void {
    if (!this.#values.has(key)) this.#insert(key);
    this.#values.set(key, value);
  }

  delete(key: string): boolean {
    if (!this.#values.delete(key)) return false;
    const at = this.#runOf(key);
    const run = this.#runs[at]!;
    if (run.length === 1) this.#runs.splice(at, 1);
    else run.splice(firstNotBelow(run, key), 1);
    return true;
  }

  /** Keys from `from` on, below `before` (null: to the end), at most `limit`. */
  keys(from: string, before: string | null, limit: number): string[] {
    const found: string[] = [];
    for (let at = this.#runOf(from); at < this.#runs.length; at++) {
      const run = this.#runs[at]!;
      let index = found.length === 0 ? firstNotBelow(run, from) : 0;
      for (; index < run.length; index++) {
        const key = run[index]!;
        if (found.length >= limit) return found;
        if (before !== null && compareKeys(key, before) >= 0) return found;
        found.push(key);
      }
    }
    return found;
  }

  clear(): void {
    this.#values.clear();
    this.#runs.length = 0;
  }

  #insert(key: string): void {
    let at = this.#runOf(key);
    if (at === this.#runs.length) {
      if (at === 0) {
        this.#runs.push([key]);
        return;
      }
      at--;
    }
    const run = this.#runs[at]!;
    run.splice(firstNotBelow(run, key), 0, key);
    if (run.length <= RUN_MAX) return;
    // Keys that come in order fill their runs; others leave room on both sides.
    const keep =
      run[run.length - 1] === key && at === this.#runs.length - 1 ? RUN_MAX : RUN_MAX / 2;
    this.#runs.splice(at + 1, 0, run.splice(keep));
  }

  /** The first run that ends at `key` or after it. */
  #runOf(key: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const run = this.#runs[middle]!;
      if (compareKeys(run[run.length - 1]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
