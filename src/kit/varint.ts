/**
 * Variable-length integers of the record batch format: base 128, low group first, zig-zag for
 * signed ones (Kafka protocol guide, "Protocol Primitive Types"). Values up to 2^53 only: larger
 * ones are reported as malformed, because no offset, length or time of ours is larger.
 */
import { ProtocolError } from './errors.ts';

const VARINT_BYTES_MAX = 10;

/** Number of bytes that `writeUnsigned` takes for a value in 0 … 2^53. */
export function unsignedSize(value: number): number {
  let size = 1;
  while (value >= 0x80) {
    value = Math.floor(value / 0x80);
    size++;
  }
  return size;
}

export function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

export function signedSize(value: number): number {
  return unsignedSize(zigzag(value));
}

/** Writes and returns the position after it. */
export function writeUnsigned(target: Uint8Array, at: number, value: number): number {
  // Small numbers are the rule; only times and offsets leave the 31-bit range.
  if (value < 0x80000000) {
    while (value >= 0x80) {
      target[at++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    target[at++] = value;
    return at;
  }
  while (value >= 0x80) {
    target[at++] = (value % 0x80) | 0x80;
    value = Math.floor(value / 0x80);
  }
  target[at++] = value;
  return at;
}

export function writeSigned(target: Uint8Array, at: number, value: number): number {
  return writeUnsigned(target, at, zigzag(value));
}

/** A reading position over bytes; shared by the varint readers, which advance it. */
export interface Position {
  at: number;
}

export function readUnsigned(bytes: Uint8Array, position: Position, field: string): number {
  const start = position.at;
  const first = bytes[start];
  if (first !== undefined && first < 0x80) {
    position.at = start + 1;
    return first;
  }
  let value = 0;
  let scale = 1;
  for (let at = start; at < start + VARINT_BYTES_MAX; at++) {
    const byte = bytes[at];
    if (byte === undefined) throw new ProtocolError(field, at, 'variable-length number is cut off');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (value > Number.MAX_SAFE_INTEGER) break;
      position.at = at + 1;
      return value;
    }
    scale *= 0x80;
  }
  throw new ProtocolError(field, start, 'variable-length number is too long');
}

export function readSigned(bytes: Uint8Array, position: Position, field: string): number {
  const raw = readUnsigned(bytes, position, field);
  return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
}
