/**
 * Opening compressed batches for readers of other protocols and for compaction. Always bounded: the
 * size that a batch would take is checked before or while it is opened. Only what compaction opened
 * is compressed again, with the codec that it had.
 */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import { compressSync, uncompressSync } from 'snappy';
import { BrokerError, ProtocolError } from '#kit';

/** Codec numbers of a batch's attributes. */
export const GZIP = 1;
export const SNAPPY = 2;
export const LZ4 = 3;
export const ZSTD = 4;

/** First bytes of the block format that Java clients write around snappy ("xerial"). */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
export const XERIAL_HEADER_BYTES = 16;
/** What Java clients put into one block of it. */
export const XERIAL_BLOCK_BYTES = 32_768;

/**
 * @throws BrokerError `message-too-large` when it would pass `bytesMax`
 * @throws ProtocolError when the bytes are not of that codec
 */
export function decompress(codec: number, bytes: Buffer, bytesMax: number): Buffer {
  if (codec === 0) return bytes;
  try {
    switch (codec) {
      case GZIP:
        return gunzipSync(bytes, { maxOutputLength: bytesMax });
      case SNAPPY:
        return isXerial(bytes) ? unXerial(bytes, bytesMax) : unSnappy(bytes, bytesMax);
      case LZ4:
        checkSize(lz4SizeMax(bytes), bytesMax);
        return decompressFrameSync(bytes);
      case ZSTD:
        return zstdDecompressSync(bytes, { maxOutputLength: bytesMax });
    }
  } catch (cause) {
    throw openingFault(cause, bytesMax);
  }
  throw unknownCodec(codec);
}

/** What a failed attempt to open a batch means. */
export function openingFault(cause: unknown, bytesMax: number): BrokerError | ProtocolError {
  if (cause instanceof BrokerError) return cause;
  if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(bytesMax);
  return new ProtocolError('records', 0, `do not decompress: ${(cause as Error).message}`);
}

export function unknownCodec(codec: number): ProtocolError {
  return new ProtocolError('attributes', 21, `compression codec ${codec} is not known`);
}

/**
 * Compresses records again.
 * @param like what they were in before; snappy comes with and without a frame around it
 */
export function compress(codec: number, bytes: Buffer, like: Buffer): Buffer {
  switch (codec) {
    case GZIP:
      return gzipSync(bytes);
    case SNAPPY:
      return isXerial(like) ? xerial(bytes, like) : compressSync(bytes);
    case LZ4:
      return compressFrameSync(bytes);
    case ZSTD:
      return zstdCompressSync(bytes);
    default:
      return bytes;
  }
}

export function checkSize(size: number, bytesMax: number): void {
  if (size > bytesMax) throw tooLarge(bytesMax);
}

function tooLarge(bytesMax: number): BrokerError {
  return new BrokerError('message-too-large', `a batch would open to over ${bytesMax} bytes.`);
}

function unSnappy(bytes: Buffer, bytesMax: number): Buffer {
  checkSize(snappySize(bytes), bytesMax);
  return uncompressSync(bytes, { asBuffer: true }) as Buffer;
}

/** A raw snappy block begins with the size that it opens to. */
export function snappySize(bytes: Buffer): number {
  let size = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[index];
    if (byte === undefined) break;
    size += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return size;
  }
  throw new ProtocolError('records', 0, 'snappy length is cut off');
}

export function isXerial(bytes: Buffer): boolean {
  return bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC);
}

function xerial(bytes: Buffer, like: Buffer): Buffer {
  const parts = [like.subarray(0, XERIAL_HEADER_BYTES)];
  for (let at = 0; at < bytes.length; at += XERIAL_BLOCK_BYTES) {
    parts.push(...xerialBlock(bytes.subarray(at, at + XERIAL_BLOCK_BYTES)));
  }
  return Buffer.concat(parts);
}

/** One block with its length before it. */
export function xerialBlock(bytes: Buffer): [length: Buffer, block: Buffer] {
  const block = compressSync(bytes);
  const length = Buffer.alloc(4);
  length.writeInt32BE(block.length);
  return [length, block];
}

function unXerial(bytes: Buffer, bytesMax: number): Buffer {
  const blocks: Buffer[] = [];
  let total = 0;
  for (const packed of xerialBlocks(bytes)) {
    const block = unSnappy(packed, bytesMax - total);
    total += block.length;
    blocks.push(block);
  }
  return Buffer.concat(blocks, total);
}

/** The blocks as they are. @throws ProtocolError */
export function* xerialBlocks(bytes: Buffer): Generator<Buffer> {
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw new ProtocolError('records', at, 'snappy block is cut off');
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length <= 0 || at + length > bytes.length) {
      throw new ProtocolError('records', at, `snappy block of ${length} bytes`);
    }
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/**
 * Upper bound of what an LZ4 frame opens to: its blocks, each at most 255 to 1 and the block size.
 */
export function lz4SizeMax(bytes: Buffer): number {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== 0x184d2204) {
    throw new ProtocolError('records', 0, 'no LZ4 frame');
  }
  const flags = bytes[4]!;
  const blockMax = 2 ** (8 + 2 * ((bytes[5]! >> 4) & 0x07));
  let at = 7 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0);
  let size = 0;
  while (at + 4 <= bytes.length) {
    const word = bytes.readUInt32LE(at);
    if (word === 0) return size;
    const length = word & 0x7fffffff;
    size += word >= 0x80000000 ? length : Math.min(blockMax, length * 255);
    at += 4 + length + ((flags & 0x10) !== 0 ? 4 : 0);
  }
  throw new ProtocolError('records', at, 'LZ4 frame has no end');
}
