/**
 * The engine: puts the parts together and keeps the logs. What it promises is in `log-engine.ts`,
 * how entries become durable in `committer.ts`, how they are found again in `recovery.ts`.
 */
import { BrokerError, type Clock, type Log, type Metrics, type Random, type Timers } from '#kit';
import { Committer } from './commit/committer.ts';
import { type Instruments, makeInstruments } from './commit/instruments.ts';
import { Pacer } from './commit/pacer.ts';
import { RecentRows } from './commit/recent-rows.ts';
import { Wal } from './commit/wal.ts';
import type { Files } from './files/files.ts';
import { GentleFiles } from './files/gentle-files.ts';
import { DEFAULT_LIMITS, type EngineLimits } from './limits.ts';
import type {
  Appended,
  BatchFacts,
  Committed,
  Durability,
  EngineHealth,
  LogEngine,
  LogStat,
  RecoveryReport,
  StoredBatch,
} from './log-engine.ts';
import { openDirectoryStore } from './objects/directory-store.ts';
import type { ObjectStore } from './objects/object-store.ts';
import { DamageReports } from './recovery/damage.ts';
import { recover } from './recovery/recovery.ts';
import { Housekeeping } from './reorganise/housekeeping.ts';
import { Reader } from './segments/reader.ts';
import { RunIndex } from './segments/run-index.ts';
import { SegmentStore } from './segments/segment-store.ts';
import { Shard, type ShardHome } from './shard.ts';

export interface EngineOptions {
  /** Where everything lies. Made when it is not there; one process at a time. */
  readonly directory: string;
  readonly files: Files;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Those that differ from `DEFAULT_LIMITS`. */
  readonly limits?: Partial<EngineLimits>;
  /**
   * Where segments lie, when not in the directory alone. Asked once the directory's lock is held;
   * closes `local` when it is closed.
   */
  readonly objects?: (local: ObjectStore) => Promise<ObjectStore>;
}

/**
 * Opens the data directory: takes its lock, recovers, and is ready to append.
 * Rejects with BrokerError `precondition-failed` when another process has it open.
 */
export async function openEngine(options: EngineOptions): Promise<LogEngine> {
  const { directory } = options;
  const files = new GentleFiles(options.files, options.timers);
  await files.ensureDirectory(directory);
  const unlock = await files.lock(`${directory}/lock`);
  let objects: ObjectStore | null = null;
  try {
    const { openSegmentsMax } = { ...DEFAULT_LIMITS, ...options.limits };
    const local = await openDirectoryStore(files, directory, openSegmentsMax);
    objects = options.objects === undefined ? local : await options.objects(local);
    const engine = new Engine({ ...options, files }, objects, unlock);
    await engine.start();
    return engine;
  } catch (error) {
    await objects?.close();
    await unlock();
    throw error;
  }
}

/** What the parts of one engine share. */
export interface EngineCore {
  readonly options: EngineOptions;
  readonly limits: EngineLimits;
  readonly instruments: Instruments;
  readonly damage: DamageReports;
  readonly logs: Map<number, Shard>;
  readonly rows: RecentRows;
  readonly wal: Wal;
  readonly committer: Committer;
  /** Where segments lie. */
  readonly objects: ObjectStore;
  readonly store: SegmentStore;
  /** Which segments are in use, and what each log has in them. */
  readonly runs: RunIndex;
  readonly pacer: Pacer;
  readonly makeLog: (id: number) => Shard;
}

class Engine implements LogEngine, ShardHome {
  report: RecoveryReport = { milliseconds: 0, entriesReplayed: 0, tornBytes: 0, damaged: [] };
  health: EngineHealth = 'ok';

  readonly #core: EngineCore;
  readonly #reader: Reader;
  readonly #housekeeping: Housekeeping;
  readonly #unlock: () => Promise<void>;
  readonly #files: GentleFiles;
  #healthListeners: ((health: EngineHealth, reason: string) => void)[] = [];
  #closing: Promise<void> | null = null;

  constructor(
    options: EngineOptions & { readonly files: GentleFiles },
    objects: ObjectStore,
    unlock: () => Promise<void>,
  ) {
    this.#unlock = unlock;
    this.#files = options.files;
    const { files, directory, clock, timers, log } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const instruments = makeInstruments(options.metrics);
    const rows = new RecentRows(limits.cacheBytes);
    const wal = new Wal({
      files,
      directory,
      limits,
      timers,
      rows,
      log,
      instruments,
      nowMs: () => clock.nowMs(),
      onFinished: () => this.#housekeeping.kick(),
      onSpace: (full) => this.#spaceChanged(full),
      onFailed: (error) => this.#core.committer.fail(error),
    });
    const pacer = new Pacer({
      ...{ limits, clock, timers },
      pressure: () => this.#housekeeping.pressure,
      mergesAreBehind: () => this.#housekeeping.mergesAreBehind,
    });
    const committer = new Committer(
      {
        ...{ limits, clock, timers, log, rows, instruments, pacer },
        onFailed: (why) => this.#failed(why),
      },
      wal,
    );
    const damage = new DamageReports(log, instruments);
    const logs = new Map<number, Shard>();
    const makeLog = (id: number): Shard => {
      const shard = new Shard(id, 'fsync', this);
      logs.set(id, shard);
      return shard;
    };
    const { rowBlocksMax: blocksMax, directoryPagesMax: pagesMax } = limits;
    const store = new SegmentStore({ objects, damage, blocksMax, pagesMax });
    const runs = new RunIndex(store.directory);
    this.#core = {
      ...{ options, limits, instruments, damage, logs, rows, wal, committer },
      ...{ objects, store, runs, pacer, makeLog },
    };
    this.#housekeeping = new Housekeeping(this.#core);
    this.#reader = new Reader(this.#core);
  }

  async start(): Promise<void> {
    const { committer, wal } = this.#core;
    const { clock } = this.#core.options;
    const startedMs = clock.monotonicMs();
    const found = await recover(this.#core);
    committer.start(found.nextSequence);
    this.#housekeeping.start(found);
    wal.writer = found.writer;
    // Before the first write-ahead file: files without a checkpoint mean that one was lost.
    if (found.needsCheckpoint) await this.#firstCheckpoint();
    await wal.start(found.nextGeneration, found.finished, found.reusable);
    this.report = {
      milliseconds: clock.monotonicMs() - startedMs,
      entriesReplayed: found.entriesReplayed,
      tornBytes: found.tornBytes,
      damaged: found.damaged,
    };
    this.#files.gentle = true;
    this.#housekeeping.kick();
  }

  /** A full disk still serves reads. */
  async #firstCheckpoint(): Promise<void> {
    try {
      await this.#housekeeping.checkpoint();
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'storage-full') throw error;
    }
  }

  get busy(): boolean {
    return this.#core.committer.busy;
  }

  onHealth(listener: (health: EngineHealth, reason: string) => void): void {
    this.#healthListeners.push(listener);
  }

  onRoom(call: () => void): void {
    this.#core.committer.onRoom(call);
  }

  open(id: number, durability: Durability): Shard {
    let log = this.#core.logs.get(id);
    if (log === undefined) {
      log = this.#core.makeLog(id);
      log.durability = durability;
    } else if ((durability === 'memory') === (log.durability === 'memory')) {
      log.durability = durability;
    } else if (log.endOffset === 0) {
      log.durability = durability;
    } else if (durability === 'memory') {
      // Its older batches are on disk; the new ones follow them there, without making anyone wait.
      log.durability = 'async';
    }
    log.opened = true;
    return log;
  }

  has(id: number): boolean {
    return this.#core.logs.has(id);
  }

  wake(): void {
    this.#core.committer.schedule();
  }

  beforeSeal(append: () => void): void {
    this.#core.committer.beforeSeal(append);
  }

  flushed(): Promise<void> {
    return this.#core.committer.flushed();
  }

  sealing(append: () => void): void {
    this.#core.committer.sealing(append);
  }

  sameOwner(): boolean {
    return true;
  }

  checkpoint(): Promise<void> {
    return this.#housekeeping.checkpoint();
  }

  onCheckpoint(save: () => Promise<void>): void {
    this.#housekeeping.onCheckpoint(save);
  }

  usage(): { dataBytes: number; walBytes: number } {
    return { dataBytes: this.#housekeeping.segmentBytes, walBytes: this.#core.wal.bytes };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  append(log: Shard, bytes: Buffer, facts: BatchFacts, committed: Committed | null): Appended {
    return this.#core.committer.append(log, bytes, facts, committed);
  }

  read(log: Shard, offset: number, bytesMax: number): StoredBatch[] | Promise<StoredBatch[]> {
    return this.#reader.read(log, offset, bytesMax);
  }

  findByTime(log: Shard, timestampMs: number): Promise<StoredBatch | null> {
    return this.#reader.findByTime(log, timestampMs);
  }

  offsetForBytes(log: Shard, bytes: number): number | Promise<number> {
    return this.#reader.offsetForBytes(log, bytes);
  }

  trim(log: Shard, offset: number): void {
    const to = Math.min(offset, log.highWatermark);
    if (!(to > log.startOffset) || log.removed) return;
    const from = log.startOffset;
    const { rows, committer } = this.#core;
    log.trimTo(to, rows);
    if (log.durability !== 'memory') this.#housekeeping.trimmed(log.id, from);
    committer.trimmed(log);
  }

  remove(log: Shard): void {
    if (log.removed) return;
    log.removed = true;
    this.#core.logs.delete(log.id);
    this.#core.committer.removed(log);
    this.#housekeeping.trimmed(log.id, log.startOffset);
    log.places = [];
    log.ram = [];
  }

  upkeepChanged(log: Shard): void {
    this.#housekeeping.upkeepChanged(log);
  }

  headGrew(log: Shard): void {
    this.#housekeeping.headGrew(log);
  }

  stat(log: Shard): LogStat {
    const { startOffset, endOffset, highWatermark, bytes, batches } = log;
    return { startOffset, endOffset, highWatermark, bytes, batches };
  }

  #spaceChanged(full: boolean): void {
    // Full files that wait may hold dead bytes; reorganised, they are files to write into again.
    if (full) this.#housekeeping.kick();
    if (this.#core.committer.failure !== null) return;
    this.#setHealth(
      full ? 'full' : 'ok',
      full ? 'no space for the next write-ahead file' : 'space was found again',
    );
  }

  #failed(reason: string): void {
    this.#setHealth('failed', reason);
  }

  #setHealth(health: EngineHealth, reason: string): void {
    if (this.health === health) return;
    this.health = health;
    const { log } = this.#core.options;
    if (health === 'ok') log.info('storage takes appends again', { reason });
    else log.error('storage refuses appends', { health, reason });
    for (const listener of this.#healthListeners) listener(health, reason);
  }

  async #close(): Promise<void> {
    const { committer, wal, options } = this.#core;
    const failedBefore = committer.failure;
    this.#files.gentle = false;
    try {
      wal.giveUpWhenFull();
      await this.#housekeeping.stop();
      // What the hooks still hold goes first; then nothing more is taken, and the rest is written.
      await committer.flushed();
      committer.closed = true;
      await committer.flushed();
      await this.#housekeeping.saveFinal();
    } catch (error) {
      if (!(error instanceof BrokerError)) committer.fail(error);
      if (error !== failedBefore) {
        options.log.error('the engine could not save its state', { error: String(error) });
      }
    } finally {
      committer.closed = true;
      committer.stopTimers();
      await this.#core.objects.close();
      await wal.close();
      await this.#unlock();
    }
  }
}
