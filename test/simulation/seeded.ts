/** Random numbers of a seed. Each part of the world has a stream of its own, by name. */
import { crc32c, type Random } from '#kit';

export class Seeded implements Random {
  #state: number;
  readonly #seed: number;

  constructor(seed: number, name = '') {
    this.#seed = seed;
    this.#state = crc32c(Buffer.from(`${seed}/${name}`));
  }

  /** Another stream of the same seed: what one part draws does not shift what others get. */
  fork(name: string): Seeded {
    return new Seeded(this.#seed, name);
  }

  /** mulberry32 */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count);
    for (let at = 0; at < count; at++) bytes[at] = Math.floor(this.next() * 256);
    return bytes;
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.next() * all.length)]!;
  }
}
