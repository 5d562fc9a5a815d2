/**
 * Whether the records of a producer's batch are what its header says: as many, each whole, with
 * offsets that count up from 0 (K23). On the way of every batch: one pass, no objects, and of a
 * record nothing is looked at but its lengths.
 */
import { ProtocolError } from '#kit';
import { BATCH_AT, BATCH_HEADER_BYTES } from './batch-layout.ts';
import { decompress } from './compression.ts';
import type { RecordFault } from './key-check.ts';

const CODEC = 0x07;
/** Longer numbers than these are none of a record. */
const VARINT_BYTES_MAX = 5;
const VARLONG_BYTES_MAX = 10;

/** Where the pass is; `value` is the number that was read last. */
let at = 0;
let value = 0;

export function isCompressed(batch: Buffer): boolean {
  return (batch[BATCH_AT.attributes + 1]! & CODEC) !== 0;
}

/**
 * The first record that is not as it should be, or null.
 * @param batch whole, with a good checksum and a count above 0
 * @param bytesMax bound for what a compressed batch may become
 * @throws BrokerError `message-too-large` when it would open to more
 */
export function recordFault(batch: Buffer, bytesMax: number): RecordFault | null {
  const codec = batch[BATCH_AT.attributes + 1]! & CODEC;
  const count = batch.readInt32BE(BATCH_AT.count);
  let bytes = batch;
  at = BATCH_HEADER_BYTES;
  if (codec !== 0) {
    try {
      bytes = decompress(codec, batch.subarray(BATCH_HEADER_BYTES), bytesMax);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return { index: -1, message: error.message };
    }
    at = 0;
  }
  for (let index = 0; index < count; index++) {
    const message = faultOf(bytes, index);
    if (message !== null) return { index, message };
  }
  return at === bytes.length ? null : { index: -1, message: 'bytes are left over' };
}

/** Steps over one record. */
function faultOf(bytes: Buffer, index: number): string | null {
  if (!readNumber(bytes)) return 'its length cannot be read';
  const end = at + value;
  if (value < 0 || end > bytes.length) return 'it passes the end of the batch';
  at++;
  if (!skipNumber(bytes) || !readNumber(bytes)) return 'its times and offset cannot be read';
  if (value !== index) return `it has the offset delta ${value}`;
  // Key, then value: -1 stands for none.
  for (let part = 0; part < 2; part++) {
    if (!readNumber(bytes) || value < -1) return 'a length in it cannot be read';
    if (value > 0) at += value;
  }
  if (!readNumber(bytes) || value < 0 || at > end) return 'it passes its end';
  at = end;
  return null;
}

/** A signed number of at most 32 bits, zigzag. */
function readNumber(bytes: Buffer): boolean {
  let byte = bytes[at++];
  if (byte === undefined) return false;
  let bits = byte & 0x7f;
  for (let shift = 7; byte >= 0x80; shift += 7) {
    byte = bytes[at++];
    if (byte === undefined || shift >= 7 * VARINT_BYTES_MAX) return false;
    bits |= (byte & 0x7f) << shift;
  }
  value = (bits >>> 1) ^ -(bits & 1);
  return true;
}

function skipNumber(bytes: Buffer): boolean {
  for (let count = 0; count < VARLONG_BYTES_MAX; count++) {
    const byte = bytes[at++];
    if (byte === undefined) return false;
    if (byte < 0x80) return true;
  }
  return false;
}
