/**
 * What happens behind the appends, in two lanes that do not wait for each other: full write-ahead
 * files become segments (`level-one-lane.ts`), segments are merged (`merge-lane.ts`). Both are
 * paced (`pacer.ts`) and end in checkpoints (`checkpointer.ts`). This decides when they run.
 */
import { BrokerError, type Timer } from '#kit';
import { Stopped } from '../commit/pacer.ts';
import type { EngineCore } from '../engine.ts';
import { isDiskFull } from '../files/files.ts';
import { Checkpointer } from '../recovery/checkpointer.ts';
import type { Recovered } from '../recovery/recovery.ts';
import { LANE } from '../segments/segment-codec.ts';
import type { Shard } from '../shard.ts';
import { Ledger } from './ledger.ts';
import { LevelOneLane } from './level-one-lane.ts';
import { MergeLane } from './merge-lane.ts';

/** Longer waits are cut: timers count in 32 bits. */
const WAIT_MS_MAX = 2 ** 30;

/** Pause before segments that could not be reached are tried again. */
const FAR_RETRY_MS = 60_000;

export class Housekeeping {
  readonly #core: EngineCore;
  readonly #ledger = new Ledger();
  readonly #checkpointer: Checkpointer;
  readonly #levelOne: LevelOneLane;
  readonly #merges: MergeLane;
  /** The lanes that run. */
  #levelOneRuns: Promise<void> | null = null;
  #mergesRun: Promise<void> | null = null;
  /** Set while a lane runs: it has to look again. */
  #again = false;
  #mergesAgain = false;
  #stopped = false;
  #started = false;
  readonly #timers = new Map<string, Timer>();
  /** When logs are looked at for compaction the next time. */
  #compactionMs = Number.POSITIVE_INFINITY;
  #compactionTimer: Timer | null = null;

  constructor(core: EngineCore) {
    this.#core = core;
    this.#checkpointer = new Checkpointer(core, this.#ledger);
    this.#merges = new MergeLane(core, this.#ledger, this.#checkpointer);
    const moved = (log: Shard): void => this.#merges.compactions.touched(log);
    this.#levelOne = new LevelOneLane(core, this.#ledger, this.#checkpointer, moved);
  }

  /** Takes over what recovery found; the lanes begin somewhat later. */
  start(found: Recovered): void {
    this.#ledger.start(found);
    this.#after('start', this.#core.limits.reorganiseDelayMs, () => {
      this.#started = true;
      this.kick();
    });
  }

  get segmentBytes(): number {
    let bytes = 0;
    for (const segment of this.#core.runs.segments) bytes += segment.fileBytes;
    return bytes;
  }

  /** What waits for level 1, as a share of what may: 0 to 1. */
  get pressure(): number {
    return this.#levelOne.pressure;
  }

  get mergesAreBehind(): boolean {
    return this.#merges.isBehind;
  }

  onCheckpoint(save: () => Promise<void>): void {
    this.#checkpointer.onCheckpoint(save);
  }

  /** There may be something to do: a file is full, or space is short. */
  kick(): void {
    const urgent = this.#core.wal.full || this.pressure > 0.5;
    if (this.#stopped || !(this.#started || urgent)) return;
    this.#again = true;
    this.#levelOneRuns ??= this.#runLevelOne().finally(() => {
      this.#levelOneRuns = null;
      this.#core.pacer.idle(LANE.levelOne);
    });
  }

  /** The log began at `from` until now. Frees what that makes dead, soon. */
  trimmed(log: number, from: number): void {
    this.#merges.live.trimmed(log, from);
    if (this.#stopped) return;
    this.#after('sweep', this.#core.limits.sweepDelayMs, () => this.#kickMerges());
    if (this.#core.wal.finished.length === 0) return;
    this.#after('kept', this.#core.limits.walKeptMs, () => {
      this.#levelOne.takesAll = true;
      this.kick();
    });
  }

  /** What the owner of a log wants of it changed. */
  upkeepChanged(log: Shard): void {
    this.#merges.compactions.set(log);
    this.#kickMerges();
  }

  /** A batch of a compacted log went into a write-ahead file. */
  headGrew(log: Shard): void {
    if (this.#merges.compactions.headGrew(log)) this.#waitForCompaction();
  }

  /** Writes a checkpoint after the files that are due were reorganised. */
  async checkpoint(): Promise<void> {
    this.kick();
    await this.#levelOneRuns;
    await this.#checkpointer.checkpoint();
  }

  /** Ends the background work and lets the state owners save theirs; appends are still taken. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#compactionTimer?.cancel();
    this.#core.pacer.stop();
    await this.#levelOneRuns;
    await this.#mergesRun;
    await this.#checkpointer.saveOwners();
  }

  /** The last checkpoint, and the mark of a stop in order. */
  saveFinal(): Promise<void> {
    return this.#checkpointer.saveFinal();
  }

  async #runLevelOne(): Promise<void> {
    try {
      while (this.#again && this.#goesOn()) {
        this.#again = false;
        await this.#levelOne.run(this.#goesOn);
        this.#count();
      }
    } catch (error) {
      this.#failed(error);
    }
    this.#kickMerges();
  }

  #kickMerges(): void {
    if (this.#stopped || !(this.#started || this.#core.wal.full)) return;
    if (this.#mergesRun !== null) {
      // What came up while the lane was at its last step must not be missed.
      this.#mergesAgain = true;
      return;
    }
    this.#mergesRun = this.#runMerges().finally(() => {
      this.#mergesRun = null;
      this.#core.pacer.idle(LANE.merge);
    });
  }

  async #runMerges(): Promise<void> {
    try {
      do {
        this.#mergesAgain = false;
        await this.#merges.run(this.#goesOn);
        this.#count();
      } while (this.#mergesAgain && this.#goesOn());
      this.#waitForCompaction();
      if (this.#merges.isIncomplete) this.#after('far', FAR_RETRY_MS, () => this.#kickMerges());
    } catch (error) {
      this.#failed(error);
    }
  }

  /** One timer, for what is due first; nothing polls. */
  #waitForCompaction(): void {
    const { clock, timers } = this.#core.options;
    const { nextMs } = this.#merges.compactions;
    if (nextMs >= this.#compactionMs || !this.#goesOn()) return;
    this.#compactionTimer?.cancel();
    this.#compactionMs = nextMs;
    const waitMs = Math.min(Math.max(1, nextMs - clock.nowMs()), WAIT_MS_MAX);
    this.#compactionTimer = timers.after(waitMs, () => {
      this.#compactionMs = Number.POSITIVE_INFINITY;
      if (this.#merges.compactions.headIsDue()) this.#moveHeads();
      // When it is done with what is due, the next one is armed.
      this.#kickMerges();
    });
  }

  /** What lies in write-ahead files goes into segments, though they are not full. */
  #moveHeads(): void {
    this.#core.wal.endEarly();
    this.#core.committer.writeMark();
    this.kick();
  }

  readonly #goesOn = (): boolean => !this.#stopped && this.#core.committer.failure === null;

  #failed(error: unknown): void {
    const { options, committer, limits } = this.#core;
    if (error instanceof Stopped) return;
    if (error instanceof BrokerError) {
      options.log.error('reorganisation stopped', { error: error.message });
    } else if (isDiskFull(error)) {
      options.log.warn('reorganisation waits for space', { error: String(error) });
    } else {
      committer.fail(error);
      return;
    }
    this.#after('retry', limits.fullRetryMsMax, () => {
      this.kick();
      this.#kickMerges();
    });
  }

  /** Calls once after a while; one call of a name waits at a time. */
  #after(name: string, delayMs: number, call: () => void): void {
    if (this.#stopped || this.#timers.has(name)) return;
    const timer = this.#core.options.timers.after(delayMs, () => {
      this.#timers.delete(name);
      call();
    });
    this.#timers.set(name, timer);
  }

  #count(): void {
    this.#core.instruments.segmentBytes.set(this.segmentBytes);
    this.#core.instruments.walBytes.set(this.#core.wal.bytes);
  }
}
