/**
 * Finds the run of a log in a segment. The fences, in memory, say which page of the directory may
 * have it; pages are read on demand, with their neighbours as long as there is room for those, and
 * the last used ones are kept. So a hundred thousand logs in a thousand segments cost memory only
 * where somebody reads.
 */
import { isSealed, repairBit } from '../recovery/repair.ts';
import { DirectoryPage } from './directory-page.ts';
import { lastAtOrBefore } from './search.ts';
import type { LogRun, Segment } from './segment.ts';
import { decodeRun, PAGE_ROWS, RUN_BYTES, runLog } from './segment-codec.ts';
import type { SegmentStore } from './segment-store.ts';

/** Pages that are read at a time when all are wanted. */
const PAGES_AT_ONCE = 64;
/** Pages that are read together: 56 KiB cost little more than one, and many a segment has less. */
const NEIGHBOURS = 16;
const PAGE_BYTES = PAGE_ROWS * RUN_BYTES;
/** A page's key is the segment's id times this, plus its number. */
const PAGES_MAX = 2 ** 22;

export class SegmentDirectory {
  readonly #store: SegmentStore;
  readonly #pagesMax: number;
  /** Least recently used first. */
  readonly #pages = new Map<number, DirectoryPage>();

  constructor(store: SegmentStore, pagesMax: number) {
    this.#store = store;
    this.#pagesMax = pagesMax;
  }

  /** The run of a log, or null; with a promise only when a page has to be read. */
  find(segment: Segment, log: number): LogRun | null | Promise<LogRun | null> {
    if (!segment.covers(log)) return null;
    const { fences } = segment;
    const number = lastAtOrBefore(fences.length, (at) => fences[at]!, log);
    if (number < 0) return null;
    const key = segment.id * PAGES_MAX + number;
    const cached = this.#pages.get(key);
    if (cached === undefined) {
      return this.#page(segment, number).then((page) => this.#runIn(segment, number, page, log));
    }
    this.#pages.delete(key);
    this.#pages.set(key, cached);
    return this.#runIn(segment, number, cached, log);
  }

  /** The pages of a segment that is not in use any more make room. */
  forget({ id, fences }: Segment): void {
    for (let number = 0; number < fences.length; number++) {
      this.#pages.delete(id * PAGES_MAX + number);
    }
  }

  /** All runs of a segment, ascending by log, some at a time. Not cached: for jobs. */
  async *all(segment: Segment): AsyncGenerator<LogRun[]> {
    for (let page = 0; page < segment.fences.length; page += PAGES_AT_ONCE) {
      const read = await this.#load(segment, page, PAGES_AT_ONCE);
      const rows = this.#mended(segment, page, PAGES_AT_ONCE, read);
      const runs: LogRun[] = [];
      for (let at = 0; at < rows.length; at += RUN_BYTES) {
        runs.push({ ...decodeRun(rows, at), segment });
      }
      yield runs;
    }
  }

  /** Reads a page, and keeps it. */
  async #page(segment: Segment, number: number): Promise<DirectoryPage> {
    const { fences } = segment;
    const first = number - (number % NEIGHBOURS);
    const count = Math.min(NEIGHBOURS, fences.length - first);
    if (this.#pages.size + count > this.#pagesMax) {
      const page = new DirectoryPage(
        await this.#load(segment, number, 1),
        rowsIn(segment, number, 1),
      );
      this.#keep(segment, number, page);
      return page;
    }
    const rows = await this.#load(segment, first, count);
    const pages = Array.from({ length: count }, (_, index) => {
      // A buffer of its own: one page that is kept for long must not hold others.
      const part = rows.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
      const own = Buffer.allocUnsafeSlow(part.length);
      part.copy(own);
      return new DirectoryPage(own, rowsIn(segment, first + index, 1));
    });
    for (const [index, page] of pages.entries()) this.#keep(segment, first + index, page);
    return pages[number - first]!;
  }

  #keep({ id }: Segment, number: number, page: DirectoryPage): void {
    const key = id * PAGES_MAX + number;
    // One that is there already has been checked, and maybe mended.
    if (!this.#pages.has(key)) this.#pages.set(key, page);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#pagesMax) return;
      this.#pages.delete(oldest);
    }
  }

  #runIn(segment: Segment, number: number, page: DirectoryPage, log: number): LogRun | null {
    let index = page.search(log);
    if (index === null) {
      page.mend(this.#mended(segment, number, 1, page.rows));
      index = page.search(log) ?? -1;
    }
    const at = index * RUN_BYTES;
    if (index < 0 || runLog(page.rows, at) !== log) return null;
    return { ...decodeRun(page.rows, at), segment };
  }

  #load(segment: Segment, page: number, count: number): Promise<Buffer> {
    const position = segment.facts.directoryAt + page * PAGE_BYTES;
    const length = rowsIn(segment, page, count) * RUN_BYTES;
    return this.#store.use(segment, (bytes) => bytes.read(position, length));
  }

  /** The rows of some pages, each checked; those beyond repair are left out and reported. */
  #mended(segment: Segment, page: number, count: number, got: Buffer): Buffer {
    const first = page * PAGE_ROWS;
    const rows = rowsIn(segment, page, count);
    const { damage } = this.#store;
    const kept: Buffer[] = [];
    for (let at = 0; at + RUN_BYTES <= got.length; at += RUN_BYTES) {
      const row = got.subarray(at, at + RUN_BYTES);
      const whole = isSealed(row);
      if (!whole && !repairBit(row)) continue;
      if (!whole) {
        damage.repaired(segment.path, segment.facts.directoryAt + first * RUN_BYTES + at);
      }
      kept.push(row);
    }
    if (kept.length === rows) return got;
    const reason = `${rows - kept.length} directory rows are damaged`;
    damage.report({ logId: -1, from: first, to: first + rows, file: segment.path, reason });
    return Buffer.concat(kept);
  }
}

function rowsIn(segment: Segment, page: number, count: number): number {
  return Math.min(count * PAGE_ROWS, segment.facts.runCount - page * PAGE_ROWS);
}
