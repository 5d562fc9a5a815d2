/**
 * Opening and packing what is too large for one stretch of the event loop: a codec works on another
 * thread, blocks of snappy are taken one by one. What is small is done at once; a simulation, whose
 * batches are small, so never meets another thread.
 */
import { promisify } from 'node:util';
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { compress as snap, uncompress as unsnap } from 'snappy';
import {
  checkSize,
  compress,
  decompress,
  GZIP,
  isXerial,
  LZ4,
  lz4SizeMax,
  openingFault,
  SNAPPY,
  snappySize,
  unknownCodec,
  XERIAL_BLOCK_BYTES,
  XERIAL_HEADER_BYTES,
  xerialBlock,
  xerialBlocks,
  ZSTD,
} from './compression.ts';

/** Packed bytes that are opened at once: at most some megabytes come out. */
const OPENED_AT_ONCE_BYTES = 16_384;
/** Bytes that are packed, or copied, at once. */
export const AT_ONCE_BYTES = 2 ** 18;

/** Lets others have their turn. */
export type Turn = () => Promise<void>;

const gunzipAside = promisify(gunzip);
const gzipAside = promisify(gzip);
const unzstdAside = promisify(zstdDecompress);
const zstdAside = promisify(zstdCompress);

/** As `decompress`; a promise when it is large. */
export function decompressAny(
  codec: number,
  bytes: Buffer,
  bytesMax: number,
  turn: Turn,
): Buffer | Promise<Buffer> {
  if (codec === 0 || bytes.length <= OPENED_AT_ONCE_BYTES) {
    return decompress(codec, bytes, bytesMax);
  }
  return decompressLarge(codec, bytes, bytesMax, turn).catch((cause: unknown) => {
    throw openingFault(cause, bytesMax);
  });
}

async function decompressLarge(codec: number, bytes: Buffer, bytesMax: number, turn: Turn) {
  switch (codec) {
    case GZIP:
      return gunzipAside(bytes, { maxOutputLength: bytesMax });
    case SNAPPY:
      return isXerial(bytes) ? unXerial(bytes, bytesMax, turn) : unSnappy(bytes, bytesMax);
    case LZ4:
      checkSize(lz4SizeMax(bytes), bytesMax);
      return decompressFrame(bytes);
    case ZSTD:
      return unzstdAside(bytes, { maxOutputLength: bytesMax });
    default:
      throw unknownCodec(codec);
  }
}

/** As `compress`; a promise when it is large. */
export function compressAny(
  codec: number,
  bytes: Buffer,
  like: Buffer,
  turn: Turn,
): Buffer | Promise<Buffer> {
  if (codec === 0 || bytes.length <= AT_ONCE_BYTES) return compress(codec, bytes, like);
  switch (codec) {
    case GZIP:
      return gzipAside(bytes);
    case SNAPPY:
      return isXerial(like) ? xerial(bytes, like, turn) : snap(bytes);
    case LZ4:
      return compressFrame(bytes);
    default:
      return zstdAside(bytes);
  }
}

async function unSnappy(bytes: Buffer, bytesMax: number): Promise<Buffer> {
  checkSize(snappySize(bytes), bytesMax);
  return (await unsnap(bytes, { asBuffer: true })) as Buffer;
}

async function unXerial(bytes: Buffer, bytesMax: number, turn: Turn): Promise<Buffer> {
  const blocks: Buffer[] = [];
  let [total, waiting] = [0, 0];
  for (const packed of xerialBlocks(bytes)) {
    const block = await unSnappy(packed, bytesMax - total);
    total += block.length;
    waiting += block.length;
    blocks.push(block);
    if (waiting < AT_ONCE_BYTES) continue;
    waiting = 0;
    await turn();
  }
  return Buffer.concat(blocks, total);
}

async function xerial(bytes: Buffer, like: Buffer, turn: Turn): Promise<Buffer> {
  const parts = [like.subarray(0, XERIAL_HEADER_BYTES)];
  let waiting = 0;
  for (let at = 0; at < bytes.length; at += XERIAL_BLOCK_BYTES) {
    parts.push(...xerialBlock(bytes.subarray(at, at + XERIAL_BLOCK_BYTES)));
    waiting += XERIAL_BLOCK_BYTES;
    if (waiting < AT_ONCE_BYTES) continue;
    waiting = 0;
    await turn();
  }
  return Buffer.concat(parts);
}
