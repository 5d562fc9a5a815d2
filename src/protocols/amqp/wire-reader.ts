/**
 * Reads AMQP's primitive types in place over a received chunk. One reader per connection is moved
 * from frame to frame. Short input ends in a `ProtocolError` that names the field, never in a
 * crash.
 */
import { ProtocolError } from '#kit';

const SYNTAX_ERROR = 502;

export class WireReader {
  buffer: Buffer = Buffer.alloc(0);
  at = 0;
  /** Position after the last byte that may be read. */
  end = 0;

  /** Moves the reader to a frame's payload. */
  over(buffer: Buffer, at: number, end: number): this {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
    return this;
  }

  octet(field: string): number {
    if (this.at >= this.end) this.#cutOff(field, 1);
    return this.buffer[this.at++]!;
  }

  short(field: string): number {
    const at = this.at;
    if (at + 2 > this.end) this.#cutOff(field, 2);
    this.at = at + 2;
    return (this.buffer[at]! << 8) | this.buffer[at + 1]!;
  }

  long(field: string): number {
    const at = this.at;
    if (at + 4 > this.end) this.#cutOff(field, 4);
    this.at = at + 4;
    const buffer = this.buffer;
    return (
      ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>>
      0
    );
  }

  /** Exact up to 2^53; larger values are rounded, which no size, tag or time of ours reaches. */
  longlong(field: string): number {
    const high = this.long(field);
    return high * 0x100000000 + this.long(field);
  }

  /**
   * Up to 255 bytes as text. Names should be UTF-8; a byte that is not becomes U+FFFD, so a name
   * that is not text finds nothing, and nothing breaks. Routing keys are kept as bytes elsewhere.
   */
  shortstr(field: string): string {
    const size = this.octet(field);
    const at = this.at;
    if (at + size > this.end) this.#cutOff(field, size);
    this.at = at + size;
    if (size === 0) return '';
    return this.buffer.toString('utf8', at, at + size);
  }

  longstr(field: string): Buffer {
    return this.take(field, this.long(field));
  }

  /** A view of the next bytes. */
  take(field: string, size: number): Buffer {
    const at = this.at;
    if (size > this.end - at) this.#cutOff(field, size);
    this.at = at + size;
    return this.buffer.subarray(at, at + size);
  }

  #cutOff(field: string, size: number): never {
    throw new ProtocolError(
      field,
      this.at,
      `${size} bytes wanted, ${this.end - this.at} left`,
      SYNTAX_ERROR,
    );
  }
}
