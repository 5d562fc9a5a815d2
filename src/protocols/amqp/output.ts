/**
 * The output side of one connection: all frames of one turn of the event loop go into one block and
 * leave with one write. Small bodies are copied in, large ones leave as chunks of their own. Knows
 * primitive types and frames; not methods.
 */
import { assert } from '#kit';

/** Bodies from this size on are not copied. */
const COPY_BYTES_MAX = 8 * 1024;
const BLOCK_BYTES_MIN = 512;
const BLOCK_BYTES_MAX = 64 * 1024;
export const FRAME_END = 0xce;
/** Type, channel and size before a frame's payload. */
export const FRAME_HEADER_BYTES = 7;
/** Bytes of a frame beside its payload. */
export const FRAME_OVERHEAD_BYTES = 8;
const SHORTSTR_BYTES_MAX = 255;
const NOTHING = Buffer.alloc(0);

export function utf8Bytes(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

/** Longest prefix of the text that fits a shortstr without cutting a character in two. */
export function shortText(text: string): string {
  if (Buffer.byteLength(text) <= SHORTSTR_BYTES_MAX) return text;
  const bytes = Buffer.from(text).subarray(0, SHORTSTR_BYTES_MAX);
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1]! & 0xc0) === 0x80) end--;
  const lead = bytes[end - 1] ?? 0;
  const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return bytes.toString('utf8', 0, end - 1 + size <= bytes.length ? end - 1 + size : end - 1);
}

export class Output {
  readonly #write: (chunk: Buffer) => void;
  #block: Buffer = NOTHING;
  /** First byte that was not handed over yet. */
  #start = 0;
  #at = 0;
  /** Where the frame being written starts, -1 between frames. */
  #frame = -1;
  #blockBytes = BLOCK_BYTES_MIN;
  #tickBytes = 0;

  constructor(write: (chunk: Buffer) => void) {
    this.#write = write;
  }

  get waiting(): boolean {
    return this.#at > this.#start;
  }

  /** Hands over what was written. An idle connection keeps no block afterwards. */
  flush(): void {
    this.#handOver();
    this.#block = NOTHING;
    this.#start = 0;
    this.#at = 0;
    this.#blockBytes = Math.min(BLOCK_BYTES_MAX, Math.max(BLOCK_BYTES_MIN, this.#tickBytes));
    this.#tickBytes = 0;
  }

  #handOver(): void {
    if (this.#at === this.#start) return;
    const chunk = this.#block.subarray(this.#start, this.#at);
    this.#start = this.#at;
    this.#tickBytes += chunk.length;
    this.#write(chunk);
  }

  /** Room for `size` more bytes; moves a frame in progress to a new block when this one is full. */
  #room(size: number): void {
    if (this.#at + size <= this.#block.length) return;
    const keepFrom = this.#frame === -1 ? this.#at : this.#frame;
    const kept = this.#at - keepFrom;
    const old = this.#block;
    const oldAt = this.#at;
    this.#at = keepFrom;
    this.#handOver();
    this.#block = Buffer.allocUnsafe(Math.max(this.#blockBytes, (kept + size) * 2));
    this.#blockBytes = Math.min(BLOCK_BYTES_MAX, this.#blockBytes * 2);
    if (kept > 0) old.copy(this.#block, 0, keepFrom, oldAt);
    this.#start = 0;
    this.#at = kept;
    if (this.#frame !== -1) this.#frame = 0;
  }

  /** Where `reserve` made room; another one after the next call that writes. */
  get block(): Buffer {
    return this.#block;
  }

  /** Room in one piece for frames that the caller puts there. @returns where it begins */
  reserve(size: number): number {
    this.#room(size);
    const at = this.#at;
    this.#at = at + size;
    return at;
  }

  beginFrame(type: number, channel: number): void {
    assert(this.#frame === -1, 'frames do not nest');
    this.#room(FRAME_HEADER_BYTES);
    this.#frame = this.#at;
    this.octet(type);
    this.short(channel);
    this.long(0);
  }

  endFrame(): void {
    this.octet(FRAME_END);
    const size = this.#at - this.#frame - FRAME_OVERHEAD_BYTES;
    this.#block.writeUInt32BE(size, this.#frame + 3);
    this.#frame = -1;
  }

  /** A whole frame around bytes that exist already, such as a part of a body. */
  frame(type: number, channel: number, payload: Buffer, from: number, to: number): void {
    const size = to - from;
    const copied = size < COPY_BYTES_MAX;
    this.#room(copied ? size + FRAME_OVERHEAD_BYTES : FRAME_HEADER_BYTES);
    const block = this.#block;
    let at = this.#at;
    block[at++] = type;
    block[at++] = channel >>> 8;
    block[at++] = channel;
    block[at++] = size >>> 24;
    block[at++] = size >>> 16;
    block[at++] = size >>> 8;
    block[at++] = size;
    this.#at = at;
    if (copied) {
      // Half the cost of the call that copies a part.
      if (size === payload.length) block.set(payload, at);
      else payload.copy(block, at, from, to);
      block[at + size] = FRAME_END;
      this.#at = at + size + 1;
      return;
    }
    this.#handOver();
    this.#write(payload.subarray(from, to));
    this.octet(FRAME_END);
  }

  /**
   * Room for a length that is filled in by `endBlock`. The answer counts from the frame's start.
   */
  beginBlock(): number {
    this.long(0);
    return this.#at - Math.max(this.#frame, 0);
  }

  endBlock(begin: number): void {
    const at = begin + Math.max(this.#frame, 0);
    this.#block.writeUInt32BE(this.#at - at, at - 4);
  }

  octet(value: number): void {
    this.#room(1);
    this.#block[this.#at++] = value;
  }

  short(value: number): void {
    this.#room(2);
    this.#block[this.#at++] = value >>> 8;
    this.#block[this.#at++] = value;
  }

  long(value: number): void {
    this.#room(4);
    const block = this.#block;
    let at = this.#at;
    block[at++] = value >>> 24;
    block[at++] = value >>> 16;
    block[at++] = value >>> 8;
    block[at++] = value;
    this.#at = at;
  }

  longlong(value: number): void {
    this.long(Math.floor(value / 0x100000000));
    this.long(value >>> 0);
  }

  bigint(value: bigint): void {
    this.#room(8);
    this.#at = this.#block.writeBigUInt64BE(value, this.#at);
  }

  /** Text of at most 255 bytes; longer text is cut at a character's border. */
  shortstr(text: string): void {
    // Three bytes per UTF-16 unit at most, so short texts need no measuring first.
    if (text.length * 3 > SHORTSTR_BYTES_MAX) text = shortText(text);
    this.#room(1 + text.length * 3);
    const size = this.#block.write(text, this.#at + 1, 'utf8');
    this.#block[this.#at] = size;
    this.#at += 1 + size;
  }

  longstr(bytes: Uint8Array): void {
    this.long(bytes.length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#block.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}

/** The bytes that a piece of code writes, outside any connection. */
export function written(write: (output: Output) => void): Buffer {
  const chunks: Buffer[] = [];
  const output = new Output((chunk) => chunks.push(chunk));
  output.beginFrame(0, 0);
  write(output);
  output.endFrame();
  output.flush();
  return Buffer.concat(chunks).subarray(FRAME_HEADER_BYTES, -1);
}
