/**
 * Writes one segment front to back: runs in ascending order of their logs, then the directory. Of a
 * segment that adopts a file everything but the bodies, which are there already.
 */

import type { Counter } from '#kit';
import type { Pacer } from '../commit/pacer.ts';
import {
  appendTimeOf,
  baseOf,
  bodyBytesOf,
  endOf,
  horizonOf,
  isCompacted,
  isHole,
  markDamaged,
  maxTimeOf,
  moveRow,
  ROW_BYTES,
} from '../commit/row-codec.ts';
import { Gather } from '../files/gather.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { bytesOf, Segment } from './segment.ts';
import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  encodeFences,
  encodeRun,
  encodeSegmentTrailer,
  PAGE_ROWS,
  RUN_BYTES,
  type Run,
  type SegmentTrailer,
  segmentName,
  writeBlock,
} from './segment-codec.ts';
import { objectSink, type SegmentSink } from './segment-sink.ts';

/** Directory rows are kept in blocks of this size until the end. */
const DIRECTORY_BYTES = 1024 * RUN_BYTES;

/** What of a trailer is known before the segment is written. */
export type SegmentPlan = Omit<
  SegmentTrailer,
  | 'part'
  | 'last'
  | 'runCount'
  | 'directoryAt'
  | 'firstLog'
  | 'lastLog'
  | 'replacedCount'
  | 'overheadBytes'
> & { readonly remote: boolean; readonly replaced: readonly number[] };

export interface WriterParts {
  readonly objects: ObjectStore;
  readonly pacer: Pacer;
  /** Counts the bytes that are written. */
  readonly written: Counter;
  /** Where the objects lie, for people. */
  readonly folder: string;
}

/** A file that a segment adopts. */
export interface Adoption {
  readonly sink: SegmentSink;
  /** Bytes that are there already. */
  readonly bytes: number;
}

/** What the rows of the open run say together. */
class RunFacts {
  rows = 0;
  bodyBytes = 0;
  firstOffset = -1;
  endOffset = -1;
  minTimeMs = Number.MAX_SAFE_INTEGER;
  maxTimeMs = -1;
  dirtyBytes = 0;
  dirtySinceMs = -1;
  dirtyUntilMs = -1;
  horizon = 0;
  /** Of each block of rows: its first offset, its latest time, the bytes before it. */
  readonly blocks: number[] = [];

  add(rows: Buffer, at: number): void {
    const timeMs = maxTimeOf(rows, at);
    if (this.rows % BLOCK_ROWS === 0) this.blocks.push(baseOf(rows, at), timeMs, this.bodyBytes);
    this.bodyBytes += bodyBytesOf(rows, at);
    const block = this.blocks.length - 2;
    if (timeMs > this.blocks[block]!) this.blocks[block] = timeMs;
    if (this.rows++ === 0) this.firstOffset = baseOf(rows, at);
    this.endOffset = endOf(rows, at);
    if (timeMs > this.maxTimeMs) this.maxTimeMs = timeMs;
    if (!isHole(rows, at) && timeMs < this.minTimeMs) this.minTimeMs = timeMs;
    if (isCompacted(rows, at)) {
      const own = horizonOf(rows, at);
      if (own > 0 && (this.horizon === 0 || own < this.horizon)) this.horizon = own;
      return;
    }
    this.dirtyBytes += bodyBytesOf(rows, at);
    this.dirtyUntilMs = Math.max(this.dirtyUntilMs, appendTimeOf(rows, at));
    if (this.dirtySinceMs < 0) this.dirtySinceMs = appendTimeOf(rows, at);
  }
}

export class SegmentWriter {
  /** Bytes written so far, or adopted. */
  position: number;
  readonly plan: SegmentPlan;

  readonly #parts: WriterParts;
  readonly #gather = new Gather();
  readonly #directory: Buffer[] = [];
  #directoryRows = 0;
  readonly #fences: number[] = [];
  #firstLog = 0;
  #lastLog = -1;
  #buffered = 0;
  /** Rows of the open run, in blocks. */
  #rows: Buffer[] = [];
  #run = new RunFacts();
  #bodiesAt = 0;
  /** Bytes of the runs so far. */
  #contentBytes = 0;
  readonly #sink: SegmentSink;

  /** @param adopted for a plan that says so: the file */
  constructor(parts: WriterParts, plan: SegmentPlan, adopted?: Adoption) {
    const { id, remote } = plan;
    this.#parts = parts;
    this.plan = plan;
    this.position = adopted?.bytes ?? 0;
    this.#sink =
      adopted?.sink ?? objectSink(parts.objects, segmentName({ id, remote, generation: 0 }));
  }

  /** Bytes of bodies in the run that is open. */
  get runBytes(): number {
    return this.#run.bodyBytes;
  }

  get runRows(): number {
    return this.#run.rows;
  }

  /** The log of the last run that was ended; -1 before the first. */
  get lastLog(): number {
    return this.#lastLog;
  }

  /** True when the open run has batches. */
  get runHasBatches(): boolean {
    return this.#run.rows > 0;
  }

  /**
   * Adds a batch to the run that is open. `body` null: it was damaged and is left out. A promise
   * only when the bytes so far have to be written first.
   */
  add(rows: Buffer, at: number, body: Buffer | null): Promise<void> | undefined {
    const [target, to] = this.#nextRow();
    moveRow(rows, at, target, to, this.runBytes);
    if (body === null) markDamaged(target, to);
    this.#run.add(target, to);
    return body === null ? undefined : this.#add(body);
  }

  /** Adds a batch whose body lies in the adopted file. */
  refer(rows: Buffer, at: number, position: number): void {
    const [target, to] = this.#nextRow();
    moveRow(rows, at, target, to, position);
    this.#run.add(target, to);
  }

  /** Ends the run of a log. Without batches it only records where the log starts. */
  async endRun(log: number, logStart: number, removed: boolean): Promise<void> {
    const run = this.#run;
    const facts: Run = {
      log,
      firstOffset: run.rows === 0 ? logStart : run.firstOffset,
      endOffset: run.rows === 0 ? logStart : run.endOffset,
      minTimeMs: run.minTimeMs,
      maxTimeMs: run.maxTimeMs,
      bodiesAt: this.#bodiesAt,
      bodyBytes: run.bodyBytes,
      rowsAt: this.position,
      rowCount: run.rows,
      ...{ removed, logStart },
      dirt: {
        bytes: run.dirtyBytes,
        sinceMs: run.dirtySinceMs,
        untilMs: run.dirtyUntilMs,
        horizon: run.horizon,
      },
    };
    this.#note(facts);
    this.#contentBytes += bytesOf(facts);
    const rowsEnd = this.position + run.rows * ROW_BYTES;
    for (const block of this.#rows) {
      await this.#add(block.subarray(0, Math.max(0, rowsEnd - this.position)));
    }
    if (run.rows > BLOCK_ROWS) await this.#add(encodeBlocks(run.blocks));
    if (!this.plan.adopted) this.#bodiesAt = this.position;
    this.#run = new RunFacts();
    // A short block was copied on its way; a long one is still to be written.
    this.#rows.length = run.rows > BLOCK_ROWS / 2 ? 0 : this.#rows.length;
  }

  /** Writes what closes the segment; durable when it has resolved. */
  async finish(part: number, last: boolean): Promise<Segment> {
    const { plan } = this;
    const directoryAt = this.position;
    const runCount = this.#directoryRows;
    for (const rows of this.#directory.splice(0)) {
      const used = Math.min(rows.length, directoryAt + runCount * RUN_BYTES - this.position);
      await this.#add(rows.subarray(0, used));
    }
    const facts: SegmentTrailer = {
      ...{ id: plan.id, job: plan.job, part, last, shadows: plan.shadows, lane: plan.lane },
      ...{ level: plan.level, firstSlot: plan.firstSlot, runCount, directoryAt },
      ...{ lastSequence: plan.lastSequence, generation: plan.generation },
      ...{ replayFrom: plan.replayFrom, done: plan.done },
      ...{ firstLog: this.#firstLog, lastLog: this.#lastLog, adopted: plan.adopted },
      replacedCount: plan.replaced.length,
      overheadBytes: directoryAt - this.#contentBytes,
    };
    await this.#add(encodeFences(this.#fences, plan.replaced));
    await this.#add(encodeSegmentTrailer(facts));
    await this.#flush();
    await this.#sink.finish(this.position - directoryAt);
    const segment = new Segment(
      this.#parts.folder,
      plan.remote,
      facts,
      this.position,
      Float64Array.from(this.#fences),
      Float64Array.from(plan.replaced),
    );
    segment.deadBytes = 0;
    return segment;
  }

  /** Gives up: nothing is left of what was written. */
  abandon(error: unknown): Promise<void> {
    return this.#sink.abandon(error);
  }

  /** Room for one more row of the open run. */
  #nextRow(): [Buffer, number] {
    const row = this.#run.rows % BLOCK_ROWS;
    if (row === 0 && this.#run.rows === this.#rows.length * BLOCK_ROWS) {
      this.#rows.push(Buffer.allocUnsafeSlow(BLOCK_ROWS * ROW_BYTES));
    }
    return [this.#rows.at(-1)!, row * ROW_BYTES];
  }

  #note(run: Run): void {
    const block = this.#directoryRows % 1024;
    if (block === 0) this.#directory.push(Buffer.allocUnsafe(DIRECTORY_BYTES));
    if (this.#directoryRows % PAGE_ROWS === 0) this.#fences.push(run.log);
    encodeRun(run).copy(this.#directory.at(-1)!, block * RUN_BYTES);
    if (this.#directoryRows++ === 0) this.#firstLog = run.log;
    this.#lastLog = run.log;
  }

  #add(bytes: Buffer): Promise<void> | undefined {
    this.#gather.add(bytes);
    this.position += bytes.length;
    this.#buffered += bytes.length;
    return this.#buffered >= this.#parts.pacer.stepBytes ? this.#flush() : undefined;
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffered;
    this.#buffered = 0;
    await this.#sink.write(this.#gather.chunks());
    this.#gather.reset();
    this.#parts.written.add(bytes);
    await this.#parts.pacer.pass(bytes, this.plan.lane);
  }
}

function encodeBlocks(facts: readonly number[]): Buffer {
  const count = facts.length / 3;
  const blocks = Buffer.alloc(count * BLOCK_BYTES);
  for (let block = 0; block < count; block++) {
    const [base, maxTimeMs, before] = facts.slice(block * 3, block * 3 + 3);
    writeBlock(blocks, block * BLOCK_BYTES, base!, maxTimeMs!, before!);
  }
  return blocks;
}
