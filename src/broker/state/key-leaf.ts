/**
 * One leaf of a `KeyIndex`: keys in the order of their bytes in one buffer, outside the heap. Each
 * stands as what it shares with the key before it, and the rest; behind it lie an offset and a
 * size. A search compares each byte of the wanted key once, whatever the number of keys.
 */

/** Behind each key: an offset of six bytes, a size of four. */
const VALUE_BYTES = 10;
/** Two lengths of up to three bytes each. */
const LENGTHS_BYTES_MAX = 6;
const FIRST_BYTES = 256;
const HIGH = 2 ** 32;

/** Where a search ended; one for all leaves, since nothing runs between a search and its use. */
export class Found {
  /** The key is there. */
  exact = false;
  /** Its entry, or the first one behind its place. */
  at = 0;
  /** Where the rest of that entry's key begins, and its value. */
  restAt = 0;
  valueAt = 0;
  /** What the wanted key shares with the key before its place, and with the one behind. */
  before = 0;
  behind = 0;
}

export class KeyLeaf {
  count = 0;
  used = 0;
  #bytes: Buffer;

  constructor(capacity = FIRST_BYTES) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** A leaf of `count` keys, from its `stored` bytes. */
  static of(stored: Buffer, count: number): KeyLeaf {
    const leaf = new KeyLeaf(stored.length);
    stored.copy(leaf.#bytes);
    leaf.used = stored.length;
    leaf.count = count;
    return leaf;
  }

  get bytes(): number {
    return this.#bytes.length;
  }

  get stored(): Buffer {
    return this.#bytes.subarray(0, this.used);
  }

  find(key: Uint8Array, length: number, found: Found): void {
    const bytes = this.#bytes;
    let at = 0;
    // Bytes of the wanted key that the key before has as well.
    let same = 0;
    found.exact = false;
    found.behind = 0;
    while (at < this.used) {
      const shared = lengthAt(bytes, at);
      const lengthsEnd = at + sizeOfLength(shared);
      const rest = lengthAt(bytes, lengthsEnd);
      const restAt = lengthsEnd + sizeOfLength(rest);
      const valueAt = restAt + rest;
      if (shared < same) {
        setFound(found, at, restAt, valueAt);
        found.behind = shared;
        found.before = same;
        return;
      }
      if (shared === same) {
        let index = 0;
        while (index < rest && same + index < length && bytes[restAt + index] === key[same + index])
          index++;
        const isWhole = same + index === length;
        if (isWhole || (index < rest && bytes[restAt + index]! > key[same + index]!)) {
          setFound(found, at, restAt, valueAt);
          found.exact = isWhole && index === rest;
          found.behind = same + index;
          found.before = same;
          return;
        }
        same += index;
      }
      at = valueAt + VALUE_BYTES;
    }
    setFound(found, at, at, at);
    found.before = same;
  }

  offsetAt(valueAt: number): number {
    const bytes = this.#bytes;
    return bytes.readUInt16LE(valueAt + 4) * HIGH + bytes.readUInt32LE(valueAt);
  }

  sizeAt(valueAt: number): number {
    return this.#bytes.readUInt32LE(valueAt + 6);
  }

  setValue(valueAt: number, offset: number, size: number): void {
    const bytes = this.#bytes;
    bytes.writeUInt32LE(offset % HIGH, valueAt);
    bytes.writeUInt16LE(Math.floor(offset / HIGH), valueAt + 4);
    bytes.writeUInt32LE(size, valueAt + 6);
  }

  /** @param found by a search for the key, which is not there */
  insert(key: Uint8Array, length: number, offset: number, size: number, found: Found): void {
    const { at, before, behind, restAt } = found;
    const rest = length - before;
    const own = sizeOfLength(before) + sizeOfLength(rest) + rest + VALUE_BYTES;
    let removed = 0;
    let lengths = 0;
    let nextRest = 0;
    // The key behind shares more with this one than with the one before: it gets shorter.
    const nextShared = at < this.used ? lengthAt(this.#bytes, at) : 0;
    const isShorter = at < this.used && behind > nextShared;
    if (isShorter) {
      nextRest = found.valueAt - restAt - (behind - nextShared);
      lengths = sizeOfLength(behind) + sizeOfLength(nextRest);
      removed = restAt + (behind - nextShared) - at;
    }
    this.#resize(at, removed, own + lengths);
    const bytes = this.#bytes;
    let to = writeLength(bytes, at, before);
    to = writeLength(bytes, to, rest);
    for (let index = before; index < length; index++) bytes[to++] = key[index]!;
    this.setValue(to, offset, size);
    if (isShorter) {
      to = writeLength(bytes, to + VALUE_BYTES, behind);
      writeLength(bytes, to, nextRest);
    }
    this.count++;
  }

  /** @param found by a search for the key, which is there */
  remove(found: Found): void {
    const { at, restAt, valueAt } = found;
    const bytes = this.#bytes;
    const next = valueAt + VALUE_BYTES;
    this.count--;
    const shared = lengthAt(bytes, at);
    const nextShared = next < this.used ? lengthAt(bytes, next) : 0;
    if (nextShared <= shared) {
      this.#resize(at, next - at, 0);
      return;
    }
    // The key behind loses what it shared with this one alone: it gets that itself.
    const nextLengthsEnd = next + sizeOfLength(nextShared);
    const nextRest = lengthAt(bytes, nextLengthsEnd);
    const nextRestAt = nextLengthsEnd + sizeOfLength(nextRest);
    const given = nextShared - shared;
    const taken = Buffer.from(bytes.subarray(restAt, restAt + given));
    const lengths = sizeOfLength(shared) + sizeOfLength(nextRest + given);
    this.#resize(at, nextRestAt - at, lengths + given);
    const target = this.#bytes;
    let to = writeLength(target, at, shared);
    to = writeLength(target, to, nextRest + given);
    target.set(taken, to);
  }

  /** Moves the upper half of the keys into a new leaf. @param key room for the longest key */
  split(key: Uint8Array): KeyLeaf {
    const bytes = this.#bytes;
    const keep = this.count >>> 1;
    let at = 0;
    for (let index = 0; index < keep; index++) at = this.read(at, key).next;
    const first = this.read(at, key);
    const tail = this.used - first.next + VALUE_BYTES;
    const upper = new KeyLeaf(LENGTHS_BYTES_MAX + first.length + tail + FIRST_BYTES);
    let to = writeLength(upper.#bytes, 0, 0);
    to = writeLength(upper.#bytes, to, first.length);
    upper.#bytes.set(key.subarray(0, first.length), to);
    bytes.copy(upper.#bytes, to + first.length, first.next - VALUE_BYTES, this.used);
    upper.used = to + first.length + tail;
    upper.count = this.count - keep;
    const lower = Buffer.allocUnsafeSlow(at + FIRST_BYTES);
    bytes.copy(lower, 0, 0, at);
    this.#bytes = lower;
    this.used = at;
    this.count = keep;
    return upper;
  }

  /** Completes the key of the entry at `at`: `key` has the one before it. */
  read(at: number, key: Uint8Array): { length: number; valueAt: number; next: number } {
    const bytes = this.#bytes;
    const shared = lengthAt(bytes, at);
    const lengthsEnd = at + sizeOfLength(shared);
    const rest = lengthAt(bytes, lengthsEnd);
    const restAt = lengthsEnd + sizeOfLength(rest);
    for (let index = 0; index < rest; index++) key[shared + index] = bytes[restAt + index]!;
    const valueAt = restAt + rest;
    return { length: shared + rest, valueAt, next: valueAt + VALUE_BYTES };
  }

  /** Puts `added` bytes without meaning in the place of `removed` ones. */
  #resize(at: number, removed: number, added: number): void {
    const used = this.used + added - removed;
    const bytes = this.#bytes;
    if (used > bytes.length || used + 4 * FIRST_BYTES < bytes.length >>> 1) {
      const other = Buffer.allocUnsafeSlow(used + (used >>> 3) + FIRST_BYTES / 2);
      bytes.copy(other, 0, 0, at);
      bytes.copy(other, at + added, at + removed, this.used);
      this.#bytes = other;
    } else bytes.copyWithin(at + added, at + removed, this.used);
    this.used = used;
  }
}

function setFound(found: Found, at: number, restAt: number, valueAt: number): void {
  found.at = at;
  found.restAt = restAt;
  found.valueAt = valueAt;
}

/** Lengths of up to 21 bits, seven to a byte. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return first;
  const second = bytes[at + 1]!;
  if (second < 0x80) return (first & 0x7f) | (second << 7);
  return (first & 0x7f) | ((second & 0x7f) << 7) | (bytes[at + 2]! << 14);
}

function sizeOfLength(length: number): number {
  if (length < 0x80) return 1;
  return length < 0x4000 ? 2 : 3;
}

function writeLength(bytes: Uint8Array, at: number, length: number): number {
  if (length < 0x80) {
    bytes[at] = length;
    return at + 1;
  }
  bytes[at] = (length & 0x7f) | 0x80;
  if (length < 0x4000) {
    bytes[at + 1] = length >>> 7;
    return at + 2;
  }
  bytes[at + 1] = ((length >>> 7) & 0x7f) | 0x80;
  bytes[at + 2] = length >>> 14;
  return at + 3;
}
