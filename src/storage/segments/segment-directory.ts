/**
 * Finds the run of a log in a segment. The fences, in memory, say which page of the directory may
 * have it; pages are read on demand and the last used ones are kept. So a hundred thousand logs in
 * a thousand segments cost memory only where somebody reads.
 */
import { isSealed, repairBit } from '../recovery/repair.ts';
import { lastAtOrBefore } from './search.ts';
import type { LogRun, Segment } from './segment.ts';
import { decodeRun, PAGE_ROWS, RUN_BYTES, runLog } from './segment-codec.ts';
import type { SegmentStore } from './segment-store.ts';

/** Pages that are read at a time when all are wanted. */
const PAGES_AT_ONCE = 64;
/** A page's key is the segment's id times this, plus its number. */
const PAGES_MAX = 2 ** 22;

export class SegmentDirectory {
  readonly #store: SegmentStore;
  readonly #pagesMax: number;
  /** Least recently used first. */
  readonly #pages = new Map<number, Buffer>();

  constructor(store: SegmentStore, pagesMax: number) {
    this.#store = store;
    this.#pagesMax = pagesMax;
  }

  /** The run of a log, or null; with a promise only when a page has to be read. */
  find(segment: Segment, log: number): LogRun | null | Promise<LogRun | null> {
    if (!segment.covers(log)) return null;
    const { fences } = segment;
    const page = lastAtOrBefore(fences.length, (at) => fences[at]!, log);
    if (page < 0) return null;
    const key = segment.id * PAGES_MAX + page;
    const cached = this.#pages.get(key);
    if (cached === undefined) {
      return this.#load(segment, page, 1).then((rows) => {
        this.#keep(key, rows);
        return runIn(segment, rows, log);
      });
    }
    this.#pages.delete(key);
    this.#pages.set(key, cached);
    return runIn(segment, cached, log);
  }

  /** All runs of a segment, ascending by log, some at a time. Not cached: for jobs. */
  async *all(segment: Segment): AsyncGenerator<LogRun[]> {
    for (let page = 0; page < segment.fences.length; page += PAGES_AT_ONCE) {
      const rows = await this.#load(segment, page, PAGES_AT_ONCE);
      const runs: LogRun[] = [];
      for (let at = 0; at < rows.length; at += RUN_BYTES) {
        runs.push({ ...decodeRun(rows, at), segment });
      }
      yield runs;
    }
  }

  #keep(key: number, rows: Buffer): void {
    this.#pages.set(key, rows);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#pagesMax) return;
      this.#pages.delete(oldest);
    }
  }

  /** Rows of some pages, each checked; those beyond repair are left out and reported. */
  async #load(segment: Segment, page: number, count: number): Promise<Buffer> {
    const first = page * PAGE_ROWS;
    const rows = Math.min(count * PAGE_ROWS, segment.facts.runCount - first);
    const position = segment.facts.directoryAt + first * RUN_BYTES;
    const { damage } = this.#store;
    const got = await this.#store.use(segment, (bytes) => bytes.read(position, rows * RUN_BYTES));
    const kept: Buffer[] = [];
    for (let at = 0; at + RUN_BYTES <= got.length; at += RUN_BYTES) {
      const row = got.subarray(at, at + RUN_BYTES);
      const whole = isSealed(row);
      if (!whole && !repairBit(row)) continue;
      if (!whole) damage.repaired(segment.path, position + at);
      kept.push(row);
    }
    if (kept.length === rows) return got;
    const reason = `${rows - kept.length} directory rows are damaged`;
    damage.report({ logId: -1, from: first, to: first + rows, file: segment.path, reason });
    return Buffer.concat(kept);
  }
}

function runIn(segment: Segment, rows: Buffer, log: number): LogRun | null {
  const count = rows.length / RUN_BYTES;
  const at = lastAtOrBefore(count, (index) => runLog(rows, index * RUN_BYTES), log) * RUN_BYTES;
  if (at < 0 || runLog(rows, at) !== log) return null;
  return { ...decodeRun(rows, at), segment };
}
