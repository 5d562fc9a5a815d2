/**
 * When which log is compacted. Looked at when a log gets runs or settings; between that there is
 * one timer, for the log that is due first.
 *
 * A log is due when the part of it that compaction has not seen, and that is old enough, is a large
 * enough share; when a record waited for long enough; or when tombstones may go. What still lies in
 * write-ahead files is its head: that is moved on when it gets too old or too large.
 */

import { appendTimeOf } from '../commit/row-codec.ts';
import type { EngineCore } from '../engine.ts';
import type { Compaction } from '../log-engine.ts';
import type { LogRun } from '../segments/segment.ts';
import type { Shard } from '../shard.ts';

const NEVER = Number.POSITIVE_INFINITY;

interface Entry {
  readonly log: Shard;
  dueMs: number;
  /** When the oldest batch of the head has to leave it. */
  headDueMs: number;
  /** Of the last compaction: when it was, what it saw, and when it left more to do. */
  lastMs: number;
  seenEnd: number;
  seenHorizon: number;
  againMs: number;
}

export class CompactionPlan {
  readonly #core: EngineCore;
  readonly #entries = new Map<Shard, Entry>();
  /** Logs whose runs or settings changed. */
  readonly #stale = new Set<Shard>();
  /** When heads had to leave the write-ahead files for the last time. */
  #headsMs = -NEVER;

  constructor(core: EngineCore) {
    this.#core = core;
  }

  /** The settings of a log changed. */
  set(log: Shard): void {
    this.#entries.delete(log);
    this.#stale.delete(log);
    if (log.removed || log.upkeep.compaction === null) return;
    this.#entries.set(log, {
      ...{ log, dueMs: NEVER, headDueMs: NEVER, lastMs: -NEVER },
      ...{ seenEnd: -1, seenHorizon: 0, againMs: NEVER },
    });
    this.#stale.add(log);
  }

  /** Runs of a log came. */
  touched(log: Shard): void {
    if (this.#entries.has(log)) this.#stale.add(log);
  }

  /** A batch was appended: true when this makes the head due earlier than anything was before. */
  headGrew(log: Shard): boolean {
    const entry = this.#entries.get(log);
    const { compaction } = log.upkeep;
    if (entry === undefined || compaction === null) return false;
    const nowMs = this.#core.options.clock.nowMs();
    const isLarge = log.placeBytes > compaction.headBytes;
    if (!isLarge && entry.headDueMs < NEVER) return false;
    const before = entry.headDueMs;
    entry.headDueMs = isLarge ? nowMs : nowMs + headLag(compaction);
    return entry.headDueMs < before;
  }

  /** Looks at the logs that changed. */
  async settle(): Promise<void> {
    for (const log of this.#stale) {
      this.#stale.delete(log);
      const entry = this.#entries.get(log);
      if (log.removed) this.#entries.delete(log);
      else if (entry !== undefined) await this.#look(entry);
    }
  }

  /** Logs to compact now, ascending by id; not more than `bytesMax` together, but at least one. */
  async due(bytesMax: number): Promise<{ log: Shard; runs: readonly LogRun[] }[]> {
    await this.settle();
    const nowMs = this.#core.options.clock.nowMs();
    const due = [...this.#entries.values()].filter((entry) => entry.dueMs <= nowMs);
    due.sort((a, b) => a.dueMs - b.dueMs);
    const chosen: { log: Shard; runs: readonly LogRun[] }[] = [];
    let bytes = 0;
    for (const entry of due) {
      const { log } = entry;
      const runs = await this.#runsOf(log);
      for (const run of runs) bytes += run.bodyBytes;
      if (chosen.length > 0 && bytes > bytesMax) break;
      // Should the job fail, it is tried again after a pause.
      entry.lastMs = nowMs;
      entry.dueMs = nowMs + this.#core.limits.compactionPauseMs;
      if (!log.removed && runs.length > 0) chosen.push({ log, runs });
    }
    return chosen.sort((a, b) => a.log.id - b.log.id);
  }

  /** A log was compacted, as far as `runs`; more will be to do at `againMs`. */
  done(log: Shard, runs: readonly LogRun[], againMs: number): void {
    const entry = this.#entries.get(log);
    if (entry === undefined) return;
    entry.seenEnd = runs.at(-1)!.endOffset;
    entry.seenHorizon = horizonMs(runs);
    entry.againMs = againMs;
    this.#stale.add(log);
  }

  /** True when a head has to leave the write-ahead files. */
  headIsDue(): boolean {
    const nowMs = this.#core.options.clock.nowMs();
    if (nowMs < this.#headsMs + this.#core.limits.compactionPauseMs) return false;
    let isDue = false;
    for (const entry of this.#entries.values()) {
      if (entry.headDueMs > nowMs) continue;
      entry.headDueMs = NEVER;
      // It is looked at again when its runs come.
      isDue ||= entry.log.places.length > 0 && !entry.log.removed;
    }
    if (isDue) this.#headsMs = nowMs;
    return isDue;
  }

  /** When the next log, or the next head, is due. */
  get nextMs(): number {
    let [runsMs, headsMs] = [NEVER, NEVER];
    for (const { dueMs, headDueMs } of this.#entries.values()) {
      runsMs = Math.min(runsMs, dueMs);
      headsMs = Math.min(headsMs, headDueMs);
    }
    return Math.min(runsMs, Math.max(headsMs, this.#headsMs + this.#core.limits.compactionPauseMs));
  }

  async #look(entry: Entry): Promise<void> {
    const { log } = entry;
    const { compaction } = log.upkeep;
    if (compaction === null) return;
    const { rows, limits } = this.#core;
    const [place] = log.places;
    entry.headDueMs = NEVER;
    if (place !== undefined && place >= rows.start) {
      entry.headDueMs = appendTimeOf(rows.rowsOf(place), rows.at(place)) + headLag(compaction);
    }
    const runs = await this.#runsOf(log);
    const horizon = horizonMs(runs);
    const tombstonesMs = horizon > 0 && horizon !== entry.seenHorizon ? horizon : NEVER;
    const end = runs.at(-1)?.endOffset ?? 0;
    const dirtMs = end === entry.seenEnd ? entry.againMs : dirtDueMs(runs, compaction);
    const dueMs = Math.min(tombstonesMs, dirtMs);
    // What found no place in the memory of the last compaction goes on at once.
    const goesOn = end === entry.seenEnd && entry.againMs <= entry.lastMs;
    entry.dueMs = goesOn ? entry.lastMs : Math.max(dueMs, entry.lastMs + limits.compactionPauseMs);
  }

  async #runsOf(log: Shard): Promise<readonly LogRun[]> {
    const runs = await this.#core.runs.of(log.id);
    return neighbours(runs.filter(({ endOffset }) => endOffset > log.startOffset));
  }
}

/** The first runs, as far as nothing is missing between them. */
function neighbours(runs: readonly LogRun[]): readonly LogRun[] {
  let count = Math.min(1, runs.length);
  while (count < runs.length && runs[count]!.firstOffset === runs[count - 1]!.endOffset) count++;
  return runs.slice(0, count);
}

/** How long a batch may stay in the head. */
function headLag({ headMs, maxLagMs }: Compaction): number {
  return Math.min(headMs, maxLagMs);
}

/** When the first tombstones of these runs may go; 0 when there are none. */
function horizonMs(runs: readonly LogRun[]): number {
  let horizon = 0;
  for (const { dirt } of runs) {
    if (dirt.horizon > 0 && (horizon === 0 || dirt.horizon < horizon)) horizon = dirt.horizon;
  }
  return horizon * 1000;
}

/** When the dirty part of these runs is a large enough share, or has waited for long enough. */
function dirtDueMs(runs: readonly LogRun[], compaction: Compaction): number {
  const { minLagMs, maxLagMs, dirtyRatio } = compaction;
  let [clean, dirty, untilMs, longMs, shareMs] = [0, 0, 0, NEVER, NEVER];
  for (const { bodyBytes, dirt } of runs) clean += bodyBytes - dirt.bytes;
  for (const { dirt } of runs) {
    if (dirt.bytes === 0) continue;
    if (longMs === NEVER) longMs = dirt.sinceMs + Math.max(minLagMs, maxLagMs);
    dirty += dirt.bytes;
    untilMs = Math.max(untilMs, dirt.untilMs);
    if (shareMs === NEVER && dirty / (clean + dirty) >= dirtyRatio) shareMs = untilMs + minLagMs;
  }
  return Math.min(longMs, shareMs);
}
