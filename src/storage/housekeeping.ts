/**
 * What happens behind the appends, one thing at a time: full write-ahead files become segments,
 * dead segments go, wasteful ones are rewritten, checkpoints are written. The order that keeps a
 * crash harmless: first the new file is durable, then both checkpoint copies that name it, and only
 * then what it replaces is removed or recycled.
 */
import { BrokerError, type Timer } from '#kit';
import { captureCheckpoint } from './capture.ts';
import { markClean, saveCheckpoint } from './checkpoint-files.ts';
import type { EngineCore } from './engine.ts';
import { isDiskFull, isSystemError } from './files.ts';
import type { Recovered } from './recovery.ts';
import { reorganise } from './reorganise.ts';
import { liveBytes, planRewrite, rewrite } from './rewrite.ts';
import { ROW_BYTES } from './row-codec.ts';
import type { Segment } from './segment.ts';
import { runBodyBytes, runEnd, runLog, runRowCount } from './segment-codec.ts';
import type { Shard } from './shard.ts';
import type { WalFile } from './wal-file.ts';

/** Full write-ahead files that stay as they are: their index and batches serve recent reads. */
const FINISHED_KEPT = 1;

export class Housekeeping {
  segments: Segment[] = [];

  readonly #core: EngineCore;
  readonly #saves: (() => Promise<void>)[] = [];
  /** Live bytes of segments as last counted; those that changed since are not in it. */
  readonly #live = new Map<Segment, number>();
  /** The jobs, one after the other. */
  #chain: Promise<void> = Promise.resolve();
  #working = false;
  #stopped = false;
  #sweepDue = false;
  #sweepTimer: Timer | null = null;
  #retryTimer: Timer | null = null;
  /** Reorganised, but not yet in a checkpoint. */
  #replaced: WalFile[] = [];
  #writer = 1;
  #reorganisedThrough = 0;
  #replayFrom = 1;

  constructor(core: EngineCore) {
    this.#core = core;
  }

  start(found: Recovered): void {
    this.#writer = found.writer;
    this.#reorganisedThrough = found.reorganisedThrough;
    this.#replayFrom = found.replayFrom;
    this.segments = found.segments;
    this.#count();
  }

  get segmentBytes(): number {
    let bytes = 0;
    for (const segment of this.segments) bytes += segment.fileBytes;
    return bytes;
  }

  /** What a log has in segments; an estimate where a run is partly trimmed. */
  segmentStat(log: Shard): { bytes: number; batches: number } {
    let [bytes, batches] = [0, 0];
    for (const segment of log.segments) {
      const run = segment.runOf(log.id);
      const all = runBodyBytes(segment.directory, run);
      const rows = runRowCount(segment.directory, run);
      const share = segment.liveBytes(run, log.startOffset) / (all + rows * ROW_BYTES);
      bytes += Math.round(all * share);
      batches += Math.ceil(rows * share);
    }
    return { bytes, batches };
  }

  onCheckpoint(save: () => Promise<void>): void {
    this.#saves.push(save);
  }

  /** There may be something to do: a file is full, or space is short. */
  kick(): void {
    if (this.#working || this.#stopped) return;
    this.#working = true;
    void this.#run(() => this.#work()).catch(() => {});
  }

  /** The start of a log moved: lets go of its dead runs, and looks for dead segments soon. */
  trimmed(log: Shard): void {
    let dead = 0;
    const { segments } = log;
    while (dead < segments.length && segments[dead]!.endOf(log.id) <= log.startOffset) dead++;
    const touched = segments.slice(0, dead + 1);
    if (dead > 0) log.segments = segments.slice(dead);
    this.#changed(touched);
  }

  removed(log: Shard): void {
    this.#changed(log.segments);
  }

  /** Writes a checkpoint after what runs now. */
  async checkpoint(): Promise<void> {
    try {
      await this.#run(() => this.#checkpoint());
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (isDiskFull(error)) throw new BrokerError('storage-full', '', {}, error);
      this.#core.committer.fail(error);
      throw this.#core.committer.failure;
    }
  }

  /** Ends the background work and lets the state owners save theirs; appends are still taken. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#sweepTimer?.cancel();
    this.#retryTimer?.cancel();
    return this.#run(() => this.#saveOwners());
  }

  /** The last checkpoint, and the mark of a stop in order. */
  async saveFinal(): Promise<void> {
    const { files, directory } = this.#core.options;
    await this.#save();
    await markClean(files, directory, this.#core.committer.committedSequence);
  }

  #run(job: () => Promise<void>): Promise<void> {
    const done = this.#chain.then(job);
    this.#chain = done.catch(() => {});
    return done;
  }

  async #work(): Promise<void> {
    try {
      while (!this.#stopped && this.#core.committer.failure === null) {
        if (!(await this.#step())) break;
      }
    } catch (error) {
      this.#workFailed(error);
    } finally {
      this.#working = false;
    }
  }

  /** Does the most urgent thing; false when there is nothing to do. */
  async #step(): Promise<boolean> {
    const { wal } = this.#core;
    const oldest = wal.finished.find((file) => !this.#replaced.includes(file));
    const waiting = wal.finished.length - this.#replaced.length;
    if (oldest !== undefined && (waiting > FINISHED_KEPT || wal.full)) {
      this.#replace(oldest, await reorganise(this.#core, oldest));
      this.#sweepDue = true;
    }
    if (this.#replaced.length > 0) {
      await this.#checkpoint();
      for (const file of this.#replaced.splice(0)) wal.recycle(file);
      this.#core.committer.offerRoom();
      return true;
    }
    if (!this.#sweepDue) return false;
    this.#sweepDue = false;
    await this.#dropDead();
    await this.#rewriteOne();
    return true;
  }

  #workFailed(error: unknown): void {
    const { options, committer, limits } = this.#core;
    if (error instanceof BrokerError) {
      options.log.error('reorganisation stopped', { error: error.message });
    } else if (isDiskFull(error)) {
      options.log.warn('reorganisation waits for space', { error: String(error) });
    } else {
      committer.fail(error);
      return;
    }
    this.#retryTimer?.cancel();
    if (this.#stopped) return;
    this.#retryTimer = options.timers.after(limits.fullRetryMsMax, () => {
      this.#sweepDue = true;
      this.kick();
    });
  }

  /** From here on readers find the batches of a write-ahead file in its segment. */
  #replace(wal: WalFile, segment: Segment): void {
    this.segments.push(segment);
    for (let run = 0; run < segment.runCount; run++) {
      const log = this.#core.logs.get(runLog(segment.directory, run));
      if (log === undefined) continue;
      log.dropPlaces(wal.endRow);
      if (isAlive(segment, run, log)) log.addSegment(segment);
    }
    this.#core.rows.forget(wal.endRow);
    this.#reorganisedThrough = wal.generation;
    this.#replayFrom = wal.lastSequence + 1;
    this.#replaced.push(wal);
    this.#count();
  }

  /** Removes segments in which nothing is alive. */
  async #dropDead(): Promise<void> {
    const dead: Segment[] = [];
    for (const segment of this.segments) {
      if ((await this.#liveOf(segment)) === 0) dead.push(segment);
    }
    if (dead.length > 0) await this.#retire(dead);
  }

  async #rewriteOne(): Promise<void> {
    const live: number[] = [];
    for (const segment of this.segments) live.push(await this.#liveOf(segment));
    const sources = planRewrite(this.#core, this.segments, live);
    if (sources === null) return;
    const result = await rewrite(this.#core, this.#core.store, sources);
    this.segments.splice(this.segments.indexOf(sources[0]!), 0, result);
    for (const source of sources) this.#putInstead(source, result);
    // Counted as it is: only a later trim makes it worth another look.
    this.#live.set(result, result.contentBytes);
    this.#sweepDue = true;
    await this.#retire(sources);
  }

  /** Logs that read `source` read `result` from now on. */
  #putInstead(source: Segment, result: Segment): void {
    for (let run = 0; run < source.runCount; run++) {
      const log = this.#core.logs.get(runLog(source.directory, run));
      const at = log?.segments.indexOf(source) ?? -1;
      if (log === undefined || at < 0) continue;
      const into = result.runOf(log.id);
      const wanted =
        into >= 0 && isAlive(result, into, log) && !log.segments.includes(result) ? [result] : [];
      log.segments = log.segments.toSpliced(at, 1, ...wanted);
    }
  }

  /** Makes it durable that these segments are not needed, then removes them. */
  async #retire(segments: readonly Segment[]): Promise<void> {
    const { store, wal } = this.#core;
    this.segments = this.segments.filter((segment) => !segments.includes(segment));
    await this.#save();
    for (const segment of segments) this.#live.delete(segment);
    await store.remove(segments);
    this.#count();
    // Space came back.
    if (wal.full) wal.kick();
  }

  async #liveOf(segment: Segment): Promise<number> {
    let live = this.#live.get(segment);
    if (live === undefined) {
      live = liveBytes(this.#core, segment);
      this.#live.set(segment, live);
      // A look at a hundred thousand runs takes a while: others come first.
      await new Promise<void>((resolve) => this.#core.options.timers.soon(resolve));
    }
    return live;
  }

  #changed(segments: readonly Segment[]): void {
    for (const segment of segments) this.#live.delete(segment);
    if (segments.length === 0 || this.#stopped) return;
    const { options, limits } = this.#core;
    this.#sweepTimer ??= options.timers.after(limits.sweepDelayMs, () => {
      this.#sweepTimer = null;
      this.#sweepDue = true;
      this.kick();
    });
  }

  async #checkpoint(): Promise<void> {
    await this.#saveOwners();
    await this.#save();
  }

  async #saveOwners(): Promise<void> {
    if (this.#core.committer.failure !== null) return;
    for (const save of this.#saves) await save();
  }

  async #save(): Promise<void> {
    const { options, committer, instruments } = this.#core;
    if (committer.failure !== null) throw committer.failure;
    const checkpoint = captureCheckpoint(this.#core, {
      writer: this.#writer,
      reorganisedThrough: this.#reorganisedThrough,
      replayFrom: this.#replayFrom,
      segments: this.segments.map(({ name }) => name),
    });
    await saveCheckpoint(options.files, options.directory, checkpoint);
    instruments.checkpoints.add();
  }

  #count(): void {
    this.#core.instruments.segmentBytes.set(this.segmentBytes);
    this.#core.instruments.walBytes.set(this.#core.wal.bytes);
  }
}

function isAlive(segment: Segment, run: number, log: Shard): boolean {
  return (
    runRowCount(segment.directory, run) > 0 && runEnd(segment.directory, run) > log.startOffset
  );
}
