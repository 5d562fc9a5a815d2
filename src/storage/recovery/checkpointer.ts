/**
 * Writes checkpoints, one at a time, in pieces with other work in between; and lets go of what they
 * make superfluous. The order that keeps a crash harmless: first the new segments are durable, then
 * both checkpoint copies that name them, and only then what they replace is removed or recycled.
 * A checkpoint takes its positions when it begins, so it lets go only of what was replaced before.
 */
import { BrokerError } from '#kit';
import type { WalFile } from '../commit/wal-file.ts';
import type { EngineCore } from '../engine.ts';
import { isDiskFull, isSystemError } from '../files/files.ts';
import type { Ledger } from '../reorganise/ledger.ts';
import type { Segment } from '../segments/segment.ts';
import { LANE } from '../segments/segment-codec.ts';
import { Turns } from '../turns.ts';
import { captureParts } from './capture.ts';
import { encodeCheckpoint, encodePart } from './checkpoint-codec.ts';
import { markClean, saveCheckpoint } from './checkpoint-files.ts';

/** Checkpoints are written as fast as level 1. */
const CHECKPOINT_LANE = LANE.levelOne;

/** Bytes that are summed up in one stretch. */
const SUM_BYTES = 2 ** 20;

export class Checkpointer {
  /** Segments and write-ahead files that the next checkpoint makes superfluous. */
  #retired: Segment[] = [];
  #replaced: WalFile[] = [];
  readonly #core: EngineCore;
  readonly #ledger: Ledger;
  readonly #saves: (() => Promise<void>)[] = [];
  #chain: Promise<void> = Promise.resolve();
  /** Size of the last one. */
  #bytes = 0;

  constructor(core: EngineCore, ledger: Ledger) {
    this.#core = core;
    this.#ledger = ledger;
  }

  onCheckpoint(save: () => Promise<void>): void {
    this.#saves.push(save);
  }

  /** These segments are not needed after the next checkpoint. */
  retire(segments: readonly Segment[]): void {
    this.#retired.push(...segments);
  }

  /** This file may be written over after the next checkpoint. */
  replace(file: WalFile): void {
    this.#replaced.push(file);
  }

  isReplaced(file: WalFile): boolean {
    return this.#replaced.includes(file);
  }

  /** True when so much waits to be let go of that a checkpoint is worth its own writing. */
  get isWorthwhile(): boolean {
    let bytes = 0;
    for (const { fileBytes } of this.#retired) bytes += fileBytes;
    return bytes > this.#bytes * 16;
  }

  get retiredCount(): number {
    return this.#retired.length;
  }

  /** State owners save theirs, then heads and positions are written. */
  async checkpoint(): Promise<void> {
    try {
      await this.saveOwners();
      await this.save();
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (isDiskFull(error)) throw new BrokerError('storage-full', '', {}, error);
      this.#core.committer.fail(error);
      throw this.#core.committer.failure;
    }
  }

  async saveOwners(): Promise<void> {
    if (this.#core.committer.failure !== null) return;
    for (const save of this.#saves) await save();
  }

  /** Writes a checkpoint after those that are asked for already. */
  save(): Promise<void> {
    const done = this.#chain.then(() => this.#save());
    this.#chain = done.catch(() => {});
    return done;
  }

  /** The last checkpoint, and the mark of a stop in order. */
  async saveFinal(): Promise<void> {
    const { files, directory } = this.#core.options;
    await this.save();
    await markClean(files, directory, this.#core.committer.committedSequence);
  }

  async #save(): Promise<void> {
    const { options, committer, instruments, runs } = this.#core;
    if (committer.failure !== null) throw committer.failure;
    const [retired, replaced] = [[...this.#retired], [...this.#replaced]];
    const start = {
      ...this.#ledger.positions,
      sequence: committer.committedSequence,
      timeMs: options.clock.nowMs(),
      segments: runs.segments.map(({ id, remote }) => ({ id, remote })),
    };
    const parts: Buffer[] = [];
    const turns = new Turns(options.timers, 1);
    for (const part of captureParts(this.#core)) {
      parts.push(encodePart(part));
      await turns.next();
    }
    const known = committer.committedSequence;
    const sums = new Turns(options.timers, SUM_BYTES);
    const chunks = await encodeCheckpoint({ ...start, known }, parts, sums);
    this.#bytes = 2 * chunks.reduce((sum, { length }) => sum + length, 0);
    await saveCheckpoint(options.files, options.directory, chunks, (bytes) =>
      this.#core.pacer.pass(bytes, CHECKPOINT_LANE),
    );
    instruments.checkpoints.add();
    await this.#letGo(retired, replaced);
  }

  async #letGo(retired: readonly Segment[], replaced: readonly WalFile[]): Promise<void> {
    const { wal, store, committer, pacer } = this.#core;
    this.#replaced = this.#replaced.filter((file) => !replaced.includes(file));
    for (const file of replaced) wal.recycle(file);
    if (replaced.length > 0) {
      committer.offerRoom();
      pacer.backlogChanged();
    }
    this.#retired = this.#retired.filter((segment) => !retired.includes(segment));
    await store.remove(retired);
    // Space came back.
    if (wal.full && retired.length > 0) wal.kick();
  }
}
