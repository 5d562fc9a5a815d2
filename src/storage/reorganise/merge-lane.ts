/**
 * Level 2, one job after the other: merges of segments, rewrites of those that are mostly dead, and
 * whatever else makes new runs of old ones (key compaction).
 */

import { BrokerError } from '#kit';
import type { EngineCore } from '../engine.ts';
import type { Checkpointer } from '../recovery/checkpointer.ts';
import type { JobWriter } from '../segments/job-writer.ts';
import { LiveBytes } from '../segments/live-bytes.ts';
import type { LogRun, Segment } from '../segments/segment.ts';
import { LANE } from '../segments/segment-codec.ts';
import type { SegmentWriter } from '../segments/segment-writer.ts';
import type { Shard } from '../shard.ts';
import { Turns } from '../turns.ts';
import { type AddBatch, compactLog } from './compaction.ts';
import { CompactionPlan } from './compaction-plan.ts';
import type { JobTask, Ledger } from './ledger.ts';
import { merge } from './merge.ts';
import { type MergePlan, planMerge } from './planner.ts';

/** Segments of level 1 that may wait while level 1 has the disk to itself. */
const LEVEL_ONE_MAX = 24;
/** Runs of which the account is made in one stretch. */
const TURN_RUNS = 512;

/** Runs of a log that are to be replaced. */
interface RewriteTask {
  readonly log: Shard;
  readonly runs: readonly LogRun[];
}

export class MergeLane {
  readonly live: LiveBytes;
  readonly compactions: CompactionPlan;
  readonly #core: EngineCore;
  readonly #ledger: Ledger;
  readonly #checkpointer: Checkpointer;
  /** Segments that this run passes over. */
  readonly #unreachable = new Set<Segment>();

  constructor(core: EngineCore, ledger: Ledger, checkpointer: Checkpointer) {
    this.#core = core;
    this.#ledger = ledger;
    this.#checkpointer = checkpointer;
    const { logs, runs, store, options } = core;
    const turns = new Turns(options.timers, TURN_RUNS);
    this.compactions = new CompactionPlan(core);
    this.live = new LiveBytes({ logs, runs, turns, directory: store.directory });
  }

  /** True when so many segments of level 1 wait that reads suffer. */
  get isBehind(): boolean {
    let count = 0;
    for (const { facts } of this.#core.runs.segments) if (facts.level === 1) count++;
    return count > LEVEL_ONE_MAX;
  }

  /** True when segments could not be reached: another run may have more luck, later. */
  get isIncomplete(): boolean {
    return this.#unreachable.size > 0;
  }

  /** Works until nothing is due. */
  async run(goesOn: () => boolean): Promise<void> {
    this.#unreachable.clear();
    while (goesOn()) {
      await this.live.settle();
      const { segments } = this.#core.runs;
      const near = segments.filter((segment) => !this.#unreachable.has(segment));
      const plan = planMerge(near, this.#core.limits);
      if (plan !== null) {
        await this.#merge(plan).catch((error: unknown) => this.#skip(plan, error));
        if (this.#checkpointer.isWorthwhile) await this.#checkpointer.save();
        continue;
      }
      if (await this.live.countOne()) continue;
      if (await this.#compact()) continue;
      if (this.#checkpointer.retiredCount > 0) await this.#checkpointer.save();
      if (!this.live.isDue) return;
    }
  }

  /** Compacts the logs that are due; false when none is. */
  async #compact(): Promise<boolean> {
    const { limits, pacer } = this.#core;
    const due = await this.compactions.due(limits.segmentBytesMax);
    if (due.length === 0) return false;
    const pace = (bytes: number): Promise<void> => pacer.pass(bytes, LANE.merge);
    const agains: number[] = [];
    await this.#rewrite(due, async ({ log, runs }, add) => {
      const { changed, againMs, ...sums } = await compactLog(this.#core, log, runs, add, pace);
      agains.push(againMs);
      this.#core.options.log.debug('a log was compacted', { log: log.id, changed, ...sums });
      return changed;
    });
    for (const [index, { log, runs }] of due.entries()) {
      this.compactions.done(log, runs, agains[index]!);
    }
    return true;
  }

  /**
   * Replaces runs of some logs, neighbours in offset order, by what `fill` adds: the same stretch
   * of offsets. The segments that hold the old runs stay; those bytes are dead in them from then
   * on.
   * @param tasks ascending by log
   * @param fill resolves to false when there was nothing to do: then it added nothing
   */
  async #rewrite(
    tasks: readonly RewriteTask[],
    fill: (task: RewriteTask, add: AddBatch) => Promise<boolean>,
  ): Promise<void> {
    const old = tasks.flatMap(({ runs }) => runs);
    const lastSequence = Math.max(...old.map(({ segment }) => segment.facts.lastSequence));
    const shape = { lane: LANE.merge, level: 1, replaced: [], shadows: true } as const;
    const job = this.#begin({ ...shape, lastSequence });
    const changed: RewriteTask[] = [];
    const made = await this.#guarded(job, async () => {
      for (const task of tasks) {
        if (await this.#rewriteOne(job, task, fill)) changed.push(task);
      }
      return changed.length === 0 ? [] : job.finish();
    });
    if (changed.length === 0) return;
    for (const { log, runs } of changed) {
      this.live.replaced(runs);
      await this.#recount(log, made, runs);
    }
    this.#publish(job, [], made);
    this.#core.instruments.compactions.add(changed.length);
  }

  async #rewriteOne(
    job: JobWriter,
    task: RewriteTask,
    fill: (task: RewriteTask, add: AddBatch) => Promise<boolean>,
  ): Promise<boolean> {
    const { log, runs } = task;
    const bytes = runs.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    const place = { log: log.id, remote: log.upkeep.remote, bytes, long: true, layer: 0 };
    let writer: SegmentWriter | null = null;
    const add: AddBatch = async (rows, at, body) => {
      if (writer !== null && job.mustCut(writer)) {
        await writer.endRun(log.id, log.startOffset, false);
        writer = null;
      }
      writer ??= await job.at(place);
      await writer.add(rows, at, body);
    };
    const changed = await fill(task, add);
    const last = writer as SegmentWriter | null;
    if (last?.runHasBatches === true) await last.endRun(log.id, log.startOffset, false);
    return changed;
  }

  /** What lies far away and cannot be reached must not keep the rest from being merged. */
  #skip({ sources }: MergePlan, error: unknown): void {
    const far = sources.filter(({ remote }) => remote);
    const isFar = error instanceof BrokerError && error.code === 'remote-unavailable';
    if (!isFar || far.length === 0) throw error;
    for (const segment of far) this.#unreachable.add(segment);
  }

  async #merge({ sources, level, why }: MergePlan): Promise<void> {
    const { runs } = this.#core;
    const job = this.#begin({
      ...{ lane: LANE.merge, level },
      lastSequence: Math.max(...sources.map(({ facts }) => facts.lastSequence)),
      replaced: sources.map(({ id }) => id),
      shadows: sources.some(({ facts }) => facts.shadows),
    });
    const made = await this.#guarded(job, async () => {
      await merge(this.#core, sources, job);
      return job.finish();
    });
    if (why === 'short' && made.length > sources.length / 2) {
      for (const segment of made) segment.resting = true;
    }
    this.#publish(job, sources, made);
    this.#core.instruments.merges.add();
    this.#core.options.log.debug('segments were merged', {
      ...{ why, level, sources: sources.length, made: made.length },
      segments: runs.segments.length,
    });
  }

  #begin(task: JobTask): JobWriter {
    const { options, pacer, limits, objects, instruments } = this.#core;
    const parts = { objects, pacer, limits, written: instruments.reorganised };
    return this.#ledger.begin({ ...parts, folder: options.directory }, task);
  }

  /** Takes back what a job wrote when it fails. */
  async #guarded<T>(job: JobWriter, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await job.abandon(error);
      throw error;
    }
  }

  #publish(job: JobWriter, gone: readonly Segment[], come: readonly Segment[]): void {
    this.#ledger.done(job.plan);
    this.#core.runs.change(gone, come);
    this.#checkpointer.retire(gone);
  }

  /** A log's sums after some of its runs were rewritten. */
  async #recount(log: Shard, made: readonly Segment[], old: readonly LogRun[]): Promise<void> {
    let [bytes, batches] = [0, 0];
    for (const segment of made) {
      const run = await this.#core.store.directory.find(segment, log.id);
      bytes += run?.bodyBytes ?? 0;
      batches += run?.rowCount ?? 0;
    }
    for (const run of old) {
      bytes -= run.bodyBytes;
      batches -= run.rowCount;
    }
    log.bytes = Math.max(log.placeBytes, log.bytes + bytes);
    log.batches = Math.max(log.places.length, log.batches + batches);
  }
}
