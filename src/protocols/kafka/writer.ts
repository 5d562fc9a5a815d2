/**
 * Writes the primitive types of the Kafka protocol into a chain of blocks. Nothing written is ever
 * moved or copied: when a block is full the next one is chained, and foreign chunks (record batches
 * from storage) are hung in between as they are. `take` hands out what was written as a list of
 * chunks; the rest of the block serves the next response, of whatever connection.
 */
import { assert, unsignedSize } from '#kit';

const BLOCK_BYTES = 16 * 1024;
const TWO_32 = 0x100000000;
const SHORT_TEXT_MAX = 64;

/** A place inside what was written, to be filled in later. */
export interface Mark {
  readonly block: Buffer;
  readonly at: number;
  readonly total: number;
}

export class Writer {
  #block: Buffer;
  #at = 0;
  /** Where in the block the bytes start that are in no chunk yet. */
  #from = 0;
  /** Bytes in `#chunks`. */
  #chunked = 0;
  #chunks: Uint8Array[] = [];

  constructor(blockBytes = BLOCK_BYTES) {
    this.#block = Buffer.allocUnsafeSlow(blockBytes);
  }

  /** Bytes written since the last `take`. */
  get size(): number {
    return this.#chunked + this.#at - this.#from;
  }

  /** Everything since the last `take`, in order. */
  take(): Uint8Array[] {
    this.#cut();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#chunked = 0;
    return chunks;
  }

  /** Drops everything since the last `take`. */
  discard(): void {
    this.take();
  }

  /** Begins a frame: leaves room for its size. */
  open(): Mark {
    const at = this.#room(4);
    return { block: this.#block, at, total: this.size };
  }

  close(mark: Mark): void {
    mark.block.writeInt32BE(this.size - mark.total, mark.at);
  }

  bool(value: boolean): void {
    const at = this.#room(1);
    this.#block[at] = value ? 1 : 0;
  }

  int8(value: number): void {
    const at = this.#room(1);
    this.#block[at] = value;
  }

  int16(value: number): void {
    const at = this.#room(2);
    this.#block[at] = value >>> 8;
    this.#block[at + 1] = value;
  }

  uint16(value: number): void {
    const at = this.#room(2);
    this.#block.writeUInt16BE(value, at);
  }

  int32(value: number): void {
    const at = this.#room(4);
    putLong(this.#block, at, value);
  }

  uint32(value: number): void {
    const at = this.#room(4);
    this.#block.writeUInt32BE(value, at);
  }

  int64(value: number): void {
    assert(Number.isSafeInteger(value), 'an int64 of ours is a safe integer');
    const at = this.#room(8);
    const high = Math.floor(value / TWO_32);
    putLong(this.#block, at, high);
    putLong(this.#block, at + 4, value - high * TWO_32);
  }

  float64(value: number): void {
    const at = this.#room(8);
    this.#block.writeDoubleBE(value, at);
  }

  uuid(value: string): void {
    const at = this.#room(16);
    const written = this.#block.write(value.replaceAll('-', ''), at, 16, 'hex');
    assert(written === 16, 'a uuid has 32 hexadecimal digits');
  }

  unsigned(value: number): void {
    let at = this.#room(unsignedSize(value));
    while (value >= 0x80) {
      this.#block[at++] = (value & 0x7f) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#block[at] = value;
  }

  string(value: string): void {
    if (value.length <= SHORT_TEXT_MAX && this.#short(value)) return;
    const size = Buffer.byteLength(value);
    assert(size <= 0x7fff, 'a string is below 32 KiB');
    this.int16(size);
    this.#text(value, size);
  }

  /** Names, mostly: a loop beats two calls into native code. False when it is not all ASCII. */
  #short(value: string): boolean {
    const { length } = value;
    const at = this.#room(2 + length);
    const block = this.#block;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) {
        this.#at = at;
        return false;
      }
      block[at + 2 + index] = code;
    }
    block[at] = 0;
    block[at + 1] = length;
    return true;
  }

  nullableString(value: string | null): void {
    if (value === null) this.int16(-1);
    else this.string(value);
  }

  compactString(value: string): void {
    const size = Buffer.byteLength(value);
    this.unsigned(size + 1);
    this.#text(value, size);
  }

  compactNullableString(value: string | null): void {
    if (value === null) this.unsigned(0);
    else this.compactString(value);
  }

  blob(value: Uint8Array | readonly Uint8Array[]): void {
    this.int32(sizeOf(value));
    this.#raw(value);
  }

  nullableBlob(value: Uint8Array | readonly Uint8Array[] | null): void {
    if (value === null) this.int32(-1);
    else this.blob(value);
  }

  compactBlob(value: Uint8Array | readonly Uint8Array[]): void {
    this.unsigned(sizeOf(value) + 1);
    this.#raw(value);
  }

  compactNullableBlob(value: Uint8Array | readonly Uint8Array[] | null): void {
    if (value === null) this.unsigned(0);
    else this.compactBlob(value);
  }

  arrayCount(count: number): void {
    this.int32(count);
  }

  compactArrayCount(count: number): void {
    this.unsigned(count + 1);
  }

  /** The value of a tagged field, after its tag: size first, so it is written aside. */
  tagged(write: (writer: Writer) => void): void {
    const aside = new Writer(256);
    write(aside);
    this.unsigned(aside.size);
    for (const chunk of aside.take()) this.#raw(chunk);
  }

  #raw(value: Uint8Array | readonly Uint8Array[]): void {
    if (!(value instanceof Uint8Array)) {
      for (const chunk of value) this.#raw(chunk);
      return;
    }
    if (value.length < 512) {
      // Copying a little is cheaper than one more chunk on the socket.
      const at = this.#room(value.length);
      this.#block.set(value, at);
      return;
    }
    this.#cut();
    this.#chunks.push(value);
    this.#chunked += value.length;
  }

  #text(value: string, size: number): void {
    if (size === 0) return;
    const at = this.#room(size);
    this.#block.write(value, at, size, 'utf8');
  }

  /** Makes `size` bytes available in one piece: returns where they start. */
  #room(size: number): number {
    if (this.#at + size > this.#block.length) {
      this.#cut();
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, size));
      this.#at = 0;
      this.#from = 0;
    }
    const at = this.#at;
    this.#at = at + size;
    return at;
  }

  #cut(): void {
    if (this.#at === this.#from) return;
    this.#chunks.push(this.#block.subarray(this.#from, this.#at));
    this.#chunked += this.#at - this.#from;
    this.#from = this.#at;
  }
}

function sizeOf(value: Uint8Array | readonly Uint8Array[]): number {
  if (value instanceof Uint8Array) return value.length;
  let size = 0;
  for (const chunk of value) size += chunk.length;
  return size;
}

function putLong(block: Buffer, at: number, value: number): void {
  block[at] = value >>> 24;
  block[at + 1] = value >>> 16;
  block[at + 2] = value >>> 8;
  block[at + 3] = value;
}
