/**
 * Which segments are in use, and where the batches of a log lie in them. Looked up in the
 * directories on demand; of logs that are read the answer is kept until the segments change.
 */
import type { LogRun, Segment } from './segment.ts';
import type { SegmentDirectory } from './segment-directory.ts';

/** Logs of which the answer is kept. */
const LOGS_MAX = 4096;

export class RunIndex {
  /** In use, ascending by id. Replaced, never changed in place. */
  segments: readonly Segment[] = [];
  /** Raised when the segments change. */
  version = 0;
  /** True when a segment is there whose runs may stand in for runs of older segments. */
  #shadows: readonly Segment[] = [];
  readonly #directory: SegmentDirectory;
  /** Least recently used first. */
  readonly #known = new Map<number, readonly LogRun[]>();

  constructor(directory: SegmentDirectory) {
    this.#directory = directory;
  }

  /** The runs of a log that count, in offset order. A promise when a directory has to be read. */
  of(log: number): readonly LogRun[] | Promise<readonly LogRun[]> {
    const known = this.#known.get(log);
    if (known === undefined) return this.#look(log);
    this.#known.delete(log);
    this.#known.set(log, known);
    return known;
  }

  /** True when a run of the log in one segment may be replaced by one in a newer segment. */
  mayBeShadowed(log: number): boolean {
    return this.#shadows.some((segment) => segment.covers(log));
  }

  /** True when a segment other than `but` has anything of the log, be it only a mark. */
  async isElsewhere(log: number, but: ReadonlySet<Segment>): Promise<boolean> {
    for (const segment of this.segments) {
      if (but.has(segment) || !segment.covers(log)) continue;
      if ((await this.#directory.find(segment, log)) !== null) return true;
    }
    return false;
  }

  change(gone: readonly Segment[], come: readonly Segment[]): void {
    const kept = this.segments.filter((segment) => !gone.includes(segment));
    this.segments = [...kept, ...come].sort((a, b) => a.id - b.id);
    this.#shadows = this.segments.filter(({ facts }) => facts.shadows);
    this.#known.clear();
    for (const segment of gone) this.#directory.forget(segment);
    this.version++;
  }

  async #look(log: number): Promise<readonly LogRun[]> {
    for (;;) {
      const { version } = this;
      try {
        const runs = await this.#gather(log);
        if (version !== this.version) continue;
        this.#known.set(log, runs);
        for (const oldest of this.#known.keys()) {
          if (this.#known.size <= LOGS_MAX) break;
          this.#known.delete(oldest);
        }
        return runs;
      } catch (error) {
        // A segment that went meanwhile cannot be read, and need not be.
        if (version === this.version) throw error;
      }
    }
  }

  async #gather(log: number): Promise<readonly LogRun[]> {
    const found: (LogRun | null | Promise<LogRun | null>)[] = [];
    for (const segment of this.segments) {
      if (segment.covers(log)) found.push(this.#directory.find(segment, log));
    }
    const runs = (await Promise.all(found)).filter((run) => run !== null && run.rowCount > 0);
    return effective(runs as LogRun[]);
  }
}

/**
 * Of runs that claim the same offsets the one of the newest segment counts: it was made from the
 * others. In offset order.
 */
function effective(runs: readonly LogRun[]): LogRun[] {
  const sorted = [...runs].sort((a, b) => a.firstOffset - b.firstOffset);
  const kept: LogRun[] = [];
  for (const run of sorted) {
    let stands = true;
    while (kept.length > 0 && kept.at(-1)!.endOffset > run.firstOffset) {
      if (kept.at(-1)!.segment.id > run.segment.id) {
        stands = false;
        break;
      }
      kept.pop();
    }
    if (stands) kept.push(run);
  }
  return kept;
}
