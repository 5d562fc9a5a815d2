/**
 * Walks over the records of a batch, one at a time, to look at keys and to take records out: what
 * compaction needs of `record-batch.ts`, without making objects of records. What is left keeps its
 * offset, and the batch its range of offsets, its producer and its sequences.
 */
import { crc32c, type Position, ProtocolError, readSigned, signedSize, writeSigned } from '#kit';
import type { KeyedRecords } from '#storage';
import { BATCH_AT, BATCH_HEADER_BYTES, LOG_APPEND_TIME } from './batch-layout.ts';
import { decompress } from './compression.ts';
import { AT_ONCE_BYTES, compressAny, decompressAny, type Turn } from './large-batch.ts';

const CODEC = 0x07;
/** No record is shorter: length, attributes, two deltas, key, value, header count. */
const RECORD_BYTES_MIN = 7;
/** Of the length before a record. */
const LENGTH_BYTES_MAX = 5;
/** Records that are copied before others get a turn. */
const TURN_RECORDS = 2_048;

interface Kept {
  readonly records: Buffer;
  readonly baseTimeMs: number;
  readonly maxTimeMs: number;
}

export class RecordWalk implements KeyedRecords {
  /** Of the record that was stepped to. */
  offset = -1;
  offsetDelta = -1;
  timeMs = -1;
  key: Buffer = Buffer.alloc(0);
  isTombstone = false;
  readonly count: number;

  readonly #batch: Buffer;
  readonly #baseOffset: number;
  readonly #attributes: number;
  readonly #baseTimeMs: number;
  readonly #payload: Buffer;
  readonly #position: Position = { at: 0 };
  /** 1 for a record that is taken out. */
  readonly #dropped: Uint8Array;
  #index = -1;

  /**
   * @param batch whole, with a good checksum
   * @param bytesMax bound for what a compressed batch may become
   * @param payload the records, when they were opened already
   * @throws ProtocolError, BrokerError `message-too-large`
   */
  constructor(
    batch: Buffer,
    baseOffset: number,
    bytesMax: number,
    payload = decompress(codecOf(batch), recordsOf(batch), bytesMax),
  ) {
    this.#batch = batch;
    this.#baseOffset = baseOffset;
    this.#attributes = batch.readInt16BE(BATCH_AT.attributes);
    this.#baseTimeMs = Number(batch.readBigInt64BE(BATCH_AT.baseTime));
    this.#payload = payload;
    this.count = batch.readInt32BE(BATCH_AT.count);
    if (this.count < 0 || this.count * RECORD_BYTES_MIN > this.#payload.length) {
      throw new ProtocolError('record count', BATCH_AT.count, `${this.count} records cannot fit`);
    }
    this.#dropped = new Uint8Array(this.count);
  }

  /** The same for batches of any size: a large one is opened elsewhere. */
  static open(
    batch: Buffer,
    baseOffset: number,
    bytesMax: number,
    turn: Turn,
  ): RecordWalk | Promise<RecordWalk> {
    const payload = decompressAny(codecOf(batch), recordsOf(batch), bytesMax, turn);
    if (!(payload instanceof Promise)) return new RecordWalk(batch, baseOffset, bytesMax, payload);
    return payload.then((opened) => new RecordWalk(batch, baseOffset, bytesMax, opened));
  }

  next(): boolean {
    let hasKey: boolean | null;
    do hasKey = this.step();
    while (hasKey === false);
    return hasKey === true;
  }

  /** Steps to the next record: whether it has a key, or null at the end. */
  step(): boolean | null {
    const [payload, position] = [this.#payload, this.#position];
    if (this.#index + 1 >= this.count) {
      if (position.at === payload.length) return null;
      throw new ProtocolError('records', position.at, 'bytes are left over');
    }
    this.#index++;
    const end = recordEnd(payload, position);
    position.at++;
    this.timeMs = this.#baseTimeMs + readSigned(payload, position, 'timestamp delta');
    this.offsetDelta = readSigned(payload, position, 'offset delta');
    this.offset = this.#baseOffset + this.offsetDelta;
    const keyBytes = readSigned(payload, position, 'key length');
    const keyAt = position.at;
    if (keyBytes > end - keyAt) throw new ProtocolError('key length', keyAt, 'passes the record');
    const hasKey = keyBytes >= 0;
    if (hasKey) position.at += keyBytes;
    this.isTombstone = readSigned(payload, position, 'value length') < 0;
    if (position.at > end) throw new ProtocolError('record', position.at, 'passes its end');
    if (hasKey) this.key = payload.subarray(keyAt, keyAt + keyBytes);
    position.at = end;
    return hasKey;
  }

  drop(): void {
    this.#dropped[this.#index] = 1;
  }

  async result(turn: Turn): Promise<Buffer | null> {
    let kept = 0;
    for (const isDropped of this.#dropped) kept += 1 - isDropped;
    if (kept === 0) return null;
    if (kept === this.count) return this.#batch;
    const copying = this.#withoutDropped();
    let step = copying.next();
    for (; step.done !== true; step = copying.next()) await turn();
    const rest = step.value;
    const like = recordsOf(this.#batch);
    const records = await compressAny(codecOf(this.#batch), rest.records, like, turn);
    return this.#packed(rest, records, kept);
  }

  #packed(rest: Kept, records: Buffer, kept: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(BATCH_HEADER_BYTES + records.length);
    this.#batch.copy(bytes, 0, 0, BATCH_HEADER_BYTES);
    records.copy(bytes, BATCH_HEADER_BYTES);
    bytes.writeInt32BE(bytes.length - BATCH_AT.epoch, BATCH_AT.length);
    bytes.writeInt32BE(kept, BATCH_AT.count);
    // With times of the log, the largest time is that of every record.
    if ((this.#attributes & LOG_APPEND_TIME) === 0) {
      bytes.writeBigInt64BE(BigInt(rest.baseTimeMs), BATCH_AT.baseTime);
      bytes.writeBigInt64BE(BigInt(rest.maxTimeMs), BATCH_AT.maxTime);
    }
    bytes.writeUInt32BE(crc32c(bytes.subarray(BATCH_AT.attributes)), BATCH_AT.crc);
    return bytes;
  }

  /**
   * The records that stay; their times are counted from that of the first one. Yields after some.
   */
  *#withoutDropped(): Generator<void, Kept> {
    const payload = this.#payload;
    const isLogTime = (this.#attributes & LOG_APPEND_TIME) !== 0;
    const position: Position = { at: 0 };
    let target = Buffer.allocUnsafeSlow(payload.length);
    let [to, turnAt] = [0, AT_ONCE_BYTES];
    let [baseTimeMs, maxTimeMs] = [isLogTime ? this.#baseTimeMs : Number.NaN, -1];
    for (let index = 0; index < this.count; index++) {
      const end = recordEnd(payload, position);
      if (this.#dropped[index] === 0) {
        const attributes = payload[position.at++]!;
        const timeMs = this.#baseTimeMs + readSigned(payload, position, 'timestamp delta');
        if (Number.isNaN(baseTimeMs)) baseTimeMs = timeMs;
        maxTimeMs = Math.max(maxTimeMs, timeMs);
        const delta = timeMs - baseTimeMs;
        const size = 1 + signedSize(delta) + end - position.at;
        // Rare: a time that is counted from another one may take some bytes more.
        if (to + size + LENGTH_BYTES_MAX > target.length) {
          target = Buffer.concat([target, Buffer.allocUnsafeSlow(target.length + size)]);
        }
        to = writeSigned(target, to, size);
        target[to++] = attributes;
        to = writeSigned(target, to, delta);
        to += payload.copy(target, to, position.at, end);
      }
      position.at = end;
      if (end < turnAt && index % TURN_RECORDS !== TURN_RECORDS - 1) continue;
      turnAt = end + AT_ONCE_BYTES;
      yield;
    }
    return { records: target.subarray(0, to), baseTimeMs, maxTimeMs };
  }
}

function codecOf(batch: Buffer): number {
  return batch.readInt16BE(BATCH_AT.attributes) & CODEC;
}

function recordsOf(batch: Buffer): Buffer {
  return batch.subarray(BATCH_HEADER_BYTES);
}

/** Reads the length of a record: where it ends. */
function recordEnd(payload: Buffer, position: Position): number {
  const length = readSigned(payload, position, 'record length');
  const end = position.at + length;
  if (length < RECORD_BYTES_MIN - 1 || end > payload.length) {
    throw new ProtocolError('record length', position.at, `${length} passes the batch`);
  }
  return end;
}
