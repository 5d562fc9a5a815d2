/**
 * Which logs are due for key compaction, and doing it: as soon as enough of what is reorganised was
 * not compacted, or some of it waits for too long, or tombstones may go. How a log is compacted is
 * in `compaction.ts`; it makes one new stretch of runs of the old ones.
 */
import { compactLog } from './compaction.ts';
import type { EngineCore } from './engine.ts';
import type { Compaction } from './log-engine.ts';
import type { MergeLane } from './merge-lane.ts';
import type { LogRun } from './segment.ts';
import { LANE } from './segment-codec.ts';
import type { Shard } from './shard.ts';
import { Turns } from './turns.ts';

/** Logs that are looked at in one stretch. */
const TURN_LOGS = 512;

/** Pause after which tombstones that did not go are tried again. */
const RETRY_MS = 60_000;

interface Tried {
  readonly end: number;
  readonly atMs: number;
}

const NEVER: Tried = { end: -1, atMs: -RETRY_MS };

/** What the runs of a log say together. */
interface Need {
  readonly dirtyBytes: number;
  readonly bytes: number;
  /** When the oldest batch was appended that was not compacted; -1 when there is none. */
  readonly sinceMs: number;
  /** When the first tombstones may go; 0 when there are none. */
  readonly horizonMs: number;
}

export class Compactions {
  /** When the next log becomes due by its age alone; Infinity when none will. */
  nextMs = Number.POSITIVE_INFINITY;

  readonly #core: EngineCore;
  readonly #lane: Pick<MergeLane, 'rewrite'>;
  /** Where each log ended when it was compacted last, and when: it is due again with more. */
  readonly #tried = new Map<number, Tried>();

  constructor(core: EngineCore, lane: Pick<MergeLane, 'rewrite'>) {
    this.#core = core;
    this.#lane = lane;
  }

  /** Compacts one log that is due; false when none is. */
  async one(): Promise<boolean> {
    const { logs, options } = this.#core;
    const turns = new Turns(options.timers, TURN_LOGS);
    const nowMs = options.clock.nowMs();
    this.nextMs = Number.POSITIVE_INFINITY;
    for (const log of logs.values()) {
      if (turns.over()) await turns.next();
      const { compaction } = log.upkeep;
      if (compaction === null) continue;
      const runs = neighbours(log, await this.#core.runs.of(log.id));
      const dueMs = this.#dueMs(log, compaction, runs);
      if (dueMs > nowMs) {
        this.nextMs = Math.min(this.nextMs, dueMs);
        continue;
      }
      this.#tried.set(log.id, { end: runs.at(-1)!.endOffset, atMs: nowMs });
      await this.#compact(log, runs);
      return true;
    }
    for (const id of this.#tried.keys()) if (!logs.has(id)) this.#tried.delete(id);
    return false;
  }

  #dueMs(log: Shard, compaction: Compaction, runs: readonly LogRun[]): number {
    const need = needOf(runs);
    const end = runs.at(-1)?.endOffset ?? 0;
    if (need.bytes === 0) return Number.POSITIVE_INFINITY;
    const tried = this.#tried.get(log.id) ?? NEVER;
    const tombstonesMs = need.horizonMs > 0 ? need.horizonMs : Number.POSITIVE_INFINITY;
    const horizonMs = Math.max(tombstonesMs, tried.atMs + RETRY_MS);
    // The head of a log always stays dirty: without anything new there is nothing to do.
    if (need.sinceMs < 0 || end <= tried.end) return horizonMs;
    const youngMs = need.sinceMs + compaction.minLagMs;
    const isDirty = need.dirtyBytes >= need.bytes * compaction.dirtyRatio;
    const dueMs = isDirty ? youngMs : Math.max(youngMs, need.sinceMs + compaction.maxLagMs);
    return Math.min(dueMs, horizonMs);
  }

  async #compact(log: Shard, runs: readonly LogRun[]): Promise<void> {
    const { pacer, options } = this.#core;
    const pace = (bytes: number): Promise<void> => pacer.pass(bytes, LANE.merge);
    await this.#lane.rewrite(log, runs, async (add) => {
      const result = await compactLog(this.#core, log, runs, add, pace);
      if (result !== null) options.log.debug('a log was compacted', { log: log.id, ...result });
      return result !== null;
    });
  }
}

/** The first runs of a log, as far as nothing is missing between them. */
function neighbours(log: Shard, all: readonly LogRun[]): readonly LogRun[] {
  const runs = all.filter(({ endOffset }) => endOffset > log.startOffset);
  let count = Math.min(1, runs.length);
  while (count < runs.length && runs[count]!.firstOffset === runs[count - 1]!.endOffset) count++;
  return runs.slice(0, count);
}

function needOf(runs: readonly LogRun[]): Need {
  let [dirtyBytes, bytes, sinceMs, horizon] = [0, 0, -1, 0];
  for (const { dirt, bodyBytes } of runs) {
    dirtyBytes += dirt.bytes;
    bytes += bodyBytes;
    if (dirt.sinceMs >= 0 && (sinceMs < 0 || dirt.sinceMs < sinceMs)) sinceMs = dirt.sinceMs;
    if (dirt.horizon > 0 && (horizon === 0 || dirt.horizon < horizon)) horizon = dirt.horizon;
  }
  return { dirtyBytes, bytes, sinceMs, horizonMs: horizon * 1000 };
}
