/**
 * Texts with numbers: finds the number of a text, and the text of a number. An open-addressing
 * table over typed arrays, with the texts in an arena: some 20 bytes for each beside its text.
 */
import { ByteArena } from './byte-arena.ts';
import { grownRows, grownWords } from './numbers.ts';

const FIRST_SLOTS = 512;
/** Part of the slots that may be taken. */
const LOAD = 0.75;

export class TextTable {
  size = 0;
  readonly #arena = new ByteArena();
  /** Number + 1 of the text in a slot; 0: free. */
  #slots = new Uint32Array(FIRST_SLOTS);
  #hashes = new Uint32Array(0);
  /** Where the text lies; of a free number 0. */
  #places = new Uint32Array(0);
  /** The last text that was looked for, which is often added then, and its hash. */
  #hashed = '';
  #hash = hashOf('');
  /** Numbers given so far, and the first of those that came back (their hash is the next one). */
  #rows = 0;
  #free = -1;

  /** Numbers are below this. */
  get capacity(): number {
    return this.#places.length;
  }

  /** Numbers that were ever given are below this. */
  get end(): number {
    return this.#rows;
  }

  get bytes(): number {
    const { length } = this.#places;
    return this.#slots.byteLength + 8 * length + this.#arena.bytes;
  }

  has(number: number): boolean {
    return number < this.#rows && this.#places[number] !== 0;
  }

  textOf(number: number): string {
    return this.#arena.get(this.#places[number]!);
  }

  /** The number of a text, or -1. */
  find(text: string): number {
    if (this.size === 0) return -1;
    const slot = this.#slotOf(text, this.#hashOnce(text));
    return this.#slots[slot]! - 1;
  }

  /** @param text is not in the table */
  add(text: string): number {
    if (this.size + 1 > this.#slots.length * LOAD) this.#growSlots();
    const hash = this.#hashOnce(text);
    const number = this.#newNumber();
    this.#hashes[number] = hash;
    this.#places[number] = this.#arena.add(text);
    this.#slots[this.#freeSlot(hash)] = number + 1;
    this.size++;
    return number;
  }

  remove(number: number): void {
    this.#clearSlot(number);
    this.#arena.remove(this.#places[number]!);
    this.#places[number] = 0;
    this.#hashes[number] = this.#free + 1;
    this.#free = number;
    this.size--;
  }

  #hashOnce(text: string): number {
    if (text !== this.#hashed) {
      this.#hash = hashOf(text);
      this.#hashed = text;
    }
    return this.#hash;
  }

  #newNumber(): number {
    if (this.#free >= 0) {
      const number = this.#free;
      this.#free = this.#hashes[number]! - 1;
      return number;
    }
    const number = this.#rows++;
    if (number >= this.#places.length) {
      const rows = grownRows(this.#places.length, this.#rows);
      this.#places = grownWords(this.#places, rows);
      this.#hashes = grownWords(this.#hashes, rows);
    }
    return number;
  }

  /** The slot of a text, or the free one where it is looked for last. */
  #slotOf(text: string, hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let row = this.#slots[slot]!; row !== 0; row = this.#slots[slot]!) {
      if (this.#hashes[row - 1] === hash && this.textOf(row - 1) === text) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #freeSlot(hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    return slot;
  }

  /** Moves what stands behind it back, so that no search ends before its place. */
  #clearSlot(number: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#hashes[number]! & mask;
    while (slots[hole] !== number + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#hashes[slots[slot]! - 1]! & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots[hole] = slots[slot]!;
      hole = slot;
    }
    slots[hole] = 0;
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let number = 0; number < this.#rows; number++) {
      if (this.#places[number] !== 0) {
        this.#slots[this.#freeSlot(this.#hashes[number]!)] = number + 1;
      }
    }
  }
}

/** FNV-1a over the UTF-16 units, with its bits mixed once more at the end. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
