/**
 * The bytes of a checkpoint: what makes a start independent of how much is stored. Heads of all
 * logs, idempotent producers, which segments are in use, and where replay begins.
 *
 * ```
 * header 104 | parts | segments, 16 each | CRC-32C of all before
 * header   0 magic u32   4 version u32   8 sequence i64  16 known i64  24 writer i64  32 time i64
 *         40 generation u32   44 parts u32   48 replay from i64   56 next segment i64
 *         64 next job i64   72 and 80 last jobs done i64   88 segments u32   92 …
 * part     0 sequence i64   8 logs u32  12 producers u32 | logs, 40 each | producers
 * ```
 * The heads are taken in parts, other work running between them; each part says which entry was the
 * last one committed at its moment (`capture.ts`).
 */
import { crc32c } from '#kit';
import type { RememberedBatch } from '../commit/producers.ts';
import { readInt64, writeInt64 } from '../int64.ts';
import type { Turns } from '../turns.ts';

const MAGIC = 0x524d5143; // RMQC
const VERSION = 2;
const HEADER_BYTES = 104;
const PART_BYTES = 16;
const LOG_BYTES = 40;
const SEGMENT_BYTES = 16;
const PRODUCER_BYTES = 28;
const BATCH_BYTES = 16;
const CRC_BYTES = 4;

export interface ProducerSnapshot {
  readonly log: number;
  readonly id: number;
  readonly epoch: number;
  readonly lastTimeMs: number;
  readonly batches: readonly RememberedBatch[];
}

/** How many numbers there are for a log: id, start, end, bytes, batches. */
export const LOG_FIELDS = 5;

/** Some logs as they were at one moment. */
export interface CheckpointPart {
  /** The last entry that was committed at that moment. */
  readonly sequence: number;
  /** `LOG_FIELDS` numbers for each log. */
  readonly logs: Float64Array;
  readonly producers: readonly ProducerSnapshot[];
}

export interface SegmentListing {
  readonly id: number;
  readonly remote: boolean;
}

export interface CheckpointHeader {
  /** Every part holds everything up to this entry. */
  readonly sequence: number;
  /** Some parts hold entries up to this one: all of them were committed. */
  readonly known: number;
  readonly writer: number;
  readonly timeMs: number;
  /** Write-ahead files up to this generation were reorganised into segments. */
  readonly generation: number;
  /** Sequence of the first entry after those. */
  readonly replayFrom: number;
  readonly nextSegment: number;
  readonly nextJob: number;
  readonly done: readonly [number, number];
  readonly segments: readonly SegmentListing[];
}

export interface Checkpoint extends CheckpointHeader {
  readonly parts: readonly CheckpointPart[];
}

export function encodePart(part: CheckpointPart): Buffer {
  const { logs, producers } = part;
  let size = PART_BYTES + (logs.length / LOG_FIELDS) * LOG_BYTES;
  for (const { batches } of producers) size += PRODUCER_BYTES + batches.length * BATCH_BYTES;
  const bytes = Buffer.alloc(size);
  writeInt64(bytes, 0, part.sequence);
  bytes.writeUInt32BE(logs.length / LOG_FIELDS, 8);
  bytes.writeUInt32BE(producers.length, 12);
  let at = PART_BYTES;
  for (const value of logs) {
    writeInt64(bytes, at, value);
    at += 8;
  }
  for (const producer of producers) at = writeProducer(bytes, at, producer);
  return bytes;
}

/** Header, parts, segments and checksum, to be written one after the other. */
export async function encodeCheckpoint(
  header: CheckpointHeader,
  parts: readonly Buffer[],
  turns: Turns,
): Promise<Buffer[]> {
  const chunks = [encodeHeader(header, parts.length), ...parts, encodeSegments(header.segments)];
  let crc = 0;
  for (const chunk of chunks) {
    crc = crc32c(chunk, crc);
    if (turns.over(chunk.length)) await turns.next();
  }
  const seal = Buffer.alloc(CRC_BYTES);
  seal.writeUInt32BE(crc);
  return [...chunks, seal];
}

function encodeHeader(header: CheckpointHeader, parts: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  writeInt64(bytes, 8, header.sequence);
  writeInt64(bytes, 16, header.known);
  writeInt64(bytes, 24, header.writer);
  writeInt64(bytes, 32, header.timeMs);
  bytes.writeUInt32BE(header.generation, 40);
  bytes.writeUInt32BE(parts, 44);
  writeInt64(bytes, 48, header.replayFrom);
  writeInt64(bytes, 56, header.nextSegment);
  writeInt64(bytes, 64, header.nextJob);
  writeInt64(bytes, 72, header.done[0]);
  writeInt64(bytes, 80, header.done[1]);
  bytes.writeUInt32BE(header.segments.length, 88);
  return bytes;
}

function encodeSegments(segments: readonly SegmentListing[]): Buffer {
  const bytes = Buffer.alloc(segments.length * SEGMENT_BYTES);
  segments.forEach(({ id, remote }, index) => {
    writeInt64(bytes, index * SEGMENT_BYTES, id);
    bytes.writeUInt32BE(remote ? 1 : 0, index * SEGMENT_BYTES + 8);
  });
  return bytes;
}

/**
 * The entry up to which a checkpoint holds everything, or -1 when the bytes are no valid one. Never
 * throws on any bytes.
 */
export function checkpointSequence(bytes: Buffer): number {
  const end = bytes.length - CRC_BYTES;
  if (end < HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) return -1;
  if (bytes.readUInt32BE(4) !== VERSION) return -1;
  if (crc32c(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) return -1;
  return readInt64(bytes, 8);
}

/** Null when the bytes are no valid checkpoint. Never throws on any bytes. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint | null {
  if (checkpointSequence(bytes) < 0) return null;
  const parts: CheckpointPart[] = [];
  let at = HEADER_BYTES;
  for (let left = bytes.readUInt32BE(44); left > 0; left--) {
    const part = readPart(bytes, at);
    parts.push(part);
    at += PART_BYTES + (part.logs.length / LOG_FIELDS) * LOG_BYTES;
    for (const { batches } of part.producers) at += PRODUCER_BYTES + batches.length * BATCH_BYTES;
  }
  const segments: SegmentListing[] = [];
  for (let left = bytes.readUInt32BE(88); left > 0; left--) {
    segments.push({ id: readInt64(bytes, at), remote: bytes.readUInt32BE(at + 8) === 1 });
    at += SEGMENT_BYTES;
  }
  return {
    sequence: readInt64(bytes, 8),
    known: readInt64(bytes, 16),
    writer: readInt64(bytes, 24),
    timeMs: readInt64(bytes, 32),
    generation: bytes.readUInt32BE(40),
    replayFrom: readInt64(bytes, 48),
    nextSegment: readInt64(bytes, 56),
    nextJob: readInt64(bytes, 64),
    done: [readInt64(bytes, 72), readInt64(bytes, 80)],
    segments,
    parts,
  };
}

function readPart(bytes: Buffer, at: number): CheckpointPart {
  const logs = new Float64Array(bytes.readUInt32BE(at + 8) * LOG_FIELDS);
  let from = at + PART_BYTES;
  for (let index = 0; index < logs.length; index++, from += 8) {
    logs[index] = readInt64(bytes, from);
  }
  const producers: ProducerSnapshot[] = [];
  for (let left = bytes.readUInt32BE(at + 12); left > 0; left--) {
    const producer = readProducer(bytes, from);
    producers.push(producer);
    from += PRODUCER_BYTES + producer.batches.length * BATCH_BYTES;
  }
  return { sequence: readInt64(bytes, at), logs, producers };
}

function writeProducer(bytes: Buffer, at: number, producer: ProducerSnapshot): number {
  writeInt64(bytes, at, producer.log);
  writeInt64(bytes, at + 8, producer.id);
  bytes.writeInt16BE(producer.epoch, at + 16);
  bytes.writeUInt16BE(producer.batches.length, at + 18);
  writeInt64(bytes, at + 20, producer.lastTimeMs);
  at += PRODUCER_BYTES;
  for (const batch of producer.batches) {
    bytes.writeInt32BE(batch.firstSequence, at);
    bytes.writeInt32BE(batch.lastSequence, at + 4);
    writeInt64(bytes, at + 8, batch.baseOffset);
    at += BATCH_BYTES;
  }
  return at;
}

function readProducer(bytes: Buffer, at: number): ProducerSnapshot {
  const batches: RememberedBatch[] = [];
  const count = bytes.readUInt16BE(at + 18);
  for (let index = 0; index < count; index++) {
    const from = at + PRODUCER_BYTES + index * BATCH_BYTES;
    batches.push({
      firstSequence: bytes.readInt32BE(from),
      lastSequence: bytes.readInt32BE(from + 4),
      baseOffset: readInt64(bytes, from + 8),
    });
  }
  return {
    log: readInt64(bytes, at),
    id: readInt64(bytes, at + 8),
    epoch: bytes.readInt16BE(at + 16),
    lastTimeMs: readInt64(bytes, at + 20),
    batches,
  };
}
