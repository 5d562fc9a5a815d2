/** Record batches as a producer of another maker would pack them, for tests. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { crc32c, signedSize, writeSigned } from '#kit';
import { BATCH_AT, BATCH_HEADER_BYTES } from './batch-layout.ts';

export interface ProducedRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly timeMs: number;
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd', 'xerial'] as const;
export type CodecName = (typeof CODECS)[number];

export interface BatchShape {
  readonly codec?: CodecName;
  readonly baseOffset?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  /** Attribute bits beside the codec. */
  readonly attributes?: number;
}

export function packBatch(records: readonly ProducedRecord[], shape: BatchShape = {}): Buffer {
  const codec = shape.codec ?? 'none';
  const baseTimeMs = records[0]!.timeMs;
  const packed = records.map((record, index) => packRecord(record, index, baseTimeMs));
  const payload = squeeze(codec, Buffer.concat(packed));
  const bytes = Buffer.alloc(BATCH_HEADER_BYTES + payload.length);
  payload.copy(bytes, BATCH_HEADER_BYTES);
  bytes.writeBigInt64BE(BigInt(shape.baseOffset ?? 0));
  bytes.writeInt32BE(bytes.length - BATCH_AT.epoch, BATCH_AT.length);
  bytes[BATCH_AT.magic] = 2;
  const number = codec === 'xerial' ? 2 : CODECS.indexOf(codec);
  bytes.writeInt16BE((shape.attributes ?? 0) | number, BATCH_AT.attributes);
  bytes.writeInt32BE(records.length - 1, BATCH_AT.lastDelta);
  bytes.writeBigInt64BE(BigInt(baseTimeMs), BATCH_AT.baseTime);
  const maxTimeMs = Math.max(...records.map(({ timeMs }) => timeMs));
  bytes.writeBigInt64BE(BigInt(maxTimeMs), BATCH_AT.maxTime);
  bytes.writeBigInt64BE(BigInt(shape.producerId ?? -1), BATCH_AT.producer);
  bytes.writeInt16BE(shape.producerEpoch ?? -1, BATCH_AT.producer + 8);
  bytes.writeInt32BE(shape.baseSequence ?? -1, BATCH_AT.producer + 10);
  bytes.writeInt32BE(records.length, BATCH_AT.count);
  bytes.writeUInt32BE(crc32c(bytes.subarray(BATCH_AT.attributes)), BATCH_AT.crc);
  return bytes;
}

function packRecord(record: ProducedRecord, delta: number, baseTimeMs: number): Buffer {
  const { key, value, timeMs, headers = [] } = record;
  const blobs = headers.flatMap(([name, content]) => [blob(name), blob(content)]);
  const body = Buffer.concat([
    Buffer.from([0]),
    number(timeMs - baseTimeMs),
    number(delta),
    blob(key),
    blob(value),
    number(headers.length),
    ...blobs,
  ]);
  return Buffer.concat([number(body.length), body]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(signedSize(value));
  writeSigned(bytes, 0, value);
  return bytes;
}

function blob(text: string | null): Buffer {
  if (text === null) return number(-1);
  return Buffer.concat([number(Buffer.byteLength(text)), Buffer.from(text)]);
}

function squeeze(codec: CodecName, bytes: Buffer): Buffer {
  switch (codec) {
    case 'gzip':
      return gzipSync(bytes);
    case 'snappy':
      return compressSync(bytes);
    case 'lz4':
      return compressFrameSync(bytes);
    case 'zstd':
      return zstdCompressSync(bytes);
    case 'xerial': {
      const block = compressSync(bytes);
      const head = Buffer.from('82534e41505059000000000100000001', 'hex');
      const length = Buffer.alloc(4);
      length.writeInt32BE(block.length);
      return Buffer.concat([head, length, block]);
    }
    default:
      return bytes;
  }
}
