/**
 * What happens behind the appends, one thing at a time: checkpoints, and turning full write-ahead
 * files into segments. Throttled by nothing but its own order: it never runs twice at once.
 */
import type { Checkpoint, ProducerSnapshot, SegmentName } from './checkpoint-codec.ts';
import { markClean, saveCheckpoint } from './checkpoint-files.ts';
import type { EngineCore } from './engine.ts';
import type { Recovered } from './recovery.ts';
import type { Shard } from './shard.ts';

export class Housekeeping {
  readonly #core: EngineCore;
  readonly #saves: (() => Promise<void>)[] = [];
  /** The jobs, one after the other. */
  #chain: Promise<void> = Promise.resolve();
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
  }

  get segmentBytes(): number {
    return 0;
  }

  segmentStat(_log: Shard): { bytes: number; batches: number } {
    return { bytes: 0, batches: 0 };
  }

  onCheckpoint(save: () => Promise<void>): void {
    this.#saves.push(save);
  }

  walFinished(): void {}

  trimmed(_log: Shard): void {}

  removed(_log: Shard): void {}

  /** Writes a checkpoint after what runs now. */
  checkpoint(): Promise<void> {
    return this.#run(async () => {
      for (const save of this.#saves) await save();
      await this.#save();
    });
  }

  /** Lets the state owners save theirs; the engine still takes appends. */
  stop(): Promise<void> {
    return this.#run(async () => {
      if (this.#core.committer.failure !== null) return;
      for (const save of this.#saves) await save();
    });
  }

  /** The last checkpoint, and the mark of a stop in order. */
  async saveFinal(): Promise<void> {
    const { files, directory } = this.#core.options;
    await this.#save();
    await markClean(files, directory, this.#core.committer.sequence - 1);
  }

  async closeFiles(): Promise<void> {}

  #run(job: () => Promise<void>): Promise<void> {
    const done = this.#chain.then(job);
    this.#chain = done.catch(() => {});
    return done;
  }

  async #save(): Promise<void> {
    const { files, directory } = this.#core.options;
    const checkpoint = this.#capture();
    await saveCheckpoint(files, directory, checkpoint);
    this.#core.instruments.checkpoints.add();
  }

  /** The state of this moment, as far as it is committed. */
  #capture(): Checkpoint {
    const { logs, committer, options, limits } = this.#core;
    const nowMs = options.clock.nowMs();
    const uncommitted = committer.uncommitted();
    const heads = new Float64Array(logs.size * 3);
    const producers: ProducerSnapshot[] = [];
    let at = 0;
    for (const log of logs.values()) {
      if (log.endOffset === 0 || log.durability === 'memory') continue;
      const end = uncommitted.get(log) ?? log.endOffset;
      heads[at++] = log.id;
      heads[at++] = log.startOffset;
      heads[at++] = end;
      log.idempotence?.expire(nowMs - limits.producerExpiryMs);
      snapshotProducers(log, end, producers);
    }
    const segments: SegmentName[] = [];
    return {
      sequence: committer.committedSequence,
      writer: this.#writer,
      timeMs: nowMs,
      reorganisedThrough: this.#reorganisedThrough,
      replayFrom: this.#replayFrom,
      logs: heads.subarray(0, at),
      segments,
      producers,
    };
  }
}

/** The producers of a log, without batches that are not committed. */
function snapshotProducers(log: Shard, end: number, into: ProducerSnapshot[]): void {
  if (log.idempotence === null) return;
  for (const [id, { epoch, lastTimeMs, batches }] of log.idempotence.byId) {
    const committed = batches.filter((batch) => batch.baseOffset < end);
    into.push({ log: log.id, id, epoch, lastTimeMs, batches: committed });
  }
}
