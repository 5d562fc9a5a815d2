/**
 * Batches whose records have the time of their append: the server writes it over the producer's.
 */
import { crc32c } from '#kit';
import { BATCH_AT, LOG_APPEND_TIME } from './batch-layout.ts';

export function stampAppendTime(batch: Buffer, nowMs: number): void {
  const attributes = batch.readInt16BE(BATCH_AT.attributes);
  batch.writeInt16BE(attributes | LOG_APPEND_TIME, BATCH_AT.attributes);
  batch.writeBigInt64BE(BigInt(nowMs), BATCH_AT.maxTime);
  batch.writeUInt32BE(crc32c(batch.subarray(BATCH_AT.attributes)), BATCH_AT.crc);
}
