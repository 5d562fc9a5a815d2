/**
 * Level 1, one file after the other: full write-ahead files become segments, a checkpoint makes
 * that durable, and the files are free for new entries; or they are those segments themselves. It
 * never waits for merges.
 */

import type { WalFile } from '../commit/wal-file.ts';
import type { EngineCore } from '../engine.ts';
import type { Checkpointer } from '../recovery/checkpointer.ts';
import type { Segment } from '../segments/segment.ts';
import { LANE } from '../segments/segment-codec.ts';
import type { Shard } from '../shard.ts';
import { Turns } from '../turns.ts';
import type { Ledger } from './ledger.ts';
import { type Reorganised, reorganise } from './reorganise.ts';

/** Full write-ahead files that stay as they are: their index and batches serve recent reads. */
const FINISHED_KEPT = 1;
/** Files that are reorganised before a checkpoint is written for all of them. */
const FILES_PER_CHECKPOINT = 4;
/** Logs that let go of their places in one stretch. */
const TURN_LOGS = 1_024;
/** Files that may wait without any pressure. */
const CALM_FILES = 2;

export class LevelOneLane {
  /** Set to take the newest full file as well. */
  takesAll = false;

  readonly #core: EngineCore;
  readonly #ledger: Ledger;
  readonly #checkpointer: Checkpointer;

  readonly #moved: (log: Shard) => void;

  /** @param moved told of each log that has batches in new segments */
  constructor(
    core: EngineCore,
    ledger: Ledger,
    checkpointer: Checkpointer,
    moved: (log: Shard) => void,
  ) {
    this.#core = core;
    this.#ledger = ledger;
    this.#checkpointer = checkpointer;
    this.#moved = moved;
  }

  /** What waits, as a share of what may. */
  get pressure(): number {
    const max = this.#core.limits.walBacklogMax;
    const waiting = Math.max(0, this.#core.wal.finished.length - CALM_FILES);
    return waiting / Math.max(1, max - CALM_FILES);
  }

  /** Works until nothing is due. */
  async run(goesOn: () => boolean): Promise<boolean> {
    let files = 0;
    while (goesOn()) {
      const file = this.#due();
      if (file === null && files === 0) break;
      if (file !== null) {
        await this.#one(file);
        files++;
        // A writer that is close to the wall gets its files back one by one.
        if (files < FILES_PER_CHECKPOINT && this.pressure < 0.5 && this.#due() !== null) continue;
      }
      files = 0;
      await this.#checkpointer.checkpoint();
    }
    return this.#due() !== null;
  }

  #due(): WalFile | null {
    const { wal } = this.#core;
    const waiting = wal.finished.filter((file) => !this.#checkpointer.isReplaced(file));
    const takesAll = wal.full || this.takesAll || waiting.at(-1)?.early === true;
    const kept = takesAll ? 0 : FINISHED_KEPT;
    if (waiting.length <= kept) {
      this.takesAll = false;
      return null;
    }
    // Entries that do not count before a later one is written stay where they are.
    const whole = waiting[0]!.lastSequence <= this.#core.committer.committedSequence;
    return whole ? waiting[0]! : null;
  }

  async #one(file: WalFile): Promise<void> {
    const { options, pacer, limits, objects, instruments } = this.#core;
    const startedMs = options.clock.monotonicMs();
    const job = this.#ledger.begin(
      { objects, pacer, limits, folder: options.directory, written: instruments.reorganised },
      {
        ...{ lane: LANE.levelOne, level: 1, replaced: [], shadows: false },
        lastSequence: file.lastSequence,
      },
      { generation: file.generation, replayFrom: file.lastSequence + 1 },
    );
    let segments: Segment[];
    let done: Reorganised;
    try {
      done = await reorganise(this.#core, file, job);
      segments = await job.finish();
    } catch (error) {
      await job.abandon(error);
      throw error;
    }
    this.#ledger.done(job.plan);
    await this.#publish(file, done, segments);
    pacer.drained(file.written, options.clock.monotonicMs() - startedMs);
  }

  /**
   * From here on readers find the batches of a write-ahead file in its segments. Until a log has
   * let go of its places in the file they find them there as well, which does no harm.
   */
  async #publish(file: WalFile, done: Reorganised, segments: readonly Segment[]): Promise<void> {
    const { logs, rows, runs, instruments, options, wal, committer } = this.#core;
    const turns = new Turns(options.timers, TURN_LOGS);
    runs.change([], segments);
    for (const id of done.logs) {
      const log = logs.get(id);
      log?.dropPlaces(file.endRow, rows);
      if (log !== undefined) this.#moved(log);
      if (turns.over()) await turns.next();
    }
    rows.forget(file.endRow);
    if (!done.adopted) return this.#checkpointer.replace(file);
    instruments.adopted.add(file.written);
    wal.handOver(file);
    committer.offerRoom();
  }
}
