/**
 * Reads segments: a small cache of index row blocks, and from there one read per run of bodies. A
 * reader that goes on where it stopped finds its block in the cache. Where segments lie is the
 * matter of `ObjectStore`.
 */
import { BrokerError } from '#kit';
import { type ByteSource, readBodies } from './body-reader.ts';
import type { DamageReports } from './damage.ts';
import { isSystemError } from './files.ts';
import type { StoredBatch } from './log-engine.ts';
import type { ObjectStore } from './object-store.ts';
import { isSealed, repairBit } from './repair.ts';
import { baseOf, bodyAtOf, bodyBytesOf, endOf, isHole, maxTimeOf, ROW_BYTES } from './row-codec.ts';
import { lastAtOrBefore, rowBase } from './search.ts';
import type { Segment } from './segment.ts';
import { runBodiesAt, runEnd, runLog, runRowCount, runRowsAt } from './segment-codec.ts';

const BLOCK_ROWS = 256;
const BATCHES_MAX = 4096;

export interface StoreParts {
  readonly objects: ObjectStore;
  readonly damage: DamageReports;
  readonly blocksMax: number;
}

export class SegmentStore {
  readonly #parts: StoreParts;
  readonly #blocks = new Map<string, Buffer>();

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /**
   * Batches of a run from the one that holds `offset` on; `limit` is the log's high watermark.
   * Empty when everything from `offset` to the end of the run was compacted away.
   */
  async read(
    segment: Segment,
    run: number,
    offset: number,
    bytesMax: number,
    limit: number,
  ): Promise<StoredBatch[]> {
    return this.use(segment, async (source) => {
      const { rows, positions, missing } = await this.#choose(
        ...([source, segment, run, offset, bytesMax, limit] as const),
      );
      if (missing !== null) throw this.#damaged(segment, run, missing, 'index rows are lost');
      const { batches, damaged } = await readBodies(source, rows, positions);
      if (damaged === null || batches.length > 0) return batches;
      throw this.#damaged(segment, run, damaged, 'checksum');
    });
  }

  /** Base offset of the first batch with a record at or after `timestampMs`, or -1. */
  async findByTime(segment: Segment, run: number, timestampMs: number, from: number) {
    return this.use(segment, async (source) => {
      for (let block = 0; block < blockCount(segment, run); block++) {
        const rows = await this.#block(source, segment, run, block);
        for (let at = 0; at < rows.length; at += ROW_BYTES) {
          if (isHole(rows, at) || maxTimeOf(rows, at) < timestampMs) continue;
          if (endOf(rows, at) > from) return baseOf(rows, at);
        }
      }
      return -1;
    });
  }

  /** The first batch boundary of a run from which at most `bytes` of bodies remain in it. */
  async offsetForBytes(segment: Segment, run: number, bytes: number): Promise<number> {
    return this.use(segment, async (source) => {
      let from = runEnd(segment.directory, run);
      for (let block = blockCount(segment, run) - 1; block >= 0; block--) {
        const rows = await this.#block(source, segment, run, block);
        for (let at = rows.length - ROW_BYTES; at >= 0; at -= ROW_BYTES) {
          bytes -= bodyBytesOf(rows, at);
          if (bytes < 0) return from;
          from = baseOf(rows, at);
        }
      }
      return from;
    });
  }

  /** All index rows of a run, a block at a time. Not cached: for copying. */
  async *blocks(segment: Segment, run: number): AsyncGenerator<Buffer> {
    for (let block = 0; block < blockCount(segment, run); block++) {
      yield await this.use(segment, (source) => this.#load(source, segment, run, block));
    }
  }

  /** Runs `work` with the bytes of a segment, which stays there until it ends. */
  async use<T>(segment: Segment, work: (source: ByteSource) => Promise<T>): Promise<T> {
    const { objects } = this.#parts;
    const { objectName } = segment;
    segment.readers++;
    try {
      return await work({ read: (from, length) => objects.get(objectName, from, length) });
    } catch (error) {
      if (error instanceof BrokerError || !isSystemError(error)) throw error;
      throw new BrokerError('storage-failed', `${segment.path} cannot be read.`, {}, error);
    } finally {
      segment.release();
    }
  }

  /** Removes segments that no log names any more, once nobody reads them. */
  async remove(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) await segment.unread();
    await this.#parts.objects.deleteMany(segments.map(({ objectName }) => objectName));
  }

  async #choose(
    source: ByteSource,
    segment: Segment,
    run: number,
    offset: number,
    bytesMax: number,
    limit: number,
  ) {
    const bodiesAt = runBodiesAt(segment.directory, run);
    const chosen: Buffer[] = [];
    const positions: number[] = [];
    let bytes = 0;
    let next = offset;
    let block = await this.#blockOf(source, segment, run, offset);
    for (; block < blockCount(segment, run); block++) {
      const rows = await this.#block(source, segment, run, block);
      const found = lastAtOrBefore(rows.length / ROW_BYTES, rowBase(rows), next);
      let at = Math.max(0, found) * ROW_BYTES;
      if (at < rows.length && endOf(rows, at) <= next) at += ROW_BYTES;
      for (; at < rows.length; at += ROW_BYTES) {
        const base = baseOf(rows, at);
        if (base > next && positions.length === 0) {
          return { rows, positions, missing: { from: next, to: base } };
        }
        const full = bytes >= bytesMax || positions.length >= BATCHES_MAX;
        if (full || base > next || base >= limit) {
          return { rows: Buffer.concat(chosen), positions, missing: null };
        }
        next = endOf(rows, at);
        if (isHole(rows, at)) continue;
        chosen.push(rows.subarray(at, at + ROW_BYTES));
        positions.push(bodiesAt + bodyAtOf(rows, at));
        bytes += bodyBytesOf(rows, at);
      }
    }
    const end = runEnd(segment.directory, run);
    const missing = positions.length === 0 && next < end ? { from: next, to: end } : null;
    return { rows: Buffer.concat(chosen), positions, missing };
  }

  /** The block that holds `offset`, or the one before the gap in which it lies. */
  async #blockOf(
    source: ByteSource,
    segment: Segment,
    run: number,
    offset: number,
  ): Promise<number> {
    let low = 0;
    let high = blockCount(segment, run);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((await this.#firstBase(source, segment, run, middle)) <= offset) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  async #firstBase(
    source: ByteSource,
    segment: Segment,
    run: number,
    block: number,
  ): Promise<number> {
    for (; block < blockCount(segment, run); block++) {
      const rows = await this.#block(source, segment, run, block);
      if (rows.length > 0) return baseOf(rows, 0);
    }
    return runEnd(segment.directory, run);
  }

  async #block(source: ByteSource, segment: Segment, run: number, block: number): Promise<Buffer> {
    const key = `${segment.serial} ${run} ${block}`;
    const cached = this.#blocks.get(key);
    if (cached !== undefined) {
      this.#blocks.delete(key);
      this.#blocks.set(key, cached);
      return cached;
    }
    const rows = await this.#load(source, segment, run, block);
    this.#blocks.set(key, rows);
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#parts.blocksMax) break;
      this.#blocks.delete(oldest);
    }
    return rows;
  }

  /** Reads index rows and checks each; rows beyond repair are left out, which shows as a gap. */
  async #load(source: ByteSource, segment: Segment, run: number, block: number): Promise<Buffer> {
    const first = block * BLOCK_ROWS;
    const count = Math.min(BLOCK_ROWS, runRowCount(segment.directory, run) - first);
    const position = runRowsAt(segment.directory, run) + first * ROW_BYTES;
    const got = await source.read(position, count * ROW_BYTES);
    const kept: Buffer[] = [];
    let whole = got.length === count * ROW_BYTES;
    for (let at = 0; at + ROW_BYTES <= got.length; at += ROW_BYTES) {
      const row = got.subarray(at, at + ROW_BYTES);
      if (isSealed(row)) {
        kept.push(row);
      } else if (repairBit(row)) {
        kept.push(row);
        this.#parts.damage.repaired(segment.path, position + at);
      } else {
        whole = false;
      }
    }
    return whole ? got : Buffer.concat(kept);
  }

  #damaged(
    segment: Segment,
    run: number,
    range: { from: number; to: number },
    reason: string,
  ): BrokerError {
    const logId = runLog(segment.directory, run);
    return this.#parts.damage.report({ logId, ...range, file: segment.path, reason });
  }
}

function blockCount(segment: Segment, run: number): number {
  return Math.ceil(runRowCount(segment.directory, run) / BLOCK_ROWS);
}
