/**
 * The envelope of one entry, the unit of commit (docs/decisions/0002-shared-write-ahead-files.md):
 *
 * ```
 * header 64 | index rows, 80 each | bodies back to back | zeros | trailer 32      (multiple of 512)
 *
 * header   0 magic u32    4 version u8   5 feature level u8   6 flags u16
 *          8 writer u64  16 generation u32  20 row count u32  24 sequence i64   32 time ms i64
 *         40 entry bytes u32  44 index CRC u32  48 body bytes u32  52 reserved  60 CRC-32C u32
 * trailer  0 magic u32    4 generation u32   8 sequence i64   16 entry bytes u32
 *         20 CRC-32C of header and index u32    24 reserved u32   28 CRC-32C u32
 * ```
 *
 * Checksums are nested: the header's covers the index checksum, index rows hold the checksums of
 * their bodies. So everything before the trailer is covered, and no body is hashed twice.
 */
import { crc32c } from '#kit';
import { readInt64, writeInt64 } from '../int64.ts';
import { isSealed, sealRecord } from '../recovery/repair.ts';
import { bodyAtOf, bodyBytesOf, isIntact, KIND, kindOf, ROW_BYTES } from './row-codec.ts';

export const ENTRY_ALIGN = 512;
export const HEADER_BYTES = 64;
export const TRAILER_BYTES = 32;
const FORMAT_VERSION = 1;
/** Raised when old versions could not read what is written; stored in every entry. */
const FEATURE_LEVEL = 1;

const HEADER_MAGIC = 0x524d5145; // RMQE
const TRAILER_MAGIC = 0x524d5154; // RMQT

/** The entry carries no data; it proves that everything before it was committed. */
export const FLAG_COMMIT_MARK = 1;
/**
 * What was appended in the same synchronous stretch goes on in the next entry: the two count
 * together or not at all.
 */
export const FLAG_MORE = 2;

export interface EntryHeader {
  readonly flags: number;
  /** Number of the engine run that wrote it. */
  readonly writer: number;
  /** Generation of the write-ahead file. Older entries in a recycled file have a smaller one. */
  readonly generation: number;
  readonly rowCount: number;
  /** Contiguous over all files. */
  readonly sequence: number;
  readonly timeMs: number;
  readonly entryBytes: number;
  readonly indexCrc: number;
  readonly bodyBytes: number;
}

export function entryBytes(rowCount: number, bodyBytes: number): number {
  const bytes = HEADER_BYTES + rowCount * ROW_BYTES + bodyBytes + TRAILER_BYTES;
  return Math.ceil(bytes / ENTRY_ALIGN) * ENTRY_ALIGN;
}

/** Where the bodies of an entry begin, from the entry's own start. */
export function bodiesAt(rowCount: number): number {
  return HEADER_BYTES + rowCount * ROW_BYTES;
}

export function encodeHeader(header: EntryHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32BE(HEADER_MAGIC, 0);
  bytes[4] = FORMAT_VERSION;
  bytes[5] = FEATURE_LEVEL;
  bytes.writeUInt16BE(header.flags, 6);
  writeInt64(bytes, 8, header.writer);
  bytes.writeUInt32BE(header.generation, 16);
  bytes.writeUInt32BE(header.rowCount, 20);
  writeInt64(bytes, 24, header.sequence);
  writeInt64(bytes, 32, header.timeMs);
  bytes.writeUInt32BE(header.entryBytes, 40);
  bytes.writeUInt32BE(header.indexCrc, 44);
  bytes.writeUInt32BE(header.bodyBytes, 48);
  sealRecord(bytes);
  return bytes;
}

/** The trailer of the entry that begins with `header` (encoded). */
export function encodeTrailer(header: Buffer): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES);
  bytes.writeUInt32BE(TRAILER_MAGIC, 0);
  header.copy(bytes, 4, 16, 20);
  header.copy(bytes, 8, 24, 32);
  header.copy(bytes, 16, 40, 44);
  // The header's own checksum covers the index checksum: it stands for both.
  header.copy(bytes, 20, 60, 64);
  sealRecord(bytes);
  return bytes;
}

/** Reads 64 bytes; null when they are no valid header. Never throws on any bytes. */
export function decodeHeader(bytes: Buffer): EntryHeader | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== HEADER_MAGIC) return null;
  const record = bytes.subarray(0, HEADER_BYTES);
  if (!isSealed(record) || bytes[4] !== FORMAT_VERSION) return null;
  const header = {
    flags: bytes.readUInt16BE(6),
    writer: readInt64(bytes, 8),
    generation: bytes.readUInt32BE(16),
    rowCount: bytes.readUInt32BE(20),
    sequence: readInt64(bytes, 24),
    timeMs: readInt64(bytes, 32),
    entryBytes: bytes.readUInt32BE(40),
    indexCrc: bytes.readUInt32BE(44),
    bodyBytes: bytes.readUInt32BE(48),
  };
  return header.entryBytes === entryBytes(header.rowCount, header.bodyBytes) ? header : null;
}

/** True when `trailer` closes the entry whose encoded header is `header`. */
function isTrailerOf(header: Buffer, trailer: Buffer): boolean {
  return trailer.equals(encodeTrailer(header));
}

/**
 * Checks a whole entry. Null when every byte is as it was written, else what is wrong.
 * Never throws on any bytes.
 */
export function entryFault(bytes: Buffer): string | null {
  const header = decodeHeader(bytes);
  if (header === null) return 'header';
  if (bytes.length < header.entryBytes) return 'cut off';
  const first = bodiesAt(header.rowCount);
  const rows = bytes.subarray(HEADER_BYTES, first);
  if (crc32c(rows) !== header.indexCrc) return 'index';
  const fault = bodiesFault(rows, bytes.subarray(first, first + header.bodyBytes));
  if (fault !== null) return fault;
  const trailerAt = header.entryBytes - TRAILER_BYTES;
  for (let at = first + header.bodyBytes; at < trailerAt; at++) {
    if (bytes[at] !== 0) return 'padding';
  }
  const trailer = bytes.subarray(trailerAt, header.entryBytes);
  return isTrailerOf(bytes.subarray(0, HEADER_BYTES), trailer) ? null : 'trailer';
}

/** Checks all bodies of an entry against its rows (which were checked before). */
function bodiesFault(rows: Buffer, bodies: Buffer): string | null {
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    if (kindOf(rows, at) === KIND.control) continue;
    const from = bodyAtOf(rows, at);
    const body = bodies.subarray(from, from + bodyBytesOf(rows, at));
    if (!isIntact(rows, at, body)) return `body of row ${at / ROW_BYTES}`;
  }
  return null;
}
