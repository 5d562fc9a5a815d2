/**
 * Reads segments: a small cache of index row blocks, and from there one read per run of bodies. A
 * reader that goes on where it stopped finds its block in the cache. Where segments lie is the
 * matter of `ObjectStore`.
 */
import { BrokerError } from '#kit';
import {
  baseOf,
  bodyAtOf,
  bodyBytesOf,
  endOf,
  isHole,
  maxTimeOf,
  ROW_BYTES,
} from '../commit/row-codec.ts';
import { isSystemError } from '../files/files.ts';
import type { StoredBatch } from '../log-engine.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { DamageReports } from '../recovery/damage.ts';
import { isSealed, repairBit } from '../recovery/repair.ts';
import { type ByteSource, readBodies } from './body-reader.ts';
import { lastAtOrBefore, rowBase } from './search.ts';
import { bytesFrom, type LogRun, type Segment } from './segment.ts';
import { BLOCK_BYTES, BLOCK_ROWS, blockBase, blockBefore, blockMaxTime } from './segment-codec.ts';
import { SegmentDirectory } from './segment-directory.ts';

const BATCHES_MAX = 4096;
/** Runs up to this size are read as a whole, with their rows, by who wants most of them. */
const SHORT_BYTES = 2 ** 21;
/** Bytes that nobody wants, and that cost less than to ask for the rows first. */
const UNWANTED_BYTES_MAX = 2 ** 16;
/** The block number under which the block records of a run are cached. */
const RECORDS = -1;

/** Runs `work` with the bytes of a segment. */
export type UseSegment = <T>(
  segment: Segment,
  work: (source: ByteSource) => Promise<T>,
) => Promise<T>;

export interface StoreParts {
  readonly objects: ObjectStore;
  readonly damage: DamageReports;
  readonly blocksMax: number;
  readonly pagesMax: number;
}

export class SegmentStore {
  /** Which runs a segment has. */
  readonly directory: SegmentDirectory;
  readonly damage: DamageReports;
  readonly #parts: StoreParts;
  readonly #blocks = new Map<string, Buffer>();

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.damage = parts.damage;
    this.directory = new SegmentDirectory(this, parts.pagesMax);
  }

  /**
   * Batches of a run from the one that holds `offset` on; `limit` is the log's high watermark.
   * Empty when everything from `offset` to the end of the run was compacted away.
   */
  async read(run: LogRun, offset: number, bytesMax: number, limit: number): Promise<StoredBatch[]> {
    return this.use(run.segment, async (far) => {
      const source = isReadAtOnce(run, offset, bytesMax) ? readOnce(far, run) : far;
      const { rows, positions, missing } = await this.#choose(source, run, offset, bytesMax, limit);
      if (missing !== null) throw this.#damaged(run, missing, 'index rows are lost');
      const { batches, damaged } = await readBodies(source, rows, positions);
      if (damaged === null || batches.length > 0) return batches;
      throw this.#damaged(run, damaged, 'checksum');
    });
  }

  /** Base offset of the first batch with a record at or after `timestampMs`, or -1. */
  async findByTime(run: LogRun, timestampMs: number, from: number): Promise<number> {
    return this.use(run.segment, async (source) => {
      const records = await this.#records(source, run);
      const first = blockFrom(records, from);
      for (let block = first; block < blockCount(run); block++) {
        if (records !== null && blockMaxTime(records, block) < timestampMs) continue;
        const rows = await this.#block(source, run, block);
        for (let at = 0; at < rows.length; at += ROW_BYTES) {
          if (isHole(rows, at) || maxTimeOf(rows, at) < timestampMs) continue;
          if (endOf(rows, at) > from) return baseOf(rows, at);
        }
      }
      return -1;
    });
  }

  /** The first batch boundary of a run from which at most `bytes` of bodies remain in it. */
  async offsetForBytes(run: LogRun, bytes: number): Promise<number> {
    return this.use(run.segment, async (source) => {
      const records = await this.#records(source, run);
      let block = blockCount(run) - 1;
      let from = run.endOffset;
      // Whole blocks are passed over by what their records say.
      while (records !== null && block > 0) {
        const left = run.bodyBytes - blockBefore(records, block);
        if (left > bytes) break;
        from = blockBase(records, block--);
      }
      if (records !== null && block + 1 < blockCount(run)) {
        bytes -= run.bodyBytes - blockBefore(records, block + 1);
      }
      for (; block >= 0; block--) {
        const rows = await this.#block(source, run, block);
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
  async *blocks(run: LogRun, use: UseSegment = this.use.bind(this)): AsyncGenerator<Buffer> {
    for (let block = 0; block < blockCount(run); block++) {
      yield await use(run.segment, (source) => this.#load(source, run, block));
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

  async #choose(source: ByteSource, run: LogRun, offset: number, bytesMax: number, limit: number) {
    const chosen: Buffer[] = [];
    const positions: number[] = [];
    let bytes = 0;
    let next = offset;
    let block = blockFrom(await this.#records(source, run), offset);
    const isWhole = isReadAtOnce(run, offset, bytesMax);
    for (; block < blockCount(run); block++) {
      // The rows of a short run are not kept: they came with the bodies, and would keep those.
      const rows = await (isWhole
        ? this.#load(source, run, block)
        : this.#block(source, run, block));
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
        positions.push(run.bodiesAt + bodyAtOf(rows, at));
        bytes += bodyBytesOf(rows, at);
      }
    }
    const { endOffset } = run;
    const missing = positions.length === 0 && next < endOffset;
    return {
      rows: Buffer.concat(chosen),
      positions,
      missing: missing ? { from: next, to: endOffset } : null,
    };
  }

  /** The block records of a run that has more than one block; null for a short one. */
  async #records(source: ByteSource, run: LogRun): Promise<Buffer | null> {
    if (run.rowCount <= BLOCK_ROWS) return null;
    return this.#cached(run, RECORDS, () => this.#loadRecords(source, run));
  }

  async #loadRecords(source: ByteSource, run: LogRun): Promise<Buffer> {
    const length = blockCount(run) * BLOCK_BYTES;
    const position = run.rowsAt + run.rowCount * ROW_BYTES;
    const got = await source.read(position, length);
    for (let at = 0; at + BLOCK_BYTES <= length; at += BLOCK_BYTES) {
      const record = got.subarray(at, at + BLOCK_BYTES);
      if (record.length === BLOCK_BYTES && isSealed(record)) continue;
      if (record.length < BLOCK_BYTES || !repairBit(record)) {
        throw this.#damaged(run, { from: run.firstOffset, to: run.endOffset }, 'block records');
      }
      this.damage.repaired(run.segment.path, position + at);
    }
    return got;
  }

  #block(source: ByteSource, run: LogRun, block: number): Promise<Buffer> {
    return this.#cached(run, block, () => this.#load(source, run, block));
  }

  async #cached(run: LogRun, block: number, load: () => Promise<Buffer>): Promise<Buffer> {
    const key = `${run.segment.id} ${run.rowsAt} ${block}`;
    const cached = this.#blocks.get(key);
    if (cached !== undefined) {
      this.#blocks.delete(key);
      this.#blocks.set(key, cached);
      return cached;
    }
    const rows = await load();
    this.#blocks.set(key, rows);
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#parts.blocksMax) break;
      this.#blocks.delete(oldest);
    }
    return rows;
  }

  /** Reads index rows and checks each; rows beyond repair are left out, which shows as a gap. */
  async #load(source: ByteSource, run: LogRun, block: number): Promise<Buffer> {
    const first = block * BLOCK_ROWS;
    const count = Math.min(BLOCK_ROWS, run.rowCount - first);
    const position = run.rowsAt + first * ROW_BYTES;
    const got = await source.read(position, count * ROW_BYTES);
    const kept: Buffer[] = [];
    let whole = got.length === count * ROW_BYTES;
    for (let at = 0; at + ROW_BYTES <= got.length; at += ROW_BYTES) {
      const row = got.subarray(at, at + ROW_BYTES);
      if (isSealed(row)) {
        kept.push(row);
      } else if (repairBit(row)) {
        kept.push(row);
        this.damage.repaired(run.segment.path, position + at);
      } else {
        whole = false;
      }
    }
    return whole ? got : Buffer.concat(kept);
  }

  #damaged(run: LogRun, range: { from: number; to: number }, reason: string): BrokerError {
    return this.damage.report({ logId: run.log, ...range, file: run.segment.path, reason });
  }
}

/** True when rows and bodies are best read with one call. */
function isReadAtOnce(run: LogRun, offset: number, bytesMax: number): boolean {
  if (run.segment.facts.adopted || run.rowCount > BLOCK_ROWS) return false;
  const wanted = Math.min(bytesMax, bytesFrom(run, offset));
  return run.bodyBytes <= SHORT_BYTES && run.bodyBytes - wanted <= UNWANTED_BYTES_MAX;
}

/** A run whose rows and bodies come with the first read. */
function readOnce(source: ByteSource, run: LogRun): ByteSource {
  const { bodiesAt } = run;
  const bytes = source.read(bodiesAt, run.rowsAt - bodiesAt + run.rowCount * ROW_BYTES);
  return {
    read: async (from, length) => (await bytes).subarray(from - bodiesAt, from - bodiesAt + length),
  };
}

/** The block that holds `offset`, or the one before the gap in which it lies. */
function blockFrom(records: Buffer | null, offset: number): number {
  if (records === null) return 0;
  const count = records.length / BLOCK_BYTES;
  return Math.max(
    0,
    lastAtOrBefore(count, (at) => blockBase(records, at), offset),
  );
}

function blockCount(run: LogRun): number {
  return Math.ceil(run.rowCount / BLOCK_ROWS);
}
