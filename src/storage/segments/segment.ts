/**
 * A segment: batches of many logs, sorted by log and offset, in one object that never changes; or a
 * write-ahead file as it was, with an index that is sorted so. In memory there is only what its
 * trailer says, and the log of every 32nd directory row; the rows themselves are read when somebody
 * asks for a log (`segment-directory.ts`).
 */
import { ROW_BYTES } from '../commit/row-codec.ts';
import {
  BLOCK_BYTES,
  BLOCK_ROWS,
  type Run,
  type SegmentTrailer,
  segmentName,
} from './segment-codec.ts';

/** A run, and where it lies. */
export interface LogRun extends Run {
  readonly segment: Segment;
}

export class Segment {
  readonly id: number;
  readonly remote: boolean;
  readonly facts: SegmentTrailer;
  readonly objectName: string;
  /** For people. */
  readonly path: string;
  readonly fileBytes: number;
  /** The first log of each page of the directory. */
  readonly fences: Float64Array;
  /** Segments that this one and its siblings stand in for. */
  readonly replaced: Float64Array;
  /** Bytes of runs that no log needs any more; an estimate. -1: not counted since the start. */
  deadBytes = -1;
  /** True when it was merged with others and did not get fewer by it: not to be tried again. */
  resting = false;
  /** Reads under way; the segment is not removed before they end. */
  readers = 0;
  #unread: (() => void)[] = [];

  constructor(
    folder: string,
    remote: boolean,
    facts: SegmentTrailer,
    fileBytes: number,
    fences: Float64Array,
    replaced: Float64Array,
  ) {
    this.id = facts.id;
    this.remote = remote;
    this.facts = facts;
    const { id, adopted, generation } = facts;
    this.objectName = segmentName({ id, remote, generation: adopted ? generation : 0 });
    this.path = `${folder}/${this.objectName}`;
    this.fileBytes = fileBytes;
    this.fences = fences;
    this.replaced = replaced;
  }

  /** True when the log may have a run in here. */
  covers(log: number): boolean {
    return log >= this.facts.firstLog && log <= this.facts.lastLog;
  }

  /** Bytes of all runs, dead or alive. */
  get contentBytes(): number {
    return this.facts.directoryAt - this.facts.overheadBytes;
  }

  get liveBytes(): number {
    return Math.max(0, this.contentBytes - Math.max(0, this.deadBytes));
  }

  release(): void {
    this.readers--;
    if (this.readers === 0) for (const call of this.#unread.splice(0)) call();
  }

  /** Resolves when the reads that are under way have ended. */
  async unread(): Promise<void> {
    while (this.readers > 0) await new Promise<void>((resolve) => this.#unread.push(resolve));
  }
}

/** Bytes that a run takes in its segment. */
export function bytesOf(run: Run): number {
  const blocks = run.rowCount > BLOCK_ROWS ? Math.ceil(run.rowCount / BLOCK_ROWS) : 0;
  return run.bodyBytes + run.rowCount * ROW_BYTES + blocks * BLOCK_BYTES;
}

/** Bytes of a run that a log which starts at `start` does not need: an estimate. */
export function deadBytesOf(run: Run, start: number): number {
  const bytes = bytesOf(run);
  const { firstOffset, endOffset } = run;
  if (start >= endOffset) return bytes;
  if (start <= firstOffset) return 0;
  // The batch that holds `start` stays whole: it must not look as if it could be freed.
  const dead = (bytes * (start - firstOffset)) / (endOffset - firstOffset) - bytes / run.rowCount;
  return Math.max(0, Math.floor(dead));
}

/** Bytes of a run's bodies from an offset on: an estimate. */
export function bytesFrom(run: Run, offset: number): number {
  const { firstOffset, endOffset, bodyBytes } = run;
  const left = endOffset - Math.max(offset, firstOffset);
  return (bodyBytes * Math.max(0, left)) / (endOffset - firstOffset);
}
