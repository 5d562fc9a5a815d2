/**
 * Reads every byte of a segment and holds it against its checksums: trailer, fences, directory,
 * index rows, block records, bodies. Says what is wrong and where; changes nothing.
 */

import {
  baseOf,
  bodyAtOf,
  bodyBytesOf,
  endOf,
  isDamagedRow,
  isHole,
  isIntact,
  markDamaged,
  ROW_BYTES,
} from '../commit/row-codec.ts';
import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  decodeFences,
  decodeRun,
  decodeSegmentTrailer,
  fencesAt,
  RUN_BYTES,
  type Run,
  SEGMENT_TRAILER_BYTES,
} from '../segments/segment-codec.ts';
import { type CheckWatch, type Finding, judge, NO_RANGE, type ReadBytes } from './check-report.ts';

const PAGE_RUNS = 256;
const READ_BYTES_MAX = 2 ** 20;
/** Bodies further apart are read one by one: what lies between is of other logs. */
const GAP_BYTES_MAX = 16_384;

/** @param size bytes of the segment itself, without what a store adds to it */
export async function checkSegment(
  file: string,
  size: number,
  read: ReadBytes,
  watch: CheckWatch,
): Promise<void> {
  await new SegmentCheck(file, read, watch).run(size);
}

class SegmentCheck {
  readonly #file: string;
  readonly #read: ReadBytes;
  readonly #watch: CheckWatch;

  constructor(file: string, read: ReadBytes, watch: CheckWatch) {
    this.#file = file;
    this.#read = read;
    this.#watch = watch;
  }

  async run(size: number): Promise<void> {
    const at = Math.max(0, size - SEGMENT_TRAILER_BYTES);
    const record = await this.#read(at, SEGMENT_TRAILER_BYTES);
    const verdict = record.length === SEGMENT_TRAILER_BYTES ? judge(record) : 'damaged';
    const trailer = decodeSegmentTrailer(Buffer.isBuffer(verdict) ? verdict : record);
    if (verdict === 'damaged' || trailer === null) {
      return this.#tell(at, record.length, 'trailer: nothing in the segment can be found');
    }
    if (verdict !== null) this.#mendable(at, verdict, 'trailer');
    const fences = fencesAt(trailer);
    const bytes = await this.#read(fences.position, fences.length);
    if (decodeFences(bytes) === null) {
      const mended = judge(bytes);
      // They are made again from the directory at each start.
      if (Buffer.isBuffer(mended)) this.#mendable(fences.position, mended, 'fences');
      else this.#tell(fences.position, fences.length, 'fences', 'mendable');
    }
    for (let first = 0; first < trailer.runCount; first += PAGE_RUNS) {
      const count = Math.min(PAGE_RUNS, trailer.runCount - first);
      await this.#page(trailer.directoryAt + first * RUN_BYTES, count);
    }
  }

  async #page(position: number, count: number): Promise<void> {
    const page = await this.#read(position, count * RUN_BYTES);
    await this.#watch.passed(page.length);
    for (let index = 0; index < count; index++) {
      const at = index * RUN_BYTES;
      const record = page.subarray(at, at + RUN_BYTES);
      const verdict = record.length === RUN_BYTES ? judge(record) : 'damaged';
      if (verdict === 'damaged') {
        this.#tell(position + at, RUN_BYTES, 'directory row: a log is not found in here');
        continue;
      }
      if (verdict !== null) this.#mendable(position + at, verdict, 'directory row');
      await this.#run(decodeRun(verdict ?? record, 0));
    }
  }

  async #run(run: Run): Promise<void> {
    let next = run.firstOffset;
    let lost: { position: number; count: number; from: number } | null = null;
    const tellLost = (to: number): void => {
      if (lost === null) return;
      const range = { logId: run.log, from: lost.from, to };
      this.#tell(lost.position, lost.count * ROW_BYTES, 'index rows', 'damaged', range);
      lost = null;
    };
    for (let first = 0; first < run.rowCount; first += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, run.rowCount - first);
      const position = run.rowsAt + first * ROW_BYTES;
      const rows = await this.#read(position, count * ROW_BYTES);
      const usable: { row: Buffer; position: number }[] = [];
      for (let at = 0; at < count * ROW_BYTES; at += ROW_BYTES) {
        const record = rows.subarray(at, at + ROW_BYTES);
        const verdict = record.length === ROW_BYTES ? judge(record) : 'damaged';
        if (verdict === 'damaged') {
          lost ??= { position: position + at, count: 0, from: next };
          lost.count++;
          continue;
        }
        const row = verdict ?? record;
        if (verdict !== null)
          this.#mendable(position + at, verdict, 'index row', rangeOf(run, row));
        tellLost(baseOf(row, 0));
        next = endOf(row, 0);
        usable.push({ row, position: position + at });
      }
      await this.#bodies(run, usable);
    }
    tellLost(run.endOffset);
    await this.#blocks(run);
  }

  async #bodies(run: Run, rows: readonly { row: Buffer; position: number }[]): Promise<void> {
    const bodies = rows.filter(({ row }) => !isHole(row, 0));
    for (let first = 0; first < bodies.length; ) {
      const start = bodyAtOf(bodies[first]!.row, 0);
      let end = first;
      let length = 0;
      while (end < bodies.length) {
        const from = bodyAtOf(bodies[end]!.row, 0) - start;
        const to = from + bodyBytesOf(bodies[end]!.row, 0);
        if (end > first && (to > READ_BYTES_MAX || from - length > GAP_BYTES_MAX)) break;
        length = to;
        end++;
      }
      const bytes = await this.#read(run.bodiesAt + start, length);
      for (const { row, position } of bodies.slice(first, end)) {
        const at = bodyAtOf(row, 0) - start;
        const body = bytes.subarray(at, at + bodyBytesOf(row, 0));
        if (isIntact(row, 0, body)) continue;
        this.#body(run, row, position);
      }
      await this.#watch.passed(bytes.length);
      first = end;
    }
  }

  #body(run: Run, row: Buffer, rowPosition: number): void {
    const range = rangeOf(run, row);
    if (isDamagedRow(row, 0)) {
      this.#tell(rowPosition, ROW_BYTES, 'a body that was left out before', 'gap', range);
      return;
    }
    const marked = Buffer.from(row);
    markDamaged(marked, 0);
    this.#watch.found({
      file: this.#file,
      position: run.bodiesAt + bodyAtOf(row, 0),
      bytes: bodyBytesOf(row, 0),
      what: 'body',
      kind: 'damaged',
      ...range,
      patch: { position: rowPosition, bytes: marked },
    });
  }

  async #blocks(run: Run): Promise<void> {
    if (run.rowCount <= BLOCK_ROWS) return;
    const position = run.rowsAt + run.rowCount * ROW_BYTES;
    const length = Math.ceil(run.rowCount / BLOCK_ROWS) * BLOCK_BYTES;
    const blocks = await this.#read(position, length);
    for (let at = 0; at < length; at += BLOCK_BYTES) {
      const record = blocks.subarray(at, at + BLOCK_BYTES);
      const verdict = record.length === BLOCK_BYTES ? judge(record) : 'damaged';
      const range = { logId: run.log, from: run.firstOffset, to: run.endOffset };
      if (verdict === 'damaged') {
        this.#tell(position + at, BLOCK_BYTES, 'block record', 'damaged', range);
      } else if (verdict !== null) {
        this.#mendable(position + at, verdict, 'block record', range);
      }
    }
  }

  #mendable(
    position: number,
    bytes: Buffer,
    what: string,
    range: { logId: number; from: number; to: number } = NO_RANGE,
  ): void {
    this.#watch.found({
      file: this.#file,
      ...{ position, bytes: bytes.length, what },
      kind: 'mendable',
      ...range,
      patch: { position, bytes },
    });
  }

  #tell(
    position: number,
    bytes: number,
    what: string,
    kind: Finding['kind'] = 'damaged',
    range: { logId: number; from: number; to: number } = NO_RANGE,
  ): void {
    this.#watch.found({ file: this.#file, position, bytes, what, kind, ...range, patch: null });
  }
}

function rangeOf(run: Run, row: Buffer): { logId: number; from: number; to: number } {
  return { logId: run.log, from: baseOf(row, 0), to: endOf(row, 0) };
}
