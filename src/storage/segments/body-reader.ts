/**
 * Reads bodies from where they lie and checks them against their rows. Bodies that lie close
 * together are read with one call. Used for write-ahead files and segments alike.
 */
import { BrokerError } from '#kit';
import { baseOf, bodyBytesOf, endOf, isIntact, ROW_BYTES, readBatch } from '../commit/row-codec.ts';
import { isSystemError } from '../files/files.ts';
import type { StoredBatch } from '../log-engine.ts';

/** A gap that is cheaper to read over than to skip. */
const GAP_BYTES_MAX = 16_384;
const READ_BYTES_MAX = 4 * 2 ** 20;

/** Where bodies lie: a write-ahead file or a segment. */
export interface ByteSource {
  /** Bytes [from, from + length), fewer at the end; a buffer that belongs to the caller. */
  read(from: number, length: number): Promise<Buffer>;
}

/** What was readable, up to the first batch that was not. A hole is read as a batch of no bytes. */
export interface ReadOutcome {
  readonly batches: StoredBatch[];
  /** The offsets of the first damaged batch, or null. */
  readonly damaged: { readonly from: number; readonly to: number } | null;
}

/**
 * @param rows encoded rows, in offset order
 * @param positions where the body of each row begins in `source`
 */
export async function readBodies(
  source: ByteSource,
  rows: Buffer,
  positions: readonly number[],
): Promise<ReadOutcome> {
  const batches: StoredBatch[] = [];
  for (let first = 0; first < positions.length; ) {
    const last = groupEnd(rows, positions, first);
    const start = positions[first]!;
    const end = positions[last]! + bodyBytesOf(rows, last * ROW_BYTES);
    const bytes = await readOrNothing(source, start, end - start);
    for (let index = first; index <= last; index++) {
      const at = index * ROW_BYTES;
      const from = positions[index]! - start;
      const body = bytes.subarray(from, from + bodyBytesOf(rows, at));
      if (!isIntact(rows, at, body)) {
        return { batches, damaged: { from: baseOf(rows, at), to: endOf(rows, at) } };
      }
      batches.push(readBatch(rows, at, body));
    }
    first = last + 1;
  }
  return { batches, damaged: null };
}

/** A place that the disk cannot read counts as damaged: other places may be fine. */
async function readOrNothing(source: ByteSource, from: number, length: number): Promise<Buffer> {
  try {
    return await source.read(from, length);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === 'EIO') return Buffer.alloc(0);
    throw new BrokerError('storage-failed', 'A file cannot be read.', {}, error);
  }
}

/** Index of the last body that is read together with `first`. */
function groupEnd(rows: Buffer, positions: readonly number[], first: number): number {
  const start = positions[first]!;
  let last = first;
  let end = start + bodyBytesOf(rows, first * ROW_BYTES);
  while (last + 1 < positions.length) {
    const next = positions[last + 1]!;
    const nextEnd = next + bodyBytesOf(rows, (last + 1) * ROW_BYTES);
    if (next < end || next - end > GAP_BYTES_MAX || nextEnd - start > READ_BYTES_MAX) break;
    end = nextEnd;
    last++;
  }
  return last;
}
