/**
 * The record that ends a transaction in a partition: a control batch of one record, as Kafka
 * writes it (KIP-98). Only its own readers see it.
 */
import { crc32c, writeSigned } from '#kit';
import { BATCH_AT, BATCH_HEADER_BYTES, CONTROL, TRANSACTIONAL } from './batch-layout.ts';

export interface Marker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly isCommit: boolean;
  /** Of who decided; told to tools. */
  readonly coordinatorEpoch: number;
}

export const MARKER_ATTRIBUTES = TRANSACTIONAL | CONTROL;
const MAGIC = 2;
/** Key: version 0, type. Value: version 0, coordinator epoch. */
const KEY_BYTES = 4;
const VALUE_BYTES = 6;
const RECORD_BYTES_MAX = 32;

export function markerBatch(marker: Marker, timeMs: number): Buffer {
  const bytes = Buffer.alloc(BATCH_HEADER_BYTES + RECORD_BYTES_MAX);
  const record = Buffer.alloc(RECORD_BYTES_MAX);
  let at = 1;
  at = writeSigned(record, at, 0);
  at = writeSigned(record, at, 0);
  at = writeSigned(record, at, KEY_BYTES);
  at = record.writeInt16BE(0, at);
  at = record.writeInt16BE(marker.isCommit ? 1 : 0, at);
  at = writeSigned(record, at, VALUE_BYTES);
  at = record.writeInt16BE(0, at);
  at = record.writeInt32BE(marker.coordinatorEpoch, at);
  at = writeSigned(record, at, 0);
  let end = writeSigned(bytes, BATCH_HEADER_BYTES, at);
  end += record.copy(bytes, end, 0, at);
  bytes.writeInt32BE(end - BATCH_AT.epoch, BATCH_AT.length);
  bytes[BATCH_AT.magic] = MAGIC;
  bytes.writeInt16BE(MARKER_ATTRIBUTES, BATCH_AT.attributes);
  bytes.writeInt32BE(0, BATCH_AT.lastDelta);
  bytes.writeBigInt64BE(BigInt(timeMs), BATCH_AT.baseTime);
  bytes.writeBigInt64BE(BigInt(timeMs), BATCH_AT.maxTime);
  bytes.writeBigInt64BE(BigInt(marker.producerId), BATCH_AT.producer);
  bytes.writeInt16BE(marker.producerEpoch, BATCH_AT.producerEpoch);
  bytes.writeInt32BE(-1, BATCH_AT.baseSequence);
  bytes.writeInt32BE(1, BATCH_AT.count);
  bytes.writeUInt32BE(crc32c(bytes.subarray(BATCH_AT.attributes, end)), BATCH_AT.crc);
  return bytes.subarray(0, end);
}
