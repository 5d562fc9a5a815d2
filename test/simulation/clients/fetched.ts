/**
 * Fetched bytes, read by code of its own: what the broker's decoder does is under test. A batch
 * that is cut off at the end is left out, as the protocol says.
 */
import { crc32c } from '#kit';
import type { Found } from '../ledger.ts';

const HEADER_BYTES = 61;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

export interface FetchedBatch {
  readonly base: number;
  /** Offset of what comes behind it. */
  readonly next: number;
  readonly producerId: number;
  readonly isTransactional: boolean;
  /** Null but for the end of a transaction: whether it counts. */
  readonly marker: 'commit' | 'abort' | null;
  /** None for a marker. */
  readonly records: readonly Found[];
}

export function batchesIn(bytes: Buffer): FetchedBatch[] {
  const batches: FetchedBatch[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + 12 + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    if (crc32c(bytes.subarray(at + 21, end)) !== bytes.readUInt32BE(at + 17)) {
      throw new Error('a fetched batch has a wrong checksum');
    }
    batches.push(batchAt(bytes, at));
    at = end;
  }
  return batches;
}

/** All messages, whether what they belong to counts or not. */
export function recordsIn(bytes: Buffer): Found[] {
  return batchesIn(bytes).flatMap(({ records }) => records);
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** What a reader that waits for commits keeps, as KIP-98 has it. */
export function committedIn(
  batches: readonly FetchedBatch[],
  aborted: readonly AbortedTransaction[],
): Found[] {
  const found: Found[] = [];
  const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const dropping = new Set<number>();
  for (const { next, producerId, isTransactional, marker, records } of batches) {
    while (waiting.length > 0 && waiting[0]!.firstOffset < next) {
      dropping.add(waiting.shift()!.producerId);
    }
    if (marker === 'abort') dropping.delete(producerId);
    if (!isTransactional || !dropping.has(producerId)) found.push(...records);
  }
  return found;
}

function batchAt(bytes: Buffer, at: number): FetchedBatch {
  const base = Number(bytes.readBigInt64BE(at));
  const attributes = bytes.readInt16BE(at + 21);
  const isControl = (attributes & CONTROL) !== 0;
  const count = bytes.readInt32BE(at + 57);
  const from = at + HEADER_BYTES;
  return {
    base,
    next: base + bytes.readInt32BE(at + 23) + 1,
    producerId: Number(bytes.readBigInt64BE(at + 43)),
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    marker: isControl ? markerAt(bytes, from) : null,
    records: isControl ? [] : recordsAt(bytes, from, count, base),
  };
}

function recordsAt(bytes: Buffer, from: number, count: number, base: number): Found[] {
  const found: Found[] = [];
  const position = { at: from };
  for (let index = 0; index < count; index++) {
    const size = signed(bytes, position);
    const end = position.at + size;
    position.at++;
    signed(bytes, position);
    const offset = base + signed(bytes, position);
    const key = signed(bytes, position);
    if (key > 0) position.at += key;
    const length = signed(bytes, position);
    const body = length < 0 ? Buffer.alloc(0) : bytes.subarray(position.at, position.at + length);
    found.push({ offset, body });
    position.at = end;
  }
  return found;
}

/** The key of a marker's record: its version and its kind. */
function markerAt(bytes: Buffer, from: number): 'commit' | 'abort' {
  const position = { at: from };
  signed(bytes, position);
  position.at++;
  signed(bytes, position);
  signed(bytes, position);
  signed(bytes, position);
  return bytes.readInt16BE(position.at + 2) === 1 ? 'commit' : 'abort';
}

/** A zigzag number of at most 53 bits. */
function signed(bytes: Buffer, position: { at: number }): number {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[position.at++]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
