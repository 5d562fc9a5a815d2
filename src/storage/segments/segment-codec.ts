/**
 * The bytes around the runs of a segment:
 *
 * ```
 * for each log, ascending: bodies back to back | index rows (row-codec.ts) | block records
 * directory: one row of 112 bytes per log
 * fences: the log of every 32nd directory row i64 each | ids of replaced segments i64 each | CRC
 * u32 trailer of 128 bytes, at the very end
 *
 * directory row
 *   0 log i64          8 first offset i64   16 end offset i64
 *  24 min time i64    32 max time i64       40 position of bodies i64   48 bytes of bodies i64
 *  56 position of rows i64   64 row count u32   68 flags u32
 *  72 start of the log i64   80 bytes of bodies that were not compacted i64
 *  88 append time of the first and 96 of the last of them i64   104 horizon u32   108 CRC-32C u32
 * block record, one for each 256 index rows, only in runs with more than that
 *   0 first offset i64   8 max time i64   16 bytes of bodies before it i64   24 0   28 CRC-32C u32
 * trailer
 *   0 magic u32   4 version u32   8 segment i64   16 job i64   24 part u32   28 flags u32
 *  32 level u32  36 first slot u32  40 directory rows u32  44 replaced segments u32
 *  48 directory position i64   56 last sequence i64   64 lane u32   68 generation u32
 *  72 replay from i64   80 last job of lane 0 i64   88 of lane 1 i64
 *  96 first log i64   104 last log i64   112 bytes before the directory that are in no run i64
 * 120 …   124 CRC-32C u32
 * ```
 * An adopted segment is a write-ahead file as it was, with the index rows and everything after them
 * added: its bodies lie between other bytes, and positions in its rows count from the start of the
 * file.
 *
 * A directory row without index rows only says where a log starts, or that it was removed: recovery
 * without a checkpoint needs to know.
 */
import { crc32c } from '#kit';
import { readInt64, writeInt64 } from '../int64.ts';
import { isSealed, sealRecord } from '../recovery/repair.ts';

export const RUN_BYTES = 112;
/** Directory rows that are read together. */
export const PAGE_ROWS = 32;
/** Index rows that one block record stands for. */
export const BLOCK_ROWS = 256;
export const BLOCK_BYTES = 32;
export const SEGMENT_TRAILER_BYTES = 128;

const MAGIC = 0x524d5153; // RMQS
const VERSION = 2;
const FLAG_REMOVED = 1;
const FLAG_LAST = 1;
const FLAG_SHADOWS = 2;
const FLAG_ADOPTED = 4;
const NAME = /^(seg|tier|raw)-(\d{12})(?:-(\d{10}))?\.seg$/;

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
interface Dirt {
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

/** The log of the directory row at `at`: what rows are sorted by. */
export const runLog = (bytes: Buffer, at: number): number => readInt64(bytes, at);

/** Reads a directory row whose seal was checked. */
export function decodeRun(bytes: Buffer, at: number): Run {
  return {
    log: readInt64(bytes, at),
    firstOffset: readInt64(bytes, at + 8),
    endOffset: readInt64(bytes, at + 16),
    minTimeMs: readInt64(bytes, at + 24),
    maxTimeMs: readInt64(bytes, at + 32),
    bodiesAt: readInt64(bytes, at + 40),
    bodyBytes: readInt64(bytes, at + 48),
    rowsAt: readInt64(bytes, at + 56),
    rowCount: bytes.readUInt32BE(at + 64),
    removed: (bytes.readUInt32BE(at + 68) & FLAG_REMOVED) !== 0,
    logStart: readInt64(bytes, at + 72),
    dirt: {
      bytes: readInt64(bytes, at + 80),
      sinceMs: readInt64(bytes, at + 88),
      untilMs: readInt64(bytes, at + 96),
      horizon: bytes.readUInt32BE(at + 104),
    },
  };
}

/**
 * Block records of a run, so that an offset, a time or a size is found without reading its rows.
 */
export function writeBlock(to: Buffer, at: number, base: number, maxTime: number, before: number) {
  writeInt64(to, at, base);
  writeInt64(to, at + 8, maxTime);
  writeInt64(to, at + 16, before);
  to.writeUInt32BE(0, at + 24);
  sealRecord(to.subarray(at, at + BLOCK_BYTES));
}

export const blockBase = (blocks: Buffer, index: number): number =>
  readInt64(blocks, index * BLOCK_BYTES);
export const blockMaxTime = (blocks: Buffer, index: number): number =>
  readInt64(blocks, index * BLOCK_BYTES + 8);
export const blockBefore = (blocks: Buffer, index: number): number =>
  readInt64(blocks, index * BLOCK_BYTES + 16);

/** Level 1 comes from write-ahead files, each further one from a merge of the one before. */
export const LANE = { levelOne: 0, merge: 1 } as const;

export interface SegmentTrailer {
  readonly id: number;
  /** All segments that one job made; they count together or not at all. */
  readonly job: number;
  readonly part: number;
  /** True for the part with the highest number. */
  readonly last: boolean;
  /** True when a run in here may stand in for runs of older segments that are still there. */
  readonly shadows: boolean;
  /** True for what was the write-ahead file of `generation`. */
  readonly adopted: boolean;
  readonly lane: number;
  /** How often its data was merged; 0 for long runs, which are not merged any more. */
  readonly level: number;
  readonly firstSlot: number;
  readonly runCount: number;
  readonly directoryAt: number;
  /** Sequence of the newest entry whose batches may be in here: the order of segments in time. */
  readonly lastSequence: number;
  /** Write-ahead files up to this generation were reorganised, and where replay went on. */
  readonly generation: number;
  readonly replayFrom: number;
  /** For each lane the last job that was done when this one began. */
  readonly done: readonly [number, number];
  readonly firstLog: number;
  readonly lastLog: number;
  readonly replacedCount: number;
  /** Bytes before the directory that belong to no run. */
  readonly overheadBytes: number;
}

export function encodeSegmentTrailer(trailer: SegmentTrailer): Buffer {
  const bytes = Buffer.alloc(SEGMENT_TRAILER_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  writeInt64(bytes, 8, trailer.id);
  writeInt64(bytes, 16, trailer.job);
  bytes.writeUInt32BE(trailer.part, 24);
  const flags = (trailer.last ? FLAG_LAST : 0) | (trailer.shadows ? FLAG_SHADOWS : 0);
  bytes.writeUInt32BE(flags | (trailer.adopted ? FLAG_ADOPTED : 0), 28);
  bytes.writeUInt32BE(trailer.level, 32);
  bytes.writeUInt32BE(trailer.firstSlot, 36);
  bytes.writeUInt32BE(trailer.runCount, 40);
  bytes.writeUInt32BE(trailer.replacedCount, 44);
  writeInt64(bytes, 48, trailer.directoryAt);
  writeInt64(bytes, 56, trailer.lastSequence);
  bytes.writeUInt32BE(trailer.lane, 64);
  bytes.writeUInt32BE(trailer.generation, 68);
  writeInt64(bytes, 72, trailer.replayFrom);
  writeInt64(bytes, 80, trailer.done[0]);
  writeInt64(bytes, 88, trailer.done[1]);
  writeInt64(bytes, 96, trailer.firstLog);
  writeInt64(bytes, 104, trailer.lastLog);
  writeInt64(bytes, 112, trailer.overheadBytes);
  sealRecord(bytes);
  return bytes;
}

/** Null when the bytes are no valid trailer. Never throws on any bytes. */
export function decodeSegmentTrailer(bytes: Buffer): SegmentTrailer | null {
  if (bytes.length !== SEGMENT_TRAILER_BYTES || !isSealed(bytes)) return null;
  if (bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt32BE(4) !== VERSION) return null;
  const flags = bytes.readUInt32BE(28);
  return {
    id: readInt64(bytes, 8),
    job: readInt64(bytes, 16),
    part: bytes.readUInt32BE(24),
    last: (flags & FLAG_LAST) !== 0,
    shadows: (flags & FLAG_SHADOWS) !== 0,
    adopted: (flags & FLAG_ADOPTED) !== 0,
    level: bytes.readUInt32BE(32),
    firstSlot: bytes.readUInt32BE(36),
    runCount: bytes.readUInt32BE(40),
    replacedCount: bytes.readUInt32BE(44),
    directoryAt: readInt64(bytes, 48),
    lastSequence: readInt64(bytes, 56),
    lane: bytes.readUInt32BE(64),
    generation: bytes.readUInt32BE(68),
    replayFrom: readInt64(bytes, 72),
    done: [readInt64(bytes, 80), readInt64(bytes, 88)],
    firstLog: readInt64(bytes, 96),
    lastLog: readInt64(bytes, 104),
    overheadBytes: readInt64(bytes, 112),
  };
}

/** Where the fences lie, and how long they and the replaced ids are, with their checksum. */
export function fencesAt(trailer: SegmentTrailer): { position: number; length: number } {
  const pages = Math.ceil(trailer.runCount / PAGE_ROWS);
  return {
    position: trailer.directoryAt + trailer.runCount * RUN_BYTES,
    length: (pages + trailer.replacedCount) * 8 + 4,
  };
}

export function encodeFences(fences: readonly number[], replaced: readonly number[]): Buffer {
  const bytes = Buffer.alloc((fences.length + replaced.length) * 8 + 4);
  let at = 0;
  for (const value of fences) at = put(bytes, at, value);
  for (const value of replaced) at = put(bytes, at, value);
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, at)), at);
  return bytes;
}

function put(bytes: Buffer, at: number, value: number): number {
  writeInt64(bytes, at, value);
  return at + 8;
}

/** The fences, then the replaced ids; null when the bytes are damaged. */
export function decodeFences(bytes: Buffer): Float64Array | null {
  const end = bytes.length - 4;
  if (end < 0 || !isSealed(bytes)) return null;
  const values = new Float64Array(end / 8);
  for (let index = 0; index < values.length; index++) values[index] = readInt64(bytes, index * 8);
  return values;
}

/**
 * How the names of segments begin: those that stay here, those that may go far away, and those that
 * were write-ahead files.
 */
export const SEGMENT_PREFIXES = ['seg-', 'tier-', 'raw-'] as const;

/** What a segment's name says. */
export interface SegmentName {
  readonly id: number;
  readonly remote: boolean;
  /** Of the write-ahead file that became this segment; 0 when none did. */
  readonly generation: number;
}

export function segmentName({ id, remote, generation }: SegmentName): string {
  const digits = String(id).padStart(12, '0');
  if (generation === 0) return `${SEGMENT_PREFIXES[remote ? 1 : 0]}${digits}.seg`;
  return `${SEGMENT_PREFIXES[2]}${digits}-${String(generation).padStart(10, '0')}.seg`;
}

/** Null when an object is no segment. */
export function parseSegmentName(name: string): SegmentName | null {
  const match = NAME.exec(name);
  if (match === null || (match[1] === 'raw') !== (match[3] !== undefined)) return null;
  return { id: Number(match[2]), remote: match[1] === 'tier', generation: Number(match[3] ?? 0) };
}
