/**
 * A set of numbers in pages of bits: dense stretches cost a bit each, full pages nothing at all,
 * and only touched pages exist. Keeps its order, so the smallest member is at hand.
 */
const PAGE_BITS = 1024;
const PAGE_WORDS = PAGE_BITS / 32;
const ALL = 0xffffffff;

/** All full pages are this one; it is never written to. */
const FULL = new Uint32Array(PAGE_WORDS).fill(ALL);

export class BitPages {
  /** Members. */
  size = 0;
  /** Numbers of the pages, ascending. */
  readonly #numbers: number[] = [];
  readonly #pages = new Map<number, Uint32Array>();

  /** Pages in memory, the full ones too. */
  get pageCount(): number {
    return this.#numbers.length;
  }

  has(value: number): boolean {
    const page = this.#pages.get(Math.floor(value / PAGE_BITS));
    if (page === undefined) return false;
    const bit = value % PAGE_BITS;
    return (page[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }

  /** Adds from … to - 1. @returns how many of them are new */
  add(from: number, to: number = from + 1): number {
    const before = this.size;
    while (from < to) {
      const number = Math.floor(from / PAGE_BITS);
      const start = number * PAGE_BITS;
      const end = Math.min(to, start + PAGE_BITS);
      this.#addInPage(number, from - start, end - start);
      from = end;
    }
    return this.size - before;
  }

  delete(value: number): boolean {
    if (!this.has(value)) return false;
    const number = Math.floor(value / PAGE_BITS);
    let page = this.#pages.get(number)!;
    if (page === FULL) {
      page = new Uint32Array(FULL);
      this.#pages.set(number, page);
    }
    const bit = value % PAGE_BITS;
    page[bit >>> 5]! &= ~(1 << (bit & 31));
    this.size--;
    if (this.size === 0) this.clear();
    else if (page[bit >>> 5] === 0 && page.every((word) => word === 0)) this.#drop(number);
    return true;
  }

  clear(): void {
    this.#numbers.length = 0;
    this.#pages.clear();
    this.size = 0;
  }

  /** The smallest member, or Infinity. */
  get first(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.nextMember(this.#firstStart());
  }

  /** The smallest member at or after `value`, or Infinity. */
  nextMember(value: number): number {
    const numbers = this.#numbers;
    let index = this.#indexOf(Math.floor(value / PAGE_BITS));
    for (; index < numbers.length; index++) {
      const start = numbers[index]! * PAGE_BITS;
      const bit = findBit(this.#pages.get(numbers[index]!)!, Math.max(0, value - start), 0);
      if (bit < PAGE_BITS) return start + bit;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The smallest number at or after `value` that is no member. */
  nextGap(value: number): number {
    while (true) {
      const number = Math.floor(value / PAGE_BITS);
      const page = this.#pages.get(number);
      if (page === undefined) return value;
      const start = number * PAGE_BITS;
      const bit = page === FULL ? PAGE_BITS : findBit(page, value - start, ALL);
      if (bit < PAGE_BITS) return start + bit;
      value = start + PAGE_BITS;
    }
  }

  /** Members at or after `value`. */
  countFrom(value: number): number {
    let count = 0;
    for (let index = this.#indexOf(Math.floor(value / PAGE_BITS)); ; index++) {
      const number = this.#numbers[index];
      if (number === undefined) return count;
      const page = this.#pages.get(number)!;
      const skip = value - number * PAGE_BITS;
      if (skip <= 0) count += page === FULL ? PAGE_BITS : countBits(page, 0);
      else count += countBits(page, skip);
    }
  }

  /** Members below `value`. */
  countBelow(value: number): number {
    const limit = Math.floor(value / PAGE_BITS);
    let count = 0;
    for (const number of this.#numbers) {
      if (number > limit) break;
      const page = this.#pages.get(number)!;
      count += page === FULL ? PAGE_BITS : countBits(page, 0);
      if (number === limit) count -= countBits(page, value - number * PAGE_BITS);
    }
    return count;
  }

  /** Removes members below `value`. */
  dropBelow(value: number): void {
    const limit = Math.floor(value / PAGE_BITS);
    const numbers = this.#numbers;
    let gone = 0;
    for (; gone < numbers.length && numbers[gone]! < limit; gone++) {
      const page = this.#pages.get(numbers[gone]!)!;
      this.size -= page === FULL ? PAGE_BITS : countBits(page, 0);
      this.#pages.delete(numbers[gone]!);
    }
    if (gone > 0) numbers.splice(0, gone);
    const start = limit * PAGE_BITS;
    if (numbers[0] !== limit || value === start) return;
    for (let at = this.nextMember(start); at < value; at = this.nextMember(at + 1)) this.delete(at);
  }

  /** Members as ranges: from (inclusive), to (exclusive), ascending, apart. */
  *ranges(): Generator<readonly [from: number, to: number]> {
    let from = this.first;
    while (from !== Number.POSITIVE_INFINITY) {
      const to = this.nextGap(from);
      yield [from, to];
      from = this.nextMember(to);
    }
  }

  #addInPage(number: number, from: number, to: number): void {
    let page = this.#pages.get(number);
    if (page === FULL) return;
    if (page === undefined) {
      this.#numbers.splice(this.#indexOf(number), 0, number);
      if (to - from === PAGE_BITS) {
        this.#pages.set(number, FULL);
        this.size += PAGE_BITS;
        return;
      }
      page = new Uint32Array(PAGE_WORDS);
      this.#pages.set(number, page);
    }
    let whole = true;
    for (let word = from >>> 5; word <= (to - 1) >>> 5; word++) {
      const low = Math.max(from - word * 32, 0);
      const high = Math.min(to - word * 32, 32);
      const mask = (high === 32 ? ALL : (1 << high) - 1) & (ALL << low);
      const added = mask & ~page[word]!;
      if (added !== 0) this.size += bitCount(added);
      page[word]! |= mask;
      if (page[word] !== ALL) whole = false;
    }
    if (whole && page.every((word) => word === ALL)) this.#pages.set(number, FULL);
  }

  #drop(number: number): void {
    this.#pages.delete(number);
    this.#numbers.splice(this.#indexOf(number), 1);
  }

  #firstStart(): number {
    return this.#numbers[0]! * PAGE_BITS;
  }

  /** Index of the first page that is not before `number`. */
  #indexOf(number: number): number {
    const numbers = this.#numbers;
    let high = numbers.length;
    if (high === 0 || number > numbers[high - 1]!) return high;
    let low = 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (numbers[middle]! < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** First bit at or after `from` that is set (`flip` 0) or not set (`flip` ALL); else PAGE_BITS. */
function findBit(page: Uint32Array, from: number, flip: number): number {
  if (from >= PAGE_BITS) return PAGE_BITS;
  let word = from >>> 5;
  let bits = (page[word]! ^ flip) & (ALL << (from & 31));
  while (bits === 0) {
    if (++word === PAGE_WORDS) return PAGE_BITS;
    bits = page[word]! ^ flip;
  }
  return word * 32 + (31 - Math.clz32(bits & -bits));
}

function countBits(page: Uint32Array, from: number): number {
  if (from >= PAGE_BITS) return 0;
  let word = from >>> 5;
  let count = bitCount(page[word]! & (ALL << (from & 31)));
  while (++word < PAGE_WORDS) count += bitCount(page[word]!);
  return count;
}

function bitCount(bits: number): number {
  bits -= (bits >>> 1) & 0x55555555;
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24) & 0xff;
}
