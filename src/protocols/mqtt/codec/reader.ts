/**
 * A reading position inside one packet. It is filled by the framer, one for all packets, and
 * reads in place: binary values are views. Every fault is a `ProtocolError` with the MQTT 5
 * reason code.
 */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '#kit';
import { REASON } from './reason-codes.ts';

const NOTHING = Buffer.alloc(0);

export function malformed(field: string, at: number, detail: string): ProtocolError {
  return new ProtocolError(field, at, detail, REASON.malformedPacket);
}

export function protocolError(field: string, at: number, detail: string): ProtocolError {
  return new ProtocolError(field, at, detail, REASON.protocolError);
}

export class PacketReader {
  bytes: Buffer = NOTHING;
  /** First byte of the fixed header: type and flags. */
  header = 0;
  /** First byte behind the fixed header. */
  start = 0;
  /** Next byte to read. */
  at = 0;
  /** End of the packet. */
  end = 0;
  /** The remaining length was written with more bytes than it needs. */
  padded = false;
  /** Set when a field was cut off by the end of the packet: its length was no truth. */
  truncated = false;

  get type(): number {
    return this.header >> 4;
  }

  get left(): number {
    return this.end - this.at;
  }

  cutOff(field: string, at: number): ProtocolError {
    this.truncated = true;
    return malformed(field, at, 'packet ends inside it');
  }

  byte(field: string): number {
    if (this.at >= this.end) throw this.cutOff(field, this.at);
    return this.bytes[this.at++]!;
  }

  u16(field: string): number {
    const at = this.at;
    if (at + 2 > this.end) throw this.cutOff(field, at);
    this.at = at + 2;
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  u32(field: string): number {
    const at = this.at;
    if (at + 4 > this.end) throw this.cutOff(field, at);
    this.at = at + 4;
    return this.bytes.readUInt32BE(at);
  }

  /** Variable byte integer of at most four bytes, in its shortest form [MQTT-1.5.5-1]. */
  varint(field: string): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte(field);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw malformed(field, start, 'is not in its shortest form');
        return value;
      }
    }
    throw malformed(field, start, 'has more than four bytes');
  }

  /** A packet identifier: never zero [MQTT-2.2.1-3] [MQTT-2.3.1-1]. */
  packetId(): number {
    const id = this.u16('packet identifier');
    if (id === 0) throw protocolError('packet identifier', this.at - 2, 'is zero');
    return id;
  }

  /** Bytes behind a two-byte length, as a view. */
  binary(field: string): Buffer {
    const length = this.u16(field);
    const start = this.at;
    if (start + length > this.end) throw this.cutOff(field, start);
    this.at = start + length;
    return this.bytes.subarray(start, this.at);
  }

  /** A string: well-formed UTF-8 without U+0000; a U+FEFF stays in it [MQTT-1.5.4-1..3]. */
  text(field: string): string {
    const bytes = this.binary(field);
    checkText(bytes, field, this.at - bytes.length);
    return bytes.toString('utf8');
  }

  /** Nothing may stand behind what was read. */
  finish(): void {
    if (this.at !== this.end) {
      throw malformed('remaining length', this.at, `${this.end - this.at} bytes too many`);
    }
  }
}

function checkText(bytes: Buffer, field: string, at: number): void {
  // isUtf8 refuses surrogates too [MQTT-1.5.4-1].
  if (!isUtf8(bytes)) throw malformed(field, at, 'is not well-formed UTF-8');
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw malformed(field, at + zero, 'contains U+0000'); // [MQTT-1.5.4-2]
}
