/**
 * Message bodies that follow from their number: `17:` and padding whose length and bytes the number
 * decides. So every byte that comes back can be checked without keeping what was sent.
 */
import { Seed } from './seed.ts';

const POOL_BYTES = 1 << 16;
const COLON = 58;
/** Steps through the pool and the lengths; odd, so that neighbours differ. */
const POOL_STEP = 7919;
const LENGTH_STEP = 2654435761;

export interface BodySizes {
  readonly least: number;
  readonly most: number;
}

export class Bodies {
  readonly #sizes: BodySizes;
  readonly #pool: Buffer;

  constructor(seed: number, sizes: BodySizes) {
    this.#sizes = sizes;
    const random = new Seed(seed);
    this.#pool = Buffer.alloc(POOL_BYTES + sizes.most);
    for (let at = 0; at < this.#pool.length; at++) this.#pool[at] = random.between(33, 126);
  }

  of(number: number): Buffer {
    const { least, most } = this.#sizes;
    const length = least + ((Math.imul(number, LENGTH_STEP) >>> 0) % (most - least + 1));
    const from = (number * POOL_STEP) % POOL_BYTES;
    return Buffer.concat([Buffer.from(`${number}:`), this.#pool.subarray(from, from + length)]);
  }

  /** The number of a body that is whole; -1 for anything else. */
  numberOf(body: Uint8Array | null): number {
    if (body === null) return -1;
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const colon = bytes.indexOf(COLON);
    const digits = bytes.toString('latin1', 0, Math.max(0, colon));
    if (!/^\d{1,15}$/.test(digits)) return -1;
    const number = Number(digits);
    return this.of(number).equals(bytes) ? number : -1;
  }
}
