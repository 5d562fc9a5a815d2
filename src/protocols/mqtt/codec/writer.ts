/**
 * A growing buffer that packets are written into. One is kept for the variable header, one for
 * the properties; `finish` copies the packet out, so the writer can be used again at once.
 */
import { assert } from '#kit';

const VARINT_MAX = 268_435_455;

export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}

/** Writes the shortest form and returns the position behind it [MQTT-1.5.5-1]. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  assert(value >= 0 && value <= VARINT_MAX, 'a variable byte integer has at most 28 bits');
  while (value >= 0x80) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

export class PacketWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(1024);
  at = 0;

  reset(): void {
    this.at = 0;
  }

  #room(count: number): void {
    const needed = this.at + count;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  byte(value: number): void {
    this.#room(1);
    this.bytes[this.at++] = value;
  }

  u16(value: number): void {
    this.#room(2);
    this.bytes[this.at++] = value >>> 8;
    this.bytes[this.at++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    this.at = this.bytes.writeUInt32BE(value >>> 0, this.at);
  }

  varint(value: number): void {
    this.#room(4);
    this.at = writeVarint(this.bytes, this.at, value);
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  binary(bytes: Uint8Array): void {
    assert(bytes.length <= 0xffff, 'binary data of a packet has at most 65535 bytes');
    this.u16(bytes.length);
    this.raw(bytes);
  }

  text(text: string): void {
    // Three bytes per UTF-16 unit are always enough, so one pass measures and writes.
    this.#room(2 + text.length * 3);
    const written = this.bytes.write(text, this.at + 2, 'utf8');
    assert(written <= 0xffff, 'a string of a packet has at most 65535 bytes');
    this.bytes[this.at++] = written >>> 8;
    this.bytes[this.at++] = written;
    this.at += written;
  }

  /** The packet: fixed header and what was written, in a buffer of its own. */
  finish(header: number): Buffer {
    const length = this.at;
    const packet = Buffer.allocUnsafe(1 + varintSize(length) + length);
    packet[0] = header;
    const at = writeVarint(packet, 1, length);
    this.bytes.copy(packet, at, 0, length);
    // A rare huge packet must not pin its memory for ever.
    if (this.bytes.length > 1 << 20) this.bytes = Buffer.allocUnsafeSlow(1024);
    this.at = 0;
    return packet;
  }
}

/** The writers of this room: encoding is synchronous, so one pair serves all connections. */
export const body = new PacketWriter();
export const properties = new PacketWriter();
