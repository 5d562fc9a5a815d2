/**
 * The bytes of a checkpoint: what makes a start independent of how much is stored. Heads of all
 * logs, idempotent producers, which segments are in use, and where replay begins.
 */
import { readInt64, writeInt64 } from './int64.ts';
import type { RememberedBatch } from './producers.ts';
import { isSealed, sealRecord } from './repair.ts';

const MAGIC = 0x524d5143; // RMQC
const VERSION = 1;
const HEADER_BYTES = 64;
const LOG_BYTES = 24;
const SEGMENT_BYTES = 12;
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

/** A segment by its name: write-ahead generations from, to, and how often it was rewritten. */
export interface SegmentName {
  readonly from: number;
  readonly to: number;
  readonly version: number;
}

export interface Checkpoint {
  /** Everything up to this entry is in here. */
  readonly sequence: number;
  readonly writer: number;
  readonly timeMs: number;
  /** Write-ahead files up to this generation were reorganised into segments. */
  readonly reorganisedThrough: number;
  /** Sequence of the first entry after those. */
  readonly replayFrom: number;
  /** Triples id, start, end. */
  readonly logs: Float64Array;
  readonly segments: readonly SegmentName[];
  readonly producers: readonly ProducerSnapshot[];
}

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const { logs, segments, producers } = checkpoint;
  let size = HEADER_BYTES + (logs.length / 3) * LOG_BYTES + segments.length * SEGMENT_BYTES;
  for (const { batches } of producers) size += PRODUCER_BYTES + batches.length * BATCH_BYTES;
  const bytes = Buffer.alloc(size + CRC_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  writeInt64(bytes, 8, checkpoint.sequence);
  writeInt64(bytes, 16, checkpoint.writer);
  writeInt64(bytes, 24, checkpoint.timeMs);
  bytes.writeUInt32BE(checkpoint.reorganisedThrough, 32);
  writeInt64(bytes, 36, checkpoint.replayFrom);
  bytes.writeUInt32BE(logs.length / 3, 44);
  bytes.writeUInt32BE(segments.length, 48);
  bytes.writeUInt32BE(producers.length, 52);
  let at = HEADER_BYTES;
  for (const value of logs) {
    writeInt64(bytes, at, value);
    at += 8;
  }
  for (const segment of segments) {
    bytes.writeUInt32BE(segment.from, at);
    bytes.writeUInt32BE(segment.to, at + 4);
    bytes.writeUInt32BE(segment.version, at + 8);
    at += SEGMENT_BYTES;
  }
  for (const producer of producers) at = writeProducer(bytes, at, producer);
  sealRecord(bytes);
  return bytes;
}

/** Null when the bytes are no valid checkpoint. Never throws on any bytes. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint | null {
  if (bytes.length < HEADER_BYTES + CRC_BYTES || bytes.readUInt32BE(0) !== MAGIC) return null;
  if (bytes.readUInt32BE(4) !== VERSION || !isSealed(bytes)) return null;
  let at = HEADER_BYTES;
  const logs = new Float64Array(bytes.readUInt32BE(44) * 3);
  for (let index = 0; index < logs.length; index++) {
    logs[index] = readInt64(bytes, at);
    at += 8;
  }
  const segments: SegmentName[] = [];
  for (let left = bytes.readUInt32BE(48); left > 0; left--) {
    segments.push({
      from: bytes.readUInt32BE(at),
      to: bytes.readUInt32BE(at + 4),
      version: bytes.readUInt32BE(at + 8),
    });
    at += SEGMENT_BYTES;
  }
  const producers: ProducerSnapshot[] = [];
  for (let left = bytes.readUInt32BE(52); left > 0; left--) {
    const producer = readProducer(bytes, at);
    producers.push(producer);
    at += PRODUCER_BYTES + producer.batches.length * BATCH_BYTES;
  }
  return {
    sequence: readInt64(bytes, 8),
    writer: readInt64(bytes, 16),
    timeMs: readInt64(bytes, 24),
    reorganisedThrough: bytes.readUInt32BE(32),
    replayFrom: readInt64(bytes, 36),
    logs,
    segments,
    producers,
  };
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
