/**
 * The header of a record batch (message format 2), read in place: what the server must know of a
 * batch without opening its records. Checks follow Kafka's LogValidator as far as the header goes;
 * the records themselves are not touched, so a produce costs nothing per record.
 */
import { crc32c } from '#kit';
import { KAFKA } from './error-codes.ts';

const BATCH_HEADER_BYTES = 61;

const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const BASE_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const PRODUCER_EPOCH_AT = 51;
const BASE_SEQUENCE_AT = 53;
const COUNT_AT = 57;

const COMPRESSION_MASK = 0x07;
/** Highest compression codec: none, gzip, snappy, lz4, zstd. */
const COMPRESSION_MAX = 4;
const ZSTD = 4;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const DELETE_HORIZON = 0x40;

/** First Produce version whose clients may send zstd (KIP-110). */
const ZSTD_SINCE = 7;

export interface BatchFields {
  readonly count: number;
  readonly attributes: number;
  readonly maxTimestampMs: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

export interface BatchFault {
  readonly errorCode: number;
  readonly message: string;
}

const fault = (errorCode: number, message: string): BatchFault => ({ errorCode, message });

/** Codec of the records: 0 for none. */
export function compressionOf(batch: Buffer): number {
  return batch[ATTRIBUTES_AT + 1]! & COMPRESSION_MASK;
}

/** What is wrong with the `records` of a produce request, or null. Order of checks as in Kafka. */
export function batchFault(
  bytes: Buffer | null,
  produceVersion: number,
  latestTimestampMs: number,
): BatchFault | null {
  if (bytes === null || bytes.length === 0) {
    return fault(KAFKA.INVALID_RECORD, 'a produce request holds one record batch per partition');
  }
  // Message sets of formats 0 and 1 have their magic byte at the same place (K21).
  if (bytes.length > MAGIC_AT && bytes[MAGIC_AT]! < 2) {
    return fault(
      KAFKA.UNSUPPORTED_FOR_MESSAGE_FORMAT,
      `message format ${bytes[MAGIC_AT]} is not supported any more`,
    );
  }
  if (bytes.length < BATCH_HEADER_BYTES) {
    return fault(KAFKA.CORRUPT_MESSAGE, 'the record batch is cut off');
  }
  if (bytes[MAGIC_AT] !== 2) return fault(KAFKA.CORRUPT_MESSAGE, 'unknown message format');
  const size = bytes.readInt32BE(8) + 12;
  if (size < BATCH_HEADER_BYTES || size > bytes.length) {
    return fault(KAFKA.CORRUPT_MESSAGE, 'the record batch is cut off');
  }
  if (size < bytes.length) {
    return fault(KAFKA.INVALID_RECORD, 'a produce request holds exactly one batch per partition');
  }
  if (crc32c(bytes.subarray(ATTRIBUTES_AT)) !== bytes.readUInt32BE(CRC_AT)) {
    return fault(KAFKA.CORRUPT_MESSAGE, 'the CRC of the record batch is wrong');
  }
  return attributesFault(bytes, produceVersion) ?? countsFault(bytes, latestTimestampMs);
}

function attributesFault(bytes: Buffer, produceVersion: number): BatchFault | null {
  const attributes = bytes.readUInt16BE(ATTRIBUTES_AT);
  const codec = attributes & COMPRESSION_MASK;
  if (codec > COMPRESSION_MAX || (codec === ZSTD && produceVersion < ZSTD_SINCE)) {
    return fault(KAFKA.UNSUPPORTED_COMPRESSION_TYPE, `compression type ${codec}`);
  }
  if ((attributes & CONTROL) !== 0) {
    return fault(KAFKA.INVALID_RECORD, 'clients may not write control records');
  }
  if ((attributes & LOG_APPEND_TIME) !== 0) {
    return fault(KAFKA.INVALID_TIMESTAMP, 'the timestamp type is for the server to set');
  }
  if ((attributes & DELETE_HORIZON) !== 0) {
    return fault(KAFKA.INVALID_RECORD, 'the delete horizon is for the server to set');
  }
  return null;
}

function countsFault(bytes: Buffer, latestTimestampMs: number): BatchFault | null {
  const count = bytes.readInt32BE(COUNT_AT);
  if (count < 1 || bytes.readInt32BE(LAST_OFFSET_DELTA_AT) !== count - 1) {
    return fault(KAFKA.INVALID_RECORD, 'record count and last offset delta do not fit');
  }
  // A record takes seven bytes at least; a compressed one may take less.
  const compressed = (bytes[ATTRIBUTES_AT + 1]! & COMPRESSION_MASK) !== 0;
  if (!compressed && count * 7 > bytes.length - BATCH_HEADER_BYTES) {
    return fault(KAFKA.INVALID_RECORD, `${count} records cannot fit in the batch`);
  }
  const maxTimestampMs = readInt64(bytes, MAX_TIMESTAMP_AT);
  if (maxTimestampMs < -1 || readInt64(bytes, BASE_TIMESTAMP_AT) < -1) {
    return fault(KAFKA.INVALID_TIMESTAMP, 'a timestamp is negative');
  }
  if (maxTimestampMs > latestTimestampMs) {
    return fault(KAFKA.INVALID_TIMESTAMP, `timestamp ${maxTimestampMs} lies too far ahead`);
  }
  const hasProducer = readInt64(bytes, PRODUCER_ID_AT) >= 0;
  if (isTransactional(bytes) && !hasProducer) {
    return fault(KAFKA.INVALID_RECORD, 'a transactional batch needs a producer id');
  }
  if (hasProducer) {
    if (bytes.readInt16BE(PRODUCER_EPOCH_AT) < 0 || bytes.readInt32BE(BASE_SEQUENCE_AT) < 0) {
      return fault(KAFKA.INVALID_RECORD, 'a batch with a producer id needs epoch and sequence');
    }
  }
  return null;
}

/** True for a whole header that says so; nothing else of it was checked. */
export function isTransactional(bytes: Buffer | null): boolean {
  if (bytes === null || bytes.length < BATCH_HEADER_BYTES) return false;
  return (bytes[ATTRIBUTES_AT + 1]! & TRANSACTIONAL) !== 0;
}

/** The fields that storage indexes. Only for bytes that `batchFault` had nothing against. */
export function batchFields(bytes: Buffer): BatchFields {
  const producerId = readInt64(bytes, PRODUCER_ID_AT);
  const idempotent = producerId >= 0;
  return {
    count: bytes.readInt32BE(COUNT_AT),
    attributes: bytes.readUInt16BE(ATTRIBUTES_AT),
    maxTimestampMs: readInt64(bytes, MAX_TIMESTAMP_AT),
    producerId: idempotent ? producerId : -1,
    producerEpoch: idempotent ? bytes.readInt16BE(PRODUCER_EPOCH_AT) : -1,
    baseSequence: idempotent ? bytes.readInt32BE(BASE_SEQUENCE_AT) : -1,
  };
}

function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x100000000 + bytes.readUInt32BE(at + 4);
}
