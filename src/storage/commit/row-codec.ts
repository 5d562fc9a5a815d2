/**
 * Index rows: one fixed-width row per batch, the same in entries, in memory and in segments. A row
 * holds all that rebuilding the owner's state needs, so recovery reads no bodies (log-engine.ts,
 * `BatchFacts`). Not the bodies; those lie back to back after the rows.
 *
 * ```
 *  0 kind u8      1 flags u8       2 origin u16     4 count u32
 *  8 log i64     16 base offset i64
 * 24 body position u32 (from the first body of the entry or run)   28 body bytes u32
 * 32 max record time i64           40 append time i64
 * 48 producer i64   56 producer epoch i16   58 attributes u16   60 base sequence i32
 * 64 principal u32  68 body CRC-32C u32     72 horizon u32      76 CRC-32C of the row u32
 * ```
 */
import { crc32c } from '#kit';
import { readInt64, writeInt64 } from '../int64.ts';
import type { BatchFacts, StoredBatch } from '../log-engine.ts';

export const ROW_BYTES = 80;

export const KIND = { data: 1, reference: 2, state: 3, control: 4 } as const;

/** What a control row says; it stands in the attributes. The base offset is its argument. */
export const CONTROL = {
  /** Everything before the base offset is dropped. */
  trim: 1,
  /** The log is gone. */
  remove: 2,
  /** The log ends at the base offset. Written into commit marks. */
  head: 3,
} as const;

const FLAG_SERVER_PACKED = 1;
/** Only in segments: the body was already damaged when it was copied, and is not there. */
const FLAG_DAMAGED = 2;
/** Only in segments: all records of these offsets were compacted away; there is no body. */
const FLAG_HOLE = 4;
/** Only in segments: compaction has seen these records; see `compactRow`. */
const FLAG_COMPACTED = 8;
const COUNT_MAX = 0xffff_ffff;

const AT = {
  kind: 0,
  flags: 1,
  origin: 2,
  count: 4,
  log: 8,
  base: 16,
  bodyAt: 24,
  bodyBytes: 28,
  maxTime: 32,
  appendTime: 40,
  producer: 48,
  producerEpoch: 56,
  attributes: 58,
  sequence: 60,
  principal: 64,
  bodyCrc: 68,
  horizon: 72,
  crc: 76,
} as const;

/** RecordBatch v2: where the fields lie that storage writes or checks. */
export const BATCH = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  /** The batch's own CRC covers everything from here on. */
  covered: 21,
  maxTime: 35,
  headerBytes: 61,
} as const;

export function writeRow(
  rows: Buffer,
  at: number,
  log: number,
  base: number,
  bodyAt: number,
  body: Buffer,
  facts: BatchFacts,
  appendTimeMs: number,
): void {
  rows[at + AT.kind] = facts.kind === 'data' ? KIND.data : KIND.state;
  rows[at + AT.flags] = facts.serverPacked ? FLAG_SERVER_PACKED : 0;
  rows.writeUInt16BE(facts.origin & 0xffff, at + AT.origin);
  rows.writeUInt32BE(facts.count, at + AT.count);
  writeInt64(rows, at + AT.log, log);
  writeInt64(rows, at + AT.base, base);
  rows.writeUInt32BE(bodyAt, at + AT.bodyAt);
  rows.writeUInt32BE(body.length, at + AT.bodyBytes);
  writeInt64(rows, at + AT.maxTime, facts.maxTimestampMs);
  writeInt64(rows, at + AT.appendTime, appendTimeMs);
  writeInt64(rows, at + AT.producer, facts.producerId);
  rows.writeInt16BE(facts.producerEpoch, at + AT.producerEpoch);
  rows.writeUInt16BE(facts.attributes & 0xffff, at + AT.attributes);
  rows.writeInt32BE(facts.baseSequence, at + AT.sequence);
  rows.writeUInt32BE(facts.principal >>> 0, at + AT.principal);
  // A data batch brings its own checksum; hashing it again would cost as much as writing it.
  const bodyCrc = facts.kind === 'data' ? body.readUInt32BE(BATCH.crc) : crc32c(body);
  rows.writeUInt32BE(bodyCrc, at + AT.bodyCrc);
  rows.writeUInt32BE(0, at + AT.horizon);
  sealRow(rows, at);
}

export function writeControl(rows: Buffer, at: number, log: number, what: number, offset: number) {
  rows.fill(0, at, at + ROW_BYTES);
  rows[at + AT.kind] = KIND.control;
  writeInt64(rows, at + AT.log, log);
  writeInt64(rows, at + AT.base, offset);
  rows.writeUInt16BE(what, at + AT.attributes);
  sealRow(rows, at);
}

function sealRow(rows: Buffer, at: number): void {
  rows.writeUInt32BE(crc32c(rows.subarray(at, at + AT.crc)), at + AT.crc);
}

export const kindOf = (rows: Buffer, at: number): number => rows[at + AT.kind]!;
export const logOf = (rows: Buffer, at: number): number => readInt64(rows, at + AT.log);
export const baseOf = (rows: Buffer, at: number): number => readInt64(rows, at + AT.base);
export const countOf = (rows: Buffer, at: number): number => rows.readUInt32BE(at + AT.count);
export const bodyAtOf = (rows: Buffer, at: number): number => rows.readUInt32BE(at + AT.bodyAt);
export const bodyBytesOf = (rows: Buffer, at: number): number =>
  rows.readUInt32BE(at + AT.bodyBytes);
export const maxTimeOf = (rows: Buffer, at: number): number => readInt64(rows, at + AT.maxTime);
export const attributesOf = (rows: Buffer, at: number): number =>
  rows.readUInt16BE(at + AT.attributes);
export const appendTimeOf = (rows: Buffer, at: number): number =>
  readInt64(rows, at + AT.appendTime);
export const isDamagedRow = (rows: Buffer, at: number): boolean =>
  (rows[at + AT.flags]! & FLAG_DAMAGED) !== 0;
/** First offset after the batch. */
export const endOf = (rows: Buffer, at: number): number => baseOf(rows, at) + countOf(rows, at);

/** Copies a row to a segment: its body lies elsewhere now, or was found damaged and is left out. */
export function moveRow(source: Buffer, from: number, target: Buffer, to: number, bodyAt: number) {
  source.copy(target, to, from, from + ROW_BYTES);
  target.writeUInt32BE(bodyAt, to + AT.bodyAt);
  sealRow(target, to);
}

export function markDamaged(rows: Buffer, at: number): void {
  rows[at + AT.flags]! |= FLAG_DAMAGED;
  rows.writeUInt32BE(0, at + AT.bodyBytes);
  sealRow(rows, at);
}

export const isHole = (rows: Buffer, at: number): boolean =>
  (rows[at + AT.flags]! & FLAG_HOLE) !== 0;

/**
 * Makes a row say that its records were compacted away. Its offsets stay taken, and with
 * `keepsProducer` it still says which sequences of which producer they had: recovery without a
 * checkpoint learns that from rows.
 */
export function markHole(rows: Buffer, at: number, keepsProducer: boolean): void {
  rows[at + AT.flags] = FLAG_HOLE | FLAG_COMPACTED;
  writeInt64(rows, at + AT.maxTime, -1);
  rows.writeUInt32BE(0, at + AT.horizon);
  rows.writeUInt32BE(0, at + AT.bodyBytes);
  rows.writeUInt32BE(0, at + AT.bodyCrc);
  rows.writeUInt16BE(0, at + AT.attributes);
  if (!keepsProducer) {
    writeInt64(rows, at + AT.producer, -1);
    rows.writeInt16BE(-1, at + AT.producerEpoch);
    rows.writeInt32BE(-1, at + AT.sequence);
  }
  sealRow(rows, at);
}

/** True when no other compacted row of the log has a record with a key of this one. */
export const isCompacted = (rows: Buffer, at: number): boolean =>
  (rows[at + AT.flags]! & FLAG_COMPACTED) !== 0;

/** Seconds since 1970 from which on the tombstones of a batch may go; 0 = it has none. */
export const horizonOf = (rows: Buffer, at: number): number => rows.readUInt32BE(at + AT.horizon);

/**
 * Says that a batch was compacted.
 * @param body the batch without the records that are gone; null when nothing of it changed
 */
export function compactRow(rows: Buffer, at: number, body: Buffer | null, horizon: number): void {
  rows[at + AT.flags]! |= FLAG_COMPACTED;
  rows.writeUInt32BE(horizon, at + AT.horizon);
  if (body !== null) {
    body.copy(rows, at + AT.maxTime, BATCH.maxTime, BATCH.maxTime + 8);
    rows.writeUInt32BE(body.length, at + AT.bodyBytes);
    rows.writeUInt32BE(body.readUInt32BE(BATCH.crc), at + AT.bodyCrc);
  }
  sealRow(rows, at);
}

/** Lets the hole at `into` span the row at `from` as well, when that is the hole next to it. */
export function joinHoles(target: Buffer, into: number, source: Buffer, from: number): boolean {
  if (!isPlainHole(target, into) || !isPlainHole(source, from)) return false;
  const count = countOf(target, into) + countOf(source, from);
  if (endOf(target, into) !== baseOf(source, from) || count > COUNT_MAX) return false;
  target.writeUInt32BE(count, into + AT.count);
  const appendTimeMs = Math.max(appendTimeOf(target, into), appendTimeOf(source, from));
  writeInt64(target, into + AT.appendTime, appendTimeMs);
  sealRow(target, into);
  return true;
}

/** A hole that says nothing of a producer. */
function isPlainHole(rows: Buffer, at: number): boolean {
  return isHole(rows, at) && readInt64(rows, at + AT.producer) < 0;
}

/** A batch as it is handed out: the facts of its row, and its bytes. */
export class HeldBatch implements StoredBatch {
  readonly kind: 'data' | 'state';
  readonly count: number;
  readonly maxTimestampMs: number;
  readonly serverPacked: boolean;
  readonly origin: number;
  readonly principal: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly attributes: number;
  readonly baseOffset: number;
  readonly appendTimeMs: number;
  readonly bytes: Buffer;

  constructor(facts: BatchFacts, baseOffset: number, appendTimeMs: number, bytes: Buffer) {
    this.kind = facts.kind;
    this.count = facts.count;
    this.maxTimestampMs = facts.maxTimestampMs;
    this.serverPacked = facts.serverPacked;
    this.origin = facts.origin;
    this.principal = facts.principal;
    this.producerId = facts.producerId;
    this.producerEpoch = facts.producerEpoch;
    this.baseSequence = facts.baseSequence;
    this.attributes = facts.attributes;
    this.baseOffset = baseOffset;
    this.appendTimeMs = appendTimeMs;
    this.bytes = bytes;
  }
}

export function readFacts(rows: Buffer, at: number): BatchFacts {
  return {
    kind: kindOf(rows, at) === KIND.state ? 'state' : 'data',
    count: countOf(rows, at),
    maxTimestampMs: maxTimeOf(rows, at),
    serverPacked: (rows[at + AT.flags]! & FLAG_SERVER_PACKED) !== 0,
    origin: rows.readUInt16BE(at + AT.origin),
    principal: rows.readUInt32BE(at + AT.principal),
    producerId: readInt64(rows, at + AT.producer),
    producerEpoch: rows.readInt16BE(at + AT.producerEpoch),
    baseSequence: rows.readInt32BE(at + AT.sequence),
    attributes: attributesOf(rows, at),
  };
}

export function readBatch(rows: Buffer, at: number, body: Buffer): StoredBatch {
  return new HeldBatch(readFacts(rows, at), baseOf(rows, at), appendTimeOf(rows, at), body);
}

/**
 * True when `body` is what the row says; a hole has none, which is right. Of a data batch the
 * fields before its own checksum's reach are known from the row, so every byte is checked.
 */
export function isIntact(rows: Buffer, at: number, body: Buffer): boolean {
  const bodyCrc = rows.readUInt32BE(at + AT.bodyCrc);
  if (isHole(rows, at)) return body.length === 0;
  if (isDamagedRow(rows, at) || body.length !== bodyBytesOf(rows, at)) return false;
  if (kindOf(rows, at) !== KIND.data) return crc32c(body) === bodyCrc;
  return (
    body.length >= BATCH.headerBytes &&
    readInt64(body, BATCH.baseOffset) === baseOf(rows, at) &&
    body.readInt32BE(BATCH.length) === body.length - BATCH.leaderEpoch &&
    body.readInt32BE(BATCH.leaderEpoch) === 0 &&
    body[BATCH.magic] === 2 &&
    body.readUInt32BE(BATCH.crc) === bodyCrc &&
    crc32c(body.subarray(BATCH.covered)) === bodyCrc
  );
}
