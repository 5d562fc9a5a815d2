/**
 * A segment: batches of many logs, sorted by log and offset, in one file that never changes. In
 * memory there is only its directory, one row per log. Reading is in `segment-store.ts`.
 */
import type { SegmentName } from './checkpoint-codec.ts';
import { ROW_BYTES } from './row-codec.ts';
import {
  RUN_BYTES,
  runBodyBytes,
  runEnd,
  runFirst,
  runLog,
  runRowCount,
  SEGMENT_TRAILER_BYTES,
  segmentFileName,
} from './segment-codec.ts';

let serials = 0;

export class Segment {
  /** Tells segments apart in caches. */
  readonly serial = ++serials;
  readonly name: SegmentName;
  readonly objectName: string;
  /** For people. */
  readonly path: string;
  readonly fileBytes: number;
  readonly lastSequence: number;
  /** Encoded runs, ascending by log. */
  readonly directory: Buffer;
  readonly runCount: number;
  /** Reads under way; the segment is not removed before they end. */
  readers = 0;
  #unread: (() => void)[] = [];

  constructor(
    folder: string,
    name: SegmentName,
    fileBytes: number,
    lastSequence: number,
    directory: Buffer,
  ) {
    this.name = name;
    this.objectName = segmentFileName(name);
    this.path = `${folder}/${this.objectName}`;
    this.fileBytes = fileBytes;
    this.lastSequence = lastSequence;
    this.directory = directory;
    this.runCount = directory.length / RUN_BYTES;
  }

  release(): void {
    this.readers--;
    if (this.readers === 0) for (const call of this.#unread.splice(0)) call();
  }

  /** Resolves when the reads that are under way have ended. */
  async unread(): Promise<void> {
    while (this.readers > 0) await new Promise<void>((resolve) => this.#unread.push(resolve));
  }

  /** Index of a log's run, or -1. */
  runOf(log: number): number {
    let low = 0;
    let high = this.runCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (runLog(this.directory, middle) < log) low = middle + 1;
      else high = middle;
    }
    return low < this.runCount && runLog(this.directory, low) === log ? low : -1;
  }

  /** First offset of a log that has a run in here. */
  firstOf(log: number): number {
    return runFirst(this.directory, this.runOf(log));
  }

  endOf(log: number): number {
    return runEnd(this.directory, this.runOf(log));
  }

  /** Bytes of a run that are alive when the log starts at `start`; an estimate within a run. */
  liveBytes(run: number, start: number): number {
    const { directory } = this;
    const rows = runRowCount(directory, run);
    const bytes = runBodyBytes(directory, run) + rows * ROW_BYTES;
    const [first, end] = [runFirst(directory, run), runEnd(directory, run)];
    if (start >= end) return 0;
    if (start <= first) return bytes;
    // The batch that holds `start` stays whole: it must not look as if it could be freed.
    const live = (bytes * (end - start)) / (end - first) + bytes / rows;
    return Math.min(bytes, Math.ceil(live));
  }

  /** Bytes of all runs, dead or alive. */
  get contentBytes(): number {
    return this.fileBytes - this.directory.length - SEGMENT_TRAILER_BYTES;
  }
}
