/**
 * The last offset of each key, for compaction: an open hash table of fixed size, 24 bytes a key. A
 * key is known by 16 bytes: a short one is itself, a longer one is the front of its SHA-256, so
 * that nobody can find two keys that pass for one.
 */
import { hash } from 'node:crypto';

export const KEY_BYTES = 24;

const WORDS = 4;
/** Longest key that fits into the 16 bytes beside its length. */
const SHORT_MAX = 15;
/** In place of the length: not a short key. */
const HASHED = 0xff;
/** A table that is fuller than this gets slow. */
const LOAD_MAX = 0.75;
const EMPTY = -1;

export class KeyOffsets {
  readonly #keys: Uint32Array;
  readonly #offsets: Float64Array;
  readonly #mask: number;
  readonly #seed: number;
  readonly #word = new Uint32Array(WORDS);
  readonly #wordBytes = new Uint8Array(this.#word.buffer);
  /** Keys that fit in still. */
  room: number;

  /**
   * @param keys how many shall fit in, if `bytesMax` allows
   * @param seed a random number: whoever chooses the keys cannot choose where they lie
   */
  constructor(keys: number, bytesMax: number, seed: number) {
    let places = 1024;
    while (places * LOAD_MAX < keys && places * 2 * KEY_BYTES <= bytesMax) places *= 2;
    this.#keys = new Uint32Array(places * WORDS);
    this.#offsets = new Float64Array(places).fill(EMPTY);
    this.#mask = places - 1;
    this.#seed = seed;
    this.room = Math.floor(places * LOAD_MAX);
  }

  /** Later offsets come later. There must be room for one more key. */
  put(key: Buffer, offset: number): void {
    const place = this.#find(key);
    if (this.#offsets[place] === EMPTY) {
      this.#keys.set(this.#word, place * WORDS);
      this.room--;
    }
    this.#offsets[place] = offset;
  }

  /** -1 when the key is not known. */
  get(key: Buffer): number {
    return this.#offsets[this.#find(key)]!;
  }

  #find(key: Buffer): number {
    this.#abridge(key);
    const [keys, offsets, mask] = [this.#keys, this.#offsets, this.#mask];
    const [a, b, c, d] = [this.#word[0]!, this.#word[1]!, this.#word[2]!, this.#word[3]!];
    let mixed = this.#seed;
    mixed = mix(mixed ^ a);
    mixed = mix(mixed ^ b);
    mixed = mix(mixed ^ c);
    mixed = mix(mixed ^ d);
    for (let place = mixed & mask; ; place = (place + 1) & mask) {
      if (offsets[place] === EMPTY) return place;
      const at = place * WORDS;
      if (keys[at] === a && keys[at + 1] === b && keys[at + 2] === c && keys[at + 3] === d) {
        return place;
      }
    }
  }

  #abridge(key: Buffer): void {
    const bytes = this.#wordBytes;
    if (key.length <= SHORT_MAX) {
      bytes.fill(0);
      bytes[0] = key.length;
      bytes.set(key, 1);
    } else {
      bytes.set(hash('sha256', key, 'buffer').subarray(0, SHORT_MAX + 1));
      bytes[0] = HASHED;
    }
  }
}

/** Spreads 32 bits over 32 bits (the last steps of MurmurHash3). */
function mix(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return value ^ (value >>> 16);
}
