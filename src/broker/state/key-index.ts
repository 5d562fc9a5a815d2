/**
 * Where the newest value of each key lies: an offset and a size, found by the key, in the order of
 * the keys' UTF-8 bytes. It is a list of leaves outside the heap, so a million keys are some tens
 * of bytes each and nothing that a collector has to walk.
 */
import { Found, KeyLeaf } from './key-leaf.ts';

/** A leaf is split beyond either; a search reads half of one. */
const LEAF_KEYS_MAX = 64;
const LEAF_BYTES_MAX = 4096;
/** The bytes that an address may have; a longer key has room made for it. */
const KEY_BYTES = 65_536;
const UTF8_BYTES_MAX = 3;

export interface IndexedKey {
  readonly key: string;
  readonly offset: number;
  readonly size: number;
}

export class KeyIndex {
  /** Of the key that was looked for last, when there is one. */
  offset = -1;
  size = 0;
  readonly #leaves: KeyLeaf[] = [];
  /**
   * What parts a leaf from the one before it: bytes as one-byte characters, whose order is that of
   * the bytes, so that the engine's own comparison of strings does. The first one is not used.
   */
  readonly #borders: string[] = [];
  readonly #found = new Found();
  #wanted: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(KEY_BYTES);
  #read: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(KEY_BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Memory of the leaves. */
  get bytes(): number {
    let sum = 0;
    for (const leaf of this.#leaves) sum += leaf.bytes;
    return sum;
  }

  /** In the order of their keys. */
  get leaves(): readonly KeyLeaf[] {
    return this.#leaves;
  }

  /** Adds a leaf whose keys are all behind those that there are. */
  add(leaf: KeyLeaf): void {
    this.#append(this.#leaves.length, leaf);
    this.#count += leaf.count;
  }

  clear(): void {
    this.#leaves.length = 0;
    this.#borders.length = 0;
    this.#count = 0;
  }

  /** True when it is there: `offset` and `size` say where. */
  find(key: string): boolean {
    if (this.#leaves.length === 0) return false;
    const leaf = this.#leaves[this.#search(key)]!;
    if (!this.#found.exact) return false;
    this.offset = leaf.offsetAt(this.#found.valueAt);
    this.size = leaf.sizeAt(this.#found.valueAt);
    return true;
  }

  /** @returns true when there was one: `offset` and `size` say where it was */
  set(key: string, offset: number, size: number): boolean {
    if (this.#leaves.length === 0) {
      this.#leaves.push(new KeyLeaf());
      this.#borders.push('');
    }
    const length = this.#want(key);
    const at = this.#leafOf(key, length);
    const leaf = this.#leaves[at]!;
    leaf.find(this.#wanted, length, this.#found);
    if (this.#found.exact) {
      const { valueAt } = this.#found;
      this.offset = leaf.offsetAt(valueAt);
      this.size = leaf.sizeAt(valueAt);
      leaf.setValue(valueAt, offset, size);
      return true;
    }
    leaf.insert(this.#wanted, length, offset, size, this.#found);
    this.#count++;
    if (leaf.count > LEAF_KEYS_MAX || (leaf.used > LEAF_BYTES_MAX && leaf.count > 1)) {
      this.#append(at + 1, leaf.split(this.#read));
    }
    return false;
  }

  delete(key: string): boolean {
    if (this.#leaves.length === 0) return false;
    const at = this.#search(key);
    if (!this.#found.exact) return false;
    const leaf = this.#leaves[at]!;
    leaf.remove(this.#found);
    this.#count--;
    if (leaf.count === 0) {
      this.#leaves.splice(at, 1);
      this.#borders.splice(at, 1);
    }
    return true;
  }

  /** Keys from `from` on, below `before` (null: to the end), at most `limit`, in their order. */
  range(from: string, before: string | null, limit: number): IndexedKey[] {
    const keys: IndexedKey[] = [];
    if (this.#leaves.length === 0) return keys;
    const end = before === null ? null : Buffer.from(before);
    const key = this.#read;
    let index = this.#search(from);
    let startAt = this.#found.at;
    for (; index < this.#leaves.length && keys.length < limit; index++, startAt = 0) {
      const leaf = this.#leaves[index]!;
      for (let at = 0; at < leaf.used && keys.length < limit; ) {
        const { length, valueAt, next } = leaf.read(at, key);
        const isFrom = at >= startAt;
        at = next;
        if (!isFrom) continue;
        if (end !== null && end.compare(key, 0, length) <= 0) return keys;
        const offset = leaf.offsetAt(valueAt);
        keys.push({ key: key.toString('utf8', 0, length), offset, size: leaf.sizeAt(valueAt) });
      }
    }
    return keys;
  }

  /** About how many keys there are from `from` on and below `before`. */
  estimate(from: string, before: string | null): number {
    if (this.#leaves.length === 0) return 0;
    const first = this.#search(from);
    const last = before === null ? this.#leaves.length - 1 : this.#search(before);
    return Math.round(((last - first + 1) * this.#count) / this.#leaves.length);
  }

  /** Keys of that part, one of each of `count` leaves that lie apart. */
  sample(from: string, before: string | null, count: number): string[] {
    if (this.#leaves.length === 0) return [];
    const first = this.#search(from);
    const last = before === null ? this.#leaves.length - 1 : this.#search(before);
    const step = Math.max(1, Math.floor((last - first + 1) / count));
    const keys: string[] = [];
    for (let at = first; at <= last; at += step) {
      const { length } = this.#leaves[at]!.read(0, this.#read);
      keys.push(this.#read.toString('utf8', 0, length));
    }
    return keys;
  }

  /** The leaf where a key is, or would be; `#found` says where in it. */
  #search(key: string): number {
    const length = this.#want(key);
    const at = this.#leafOf(key, length);
    this.#leaves[at]!.find(this.#wanted, length, this.#found);
    return at;
  }

  #append(at: number, leaf: KeyLeaf): void {
    const { length } = leaf.read(0, this.#read);
    this.#leaves.splice(at, 0, leaf);
    this.#borders.splice(at, 0, this.#read.toString('latin1', 0, length));
  }

  /** The last leaf whose border is not behind the wanted key. */
  #leafOf(key: string, length: number): number {
    const wanted = length === key.length ? key : this.#wanted.toString('latin1', 0, length);
    const borders = this.#borders;
    let low = 0;
    let high = borders.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (borders[middle]! > wanted) high = middle - 1;
      else low = middle;
    }
    return low;
  }

  #want(key: string): number {
    if (key.length * UTF8_BYTES_MAX > this.#wanted.length) {
      const bytes = Buffer.byteLength(key);
      if (bytes > this.#wanted.length) {
        this.#wanted = Buffer.allocUnsafeSlow(2 * bytes);
        this.#read = Buffer.allocUnsafeSlow(2 * bytes);
      }
    }
    return this.#wanted.write(key, 'utf8');
  }
}
