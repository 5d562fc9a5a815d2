/**
 * How much of each segment no log needs any more. A trim is noted in no time and accounted for
 * later, some logs at a time: one log among a hundred thousand costs a look at its own runs, not at
 * all that its segments hold. What was dead before the start is counted once, in the background.
 */

import type { Shard } from '../shard.ts';
import { sortInPieces, type Turns } from '../turns.ts';
import type { RunIndex } from './run-index.ts';
import { deadBytesOf, type LogRun, type Segment } from './segment.ts';
import type { SegmentDirectory } from './segment-directory.ts';

export interface LiveParts {
  readonly logs: ReadonlyMap<number, Shard>;
  readonly runs: RunIndex;
  readonly directory: SegmentDirectory;
  readonly turns: Turns;
}

export class LiveBytes {
  readonly #parts: LiveParts;
  /** For each log that was trimmed since the last account: where it began then. */
  #trimmed = new Map<number, number>();

  constructor(parts: LiveParts) {
    this.#parts = parts;
  }

  /** True when trims wait to be accounted for. */
  get isDue(): boolean {
    return this.#trimmed.size > 0;
  }

  /** The log began at `from` until now; a removed log needs nothing any more. */
  trimmed(log: number, from: number): void {
    const known = this.#trimmed.get(log);
    if (known === undefined || from < known) this.#trimmed.set(log, from);
  }

  /** Accounts for all trims until now. */
  async settle(): Promise<void> {
    const { runs, turns } = this.#parts;
    const trimmed = this.#trimmed;
    this.#trimmed = new Map();
    // In the order of the directories: neighbours are on the same page.
    const ids = await sortInPieces(Float64Array.from(trimmed.keys()), turns);
    for (const id of ids) {
      const from = trimmed.get(id)!;
      // Trimmed again meanwhile: that part is for the next account.
      const to = Math.min(this.#startOf(id), this.#trimmed.get(id) ?? Number.POSITIVE_INFINITY);
      for (const run of await runs.of(id)) {
        const { segment } = run;
        if (segment.deadBytes < 0) continue;
        segment.deadBytes += Math.max(0, deadBytesOf(run, to) - deadBytesOf(run, from));
      }
      if (turns.over(16)) await turns.next();
    }
  }

  /** Counts a segment that was there at the start; false when there is none left to count. */
  async countOne(): Promise<boolean> {
    const segment = this.#parts.runs.segments.find(({ deadBytes }) => deadBytes < 0);
    if (segment === undefined) return false;
    // What is trimmed from here on is accounted for like everything else.
    segment.deadBytes = 0;
    await this.#count(segment);
    return true;
  }

  /** What these runs hold is replaced by runs of another segment. */
  replaced(gone: readonly LogRun[]): void {
    for (const run of gone) {
      if (run.segment.deadBytes < 0) continue;
      run.segment.deadBytes += deadBytesOf(run, Number.POSITIVE_INFINITY);
    }
  }

  async #count(segment: Segment): Promise<void> {
    const { runs, directory, turns } = this.#parts;
    for await (const some of directory.all(segment)) {
      for (const run of some) {
        const standing =
          run.rowCount === 0 || !runs.mayBeShadowed(run.log)
            ? true
            : (await runs.of(run.log)).some((other) => other.segment === segment);
        const start = standing ? this.#startOf(run.log) : Number.POSITIVE_INFINITY;
        // Of what is noted as trimmed the account is still to come.
        const from = Math.min(start, this.#trimmed.get(run.log) ?? start);
        if (run.rowCount > 0) segment.deadBytes += deadBytesOf(run, from);
        if (turns.over()) await turns.next();
      }
    }
  }

  #startOf(log: number): number {
    return this.#parts.logs.get(log)?.startOffset ?? Number.POSITIVE_INFINITY;
  }
}
