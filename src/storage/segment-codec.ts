/**
 * The bytes around the runs of a segment:
 *
 * ```
 * for each log, ascending: bodies back to back | index rows (row-codec.ts)
 * directory: one row of 112 bytes per log
 * trailer of 64 bytes, at the very end
 *
 * directory row
 *   0 log i64          8 first offset i64   16 end offset i64
 *  24 min time i64    32 max time i64       40 position of bodies i64   48 bytes of bodies i64
 *  56 position of rows i64   64 row count u32   68 flags u32
 *  72 start of the log i64   80 bytes of bodies that were not compacted i64
 *  88 append time of the first and 96 of the last of them i64   104 horizon u32   108 CRC-32C u32
 * trailer
 *   0 magic u32   4 version u32   8 generation from u32   12 to u32   16 rewritten u32
 *  20 directory rows u32   24 directory position i64   32 last sequence i64   40 …   60 CRC-32C u32
 * ```
 * A directory row without index rows only says where a log starts, or that it was removed: recovery
 * without a checkpoint needs to know.
 */
import type { SegmentName } from './checkpoint-codec.ts';
import { readInt64, writeInt64 } from './int64.ts';
import { isSealed, sealRecord } from './repair.ts';

export const RUN_BYTES = 112;
export const SEGMENT_TRAILER_BYTES = 64;

const MAGIC = 0x524d5153; // RMQS
const VERSION = 1;
const FLAG_REMOVED = 1;
const NAME = /^seg-(\d{10})-(\d{10})-(\d{5})\.seg$/;

/** One log's part of a segment. */
export interface Run {
  readonly log: number;
  readonly firstOffset: number;
  readonly endOffset: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly bodiesAt: number;
  readonly bodyBytes: number;
  readonly rowsAt: number;
  readonly rowCount: number;
  readonly removed: boolean;
  readonly logStart: number;
  readonly dirt: Dirt;
}

/** What key compaction has to know of a run. Meaningless for logs that are not compacted. */
export interface Dirt {
  /** Bytes of batches that compaction has not seen. */
  readonly bytes: number;
  /** Append times of the first and the last of them; -1 when there are none. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** When the first tombstones may go, in seconds since 1970; 0 when there are none. */
  readonly horizon: number;
}

export function encodeRun(run: Run): Buffer {
  const bytes = Buffer.alloc(RUN_BYTES);
  writeInt64(bytes, 0, run.log);
  writeInt64(bytes, 8, run.firstOffset);
  writeInt64(bytes, 16, run.endOffset);
  writeInt64(bytes, 24, run.minTimeMs);
  writeInt64(bytes, 32, run.maxTimeMs);
  writeInt64(bytes, 40, run.bodiesAt);
  writeInt64(bytes, 48, run.bodyBytes);
  writeInt64(bytes, 56, run.rowsAt);
  bytes.writeUInt32BE(run.rowCount, 64);
  bytes.writeUInt32BE(run.removed ? FLAG_REMOVED : 0, 68);
  writeInt64(bytes, 72, run.logStart);
  writeInt64(bytes, 80, run.dirt.bytes);
  writeInt64(bytes, 88, run.dirt.sinceMs);
  writeInt64(bytes, 96, run.dirt.untilMs);
  bytes.writeUInt32BE(run.dirt.horizon, 104);
  sealRecord(bytes);
  return bytes;
}

export const runLog = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES);
export const runFirst = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES + 8);
export const runEnd = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES + 16);
export const runMaxTime = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES + 32);
export const runBodiesAt = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES + 40);
export const runBodyBytes = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES + 48);
export const runRowsAt = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES + 56);
export const runRowCount = (directory: Buffer, index: number): number =>
  directory.readUInt32BE(index * RUN_BYTES + 64);
export const runIsRemoved = (directory: Buffer, index: number): boolean =>
  (directory.readUInt32BE(index * RUN_BYTES + 68) & FLAG_REMOVED) !== 0;
export const runLogStart = (directory: Buffer, index: number): number =>
  readInt64(directory, index * RUN_BYTES + 72);

export function runDirt(directory: Buffer, index: number): Dirt {
  const at = index * RUN_BYTES;
  return {
    bytes: readInt64(directory, at + 80),
    sinceMs: readInt64(directory, at + 88),
    untilMs: readInt64(directory, at + 96),
    horizon: directory.readUInt32BE(at + 104),
  };
}

export interface SegmentTrailer {
  readonly name: SegmentName;
  readonly runCount: number;
  readonly directoryAt: number;
  /** Sequence of the last entry whose batches are in here. */
  readonly lastSequence: number;
}

export function encodeSegmentTrailer(trailer: SegmentTrailer): Buffer {
  const bytes = Buffer.alloc(SEGMENT_TRAILER_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  bytes.writeUInt32BE(trailer.name.from, 8);
  bytes.writeUInt32BE(trailer.name.to, 12);
  bytes.writeUInt32BE(trailer.name.version, 16);
  bytes.writeUInt32BE(trailer.runCount, 20);
  writeInt64(bytes, 24, trailer.directoryAt);
  writeInt64(bytes, 32, trailer.lastSequence);
  sealRecord(bytes);
  return bytes;
}

/** Null when the bytes are no valid trailer. Never throws on any bytes. */
export function decodeSegmentTrailer(bytes: Buffer): SegmentTrailer | null {
  if (bytes.length !== SEGMENT_TRAILER_BYTES || !isSealed(bytes)) return null;
  if (bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt32BE(4) !== VERSION) return null;
  return {
    name: {
      from: bytes.readUInt32BE(8),
      to: bytes.readUInt32BE(12),
      version: bytes.readUInt32BE(16),
    },
    runCount: bytes.readUInt32BE(20),
    directoryAt: readInt64(bytes, 24),
    lastSequence: readInt64(bytes, 32),
  };
}

/** How the names of all segments begin. */
export const SEGMENT_PREFIX = 'seg-';

export function segmentFileName(name: SegmentName): string {
  const pad = (value: number, width: number): string => String(value).padStart(width, '0');
  return `${SEGMENT_PREFIX}${pad(name.from, 10)}-${pad(name.to, 10)}-${pad(name.version, 5)}.seg`;
}

/** What a file name says; null when it is no segment. */
export function parseSegmentName(fileName: string): SegmentName | null {
  const match = NAME.exec(fileName);
  if (match === null) return null;
  return { from: Number(match[1]), to: Number(match[2]), version: Number(match[3]) };
}
