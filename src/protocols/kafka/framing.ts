/**
 * Bytes to whole frames: each is a 4-byte size and that many bytes. A frame that lies in one chunk
 * is handed out as a view of it; one that is split is gathered in a buffer that grows with what
 * really came, so that a size field alone costs no memory. A connection that has sent large frames
 * gets as much at once: its batches are copied once, into memory of their own size.
 */
import { ProtocolError } from '#kit';

const SIZE_BYTES = 4;
/** Room for a frame that is split: at first so much, then a multiple of what is there. */
const FIRST_ROOM_BYTES = 64 * 1024;
const GROWTH = 4;

export class Framing {
  /** Largest frame accepted, in bytes; may be raised between frames. */
  limit: number;
  /** Chunks that were not looked at yet; the first one from `#at` on. */
  #chunks: Buffer[] = [];
  #at = 0;
  /** A frame in the making, its size field included. */
  #partial: Buffer | null = null;
  #filled = 0;
  /** What frames of this connection needed lately. */
  #usual = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  push(chunk: Buffer): void {
    if (chunk.length > 0) this.#chunks.push(chunk);
  }

  /**
   * The next frame without its size field, or null when more bytes are needed.
   * @throws ProtocolError when the size is negative or above the limit.
   */
  next(): Buffer | null {
    while (true) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return null;
      if (this.#partial !== null) {
        const frame = this.#fill(chunk);
        if (frame !== null) return frame;
        continue;
      }
      const left = chunk.length - this.#at;
      const wanted = left < SIZE_BYTES ? SIZE_BYTES : this.#wanted(chunk, this.#at);
      if (left < wanted || left < SIZE_BYTES) {
        const room = Math.max(FIRST_ROOM_BYTES + left, this.#usual);
        this.#partial = Buffer.allocUnsafeSlow(Math.min(wanted, room));
        this.#filled = 0;
        continue;
      }
      const frame = chunk.subarray(this.#at + SIZE_BYTES, this.#at + wanted);
      this.#advance(chunk, wanted);
      return frame;
    }
  }

  /** Moves bytes of `chunk` into the frame in the making: returns it when it is whole. */
  #fill(chunk: Buffer): Buffer | null {
    let target = this.#partial!;
    let wanted = SIZE_BYTES;
    if (this.#filled >= SIZE_BYTES) {
      wanted = this.#wanted(target, 0);
      if (wanted > target.length && this.#filled === target.length) target = this.#grow(wanted);
    }
    if (this.#filled === wanted) return this.#finish(wanted);
    const end = Math.min(wanted, target.length);
    const copied = chunk.copy(target, this.#filled, this.#at, this.#at + end - this.#filled);
    this.#filled += copied;
    this.#advance(chunk, copied);
    if (this.#filled < SIZE_BYTES) return null;
    return this.#filled === this.#wanted(target, 0) ? this.#finish(this.#filled) : null;
  }

  #grow(wanted: number): Buffer {
    const least = Math.max(FIRST_ROOM_BYTES, this.#usual);
    const room = Math.min(wanted, Math.max(this.#filled * GROWTH, least));
    const target = Buffer.allocUnsafeSlow(room);
    this.#partial!.copy(target, 0, 0, this.#filled);
    this.#partial = target;
    return target;
  }

  #finish(wanted: number): Buffer {
    const frame = this.#partial!.subarray(SIZE_BYTES, wanted);
    this.#partial = null;
    this.#filled = 0;
    this.#usual = Math.max(wanted, this.#usual >>> 1);
    return frame;
  }

  #wanted(bytes: Buffer, at: number): number {
    const size = bytes.readInt32BE(at);
    if (size < 0 || size > this.limit) {
      throw new ProtocolError('size', 0, `frame of ${size} bytes, at most ${this.limit} accepted`);
    }
    return SIZE_BYTES + size;
  }

  #advance(chunk: Buffer, count: number): void {
    this.#at += count;
    if (this.#at < chunk.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }
}
