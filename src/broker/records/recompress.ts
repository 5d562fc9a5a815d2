/** A producer's batch in another compression, for streams that want one whatever comes. */
import { crc32c } from '#kit';
import { BATCH_AT, BATCH_HEADER_BYTES } from './batch-layout.ts';
import { compress, decompress, GZIP, LZ4, SNAPPY, ZSTD } from './compression.ts';

/** Codec numbers by the names that people use. */
export const CODEC_NUMBERS = {
  uncompressed: 0,
  gzip: GZIP,
  snappy: SNAPPY,
  lz4: LZ4,
  zstd: ZSTD,
} as const;

const CODEC = 0x07;
/** Snappy in the frame of Java clients, which all others read: version 1, since version 1. */
const XERIAL_HEADER = Buffer.from('82534e415050590000000001' + '00000001', 'hex');

/**
 * The batch as it is when it has the codec already, else a new one that differs in nothing but how
 * its records are packed.
 * @param batch whole, its records checked
 * @param bytesMax bound for what it may open to
 * @throws BrokerError `message-too-large`, ProtocolError when it does not open
 */
export function recompressed(batch: Buffer, codec: number, bytesMax: number): Buffer {
  const attributes = batch.readInt16BE(BATCH_AT.attributes);
  const before = attributes & CODEC;
  if (before === codec) return batch;
  const records = decompress(before, batch.subarray(BATCH_HEADER_BYTES), bytesMax);
  const packed = compress(codec, records, XERIAL_HEADER);
  const made = Buffer.allocUnsafe(BATCH_HEADER_BYTES + packed.length);
  batch.copy(made, 0, 0, BATCH_HEADER_BYTES);
  made.set(packed, BATCH_HEADER_BYTES);
  made.writeInt32BE(made.length - BATCH_AT.epoch, BATCH_AT.length);
  made.writeInt16BE((attributes & ~CODEC) | codec, BATCH_AT.attributes);
  made.writeUInt32BE(crc32c(made.subarray(BATCH_AT.attributes)), BATCH_AT.crc);
  return made;
}
