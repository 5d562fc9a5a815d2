/**
 * Reads the primitive types of the Kafka protocol from one frame. Every method checks the bytes
 * that are left before it touches or allocates anything, and answers bad input with a
 * `ProtocolError` that names the field: nothing else is ever thrown.
 */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '#kit';
import { KNOWN_BYTES_MAX, KnownTexts } from './known-texts.ts';
import { ZERO_UUID } from './rows.ts';

const TWO_32 = 0x100000000;
/** Compact strings could be longer; then no older version could carry them any more. */
const STRING_BYTES_MAX = 0x7fff;
/** Elements of all arrays of one frame: each costs far more memory and time than its bytes. */
const ELEMENTS_MAX = 200_000;

const knownTexts = new KnownTexts();

export class Reader {
  bytes: Buffer;
  at: number;
  end: number;
  #elements = 0;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  fail(field: string, detail: string): never {
    throw new ProtocolError(field, this.at, detail);
  }

  /** Takes `size` bytes: returns where they start. */
  #take(size: number, field: string): number {
    const at = this.at;
    if (size > this.end - at) this.fail(field, `${size} bytes wanted, ${this.end - at} left`);
    this.at = at + size;
    return at;
  }

  bool(field: string): boolean {
    return this.bytes[this.#take(1, field)] !== 0;
  }

  int8(field: string): number {
    return (this.bytes[this.#take(1, field)]! << 24) >> 24;
  }

  int16(field: string): number {
    const at = this.#take(2, field);
    return ((this.bytes[at]! << 24) >> 16) | this.bytes[at + 1]!;
  }

  uint16(field: string): number {
    return this.bytes.readUInt16BE(this.#take(2, field));
  }

  int32(field: string): number {
    return longAt(this.bytes, this.#take(4, field));
  }

  uint32(field: string): number {
    return this.bytes.readUInt32BE(this.#take(4, field));
  }

  /**
   * Offsets, times and producer ids of ours are below 2^53. A larger number of a client (such as
   * Long.MAX_VALUE for "never") becomes the nearest safe one, which compares the same.
   */
  int64(field: string): number {
    const at = this.#take(8, field);
    const value = longAt(this.bytes, at) * TWO_32 + (longAt(this.bytes, at + 4) >>> 0);
    if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
    return Math.max(value, Number.MIN_SAFE_INTEGER);
  }

  float64(field: string): number {
    return this.bytes.readDoubleBE(this.#take(8, field));
  }

  uuid(field: string): string {
    const at = this.#take(16, field);
    const hex = this.bytes.toString('hex', at, at + 16);
    if (hex === '00000000000000000000000000000000') return ZERO_UUID;
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  /** UNSIGNED_VARINT: at most 5 bytes, 32 bits. */
  unsigned(field: string): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.#take(1, field)]!;
      if (shift === 28 && byte > 0x0f) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    this.fail(field, 'variable-length number is too long');
  }

  string(field: string): string {
    return this.#text(this.int16(field), field) ?? this.#noNull(field);
  }

  nullableString(field: string): string | null {
    return this.#text(this.int16(field), field);
  }

  compactString(field: string): string {
    return this.#text(this.unsigned(field) - 1, field) ?? this.#noNull(field);
  }

  compactNullableString(field: string): string | null {
    return this.#text(this.unsigned(field) - 1, field);
  }

  blob(field: string): Buffer {
    return this.#slice(this.int32(field), field) ?? this.#noNull(field);
  }

  nullableBlob(field: string): Buffer | null {
    return this.#slice(this.int32(field), field);
  }

  compactBlob(field: string): Buffer {
    return this.#slice(this.unsigned(field) - 1, field) ?? this.#noNull(field);
  }

  compactNullableBlob(field: string): Buffer | null {
    return this.#slice(this.unsigned(field) - 1, field);
  }

  /** Number of elements, -1 for null. `elementBytesMin`: what one element takes at least (K8). */
  arrayCount(elementBytesMin: number, field: string): number {
    return this.#count(this.int32(field), elementBytesMin, field);
  }

  compactArrayCount(elementBytesMin: number, field: string): number {
    return this.#count(this.unsigned(field) - 1, elementBytesMin, field);
  }

  noNullArray(count: number, field: string): void {
    if (count < 0) this.#noNull(field);
  }

  /** Number of tagged fields; each takes two bytes at least. */
  tagCount(field: string): number {
    return this.#count(this.unsigned(field), 2, field);
  }

  /** Size of a tagged field's value: returns the position after it. */
  tagEnd(field: string): number {
    const size = this.unsigned(field);
    if (size > this.end - this.at) this.fail(field, `tagged field of ${size} bytes is cut off`);
    return this.at + size;
  }

  /** Asserts that a known tagged field filled exactly its size. */
  closeTag(end: number, field: string): void {
    if (this.at !== end) this.fail(field, 'tagged field has another size than it says');
  }

  /** Skips all tagged fields of a level that has none we know. */
  skipTags(field: string): void {
    for (let left = this.tagCount(field); left > 0; left--) {
      this.unsigned(field);
      this.at = this.tagEnd(field);
    }
  }

  /** Marker of a nullable struct: -1 is null. */
  present(field: string): boolean {
    return this.int8(field) >= 0;
  }

  #count(count: number, elementBytesMin: number, field: string): number {
    if (count < -1) this.fail(field, `array length ${count}`);
    if (count * elementBytesMin > this.end - this.at) {
      this.fail(field, `${count} elements cannot fit in ${this.end - this.at} bytes`);
    }
    if (count > 0) this.#elements += count;
    if (this.#elements > ELEMENTS_MAX) {
      this.fail(field, `more than ${ELEMENTS_MAX} elements in one frame`);
    }
    return count;
  }

  #text(size: number, field: string): string | null {
    if (size < 0) return this.#null(size, field);
    if (size > STRING_BYTES_MAX) this.fail(field, `string of ${size} bytes`);
    const at = this.#take(size, field);
    if (size === 0) return '';
    if (size <= KNOWN_BYTES_MAX) return knownTexts.read(this, at, size, field);
    return this.decode(at, size, field);
  }

  decode(at: number, size: number, field: string): string {
    const text = this.bytes.toString('utf8', at, at + size);
    // The replacement character is legal in itself, so only its presence asks for the slow check.
    if (text.includes('\ufffd') && !isUtf8(this.bytes.subarray(at, at + size))) {
      this.fail(field, 'not UTF-8');
    }
    return text;
  }

  #slice(size: number, field: string): Buffer | null {
    if (size < 0) return this.#null(size, field);
    const at = this.#take(size, field);
    return this.bytes.subarray(at, at + size);
  }

  #null(size: number, field: string): null {
    if (size !== -1) this.fail(field, `length ${size}`);
    return null;
  }

  #noNull(field: string): never {
    this.fail(field, 'must not be null');
  }
}

/** The methods of `Buffer` check again what `#take` has checked. */
function longAt(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
