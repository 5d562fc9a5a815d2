/**
 * Level two: segments become fewer, with longer runs, without what was trimmed or removed. All
 * sources are read front to back at the same time, log by log. Offsets never change; a batch that
 * is found damaged is reported and keeps its place without its body.
 */

import { ROW_BYTES } from '../commit/row-codec.ts';
import type { EngineCore } from '../engine.ts';
import { isLong, isOwn, type JobWriter, type RunPlace } from '../segments/job-writer.ts';
import { pieces } from '../segments/pieces.ts';
import { ReadAhead } from '../segments/read-ahead.ts';
import { bytesOf, deadBytesOf, type LogRun, type Segment } from '../segments/segment.ts';
import { Turns } from '../turns.ts';

/** Logs that are looked at without letting others in. */
const TURN_LOGS = 128;
/** Bytes of bodies and rows that are copied at a time. */
const COPY_BYTES = 2 ** 18;

/** All that the sources have of one log. */
interface Sources {
  readonly log: number;
  readonly runs: LogRun[];
}

export async function merge(
  core: EngineCore,
  sources: readonly Segment[],
  job: JobWriter,
): Promise<void> {
  const work = new Merge(core, sources, job);
  await work.run();
}

class Merge {
  readonly #core: EngineCore;
  readonly #sources: readonly Segment[];
  readonly #own: ReadonlySet<Segment>;
  readonly #job: JobWriter;
  readonly #turns: Turns;
  readonly #ahead: ReadAhead;
  /** Long runs are taken out of the merges, when there is enough of them for a segment. */
  #takesLong = false;

  constructor(core: EngineCore, sources: readonly Segment[], job: JobWriter) {
    this.#core = core;
    this.#sources = sources;
    this.#own = new Set(sources);
    this.#job = job;
    this.#turns = new Turns(core.options.timers, TURN_LOGS);
    this.#ahead = new ReadAhead(core.store);
  }

  async run(): Promise<void> {
    let longBytes = 0;
    for await (const { log, runs } of this.#logs()) {
      const bytes = this.#liveBytes(log, runs);
      if (this.#isLong(bytes)) longBytes += bytes;
    }
    this.#takesLong = this.#job.plan.level === 0 || isOwn(this.#core.limits, longBytes);
    for await (const { log, runs } of this.#logs()) await this.#one(log, runs);
  }

  #isLong(bytes: number): boolean {
    return isLong(this.#core.limits, bytes);
  }

  #liveBytes(id: number, runs: readonly LogRun[]): number {
    const log = this.#core.logs.get(id);
    let bytes = 0;
    if (log === undefined) return bytes;
    for (const run of runs) {
      bytes += bytesOf(run) - deadBytesOf(run, log.startOffset);
    }
    return bytes;
  }

  async #one(id: number, found: readonly LogRun[]): Promise<void> {
    const log = this.#core.logs.get(id);
    const live = await this.#liveRuns(id, found);
    if (log === undefined || live.length === 0) return this.#mark(id, found);
    const bytes = this.#liveBytes(id, live);
    const isRemote =
      log.upkeep.remote || (!log.opened && live.some(({ segment }) => segment.remote));
    const long = this.#takesLong && (this.#job.plan.level === 0 || this.#isLong(bytes));
    let layer = 0;
    for (let first = 0; first < live.length; layer++) {
      let last = first;
      while (last + 1 < live.length && live[last + 1]!.firstOffset === live[last]!.endOffset)
        last++;
      const place = { log: id, remote: isRemote, bytes, long, layer };
      await this.#copy(live.slice(first, last + 1), place);
      first = last + 1;
    }
  }

  /** Those runs of which batches are copied, in offset order. */
  async #liveRuns(id: number, found: readonly LogRun[]): Promise<LogRun[]> {
    const log = this.#core.logs.get(id);
    if (log === undefined) return [];
    const live = found.filter((run) => run.rowCount > 0 && run.endOffset > log.startOffset);
    live.sort((a, b) => a.firstOffset - b.firstOffset);
    if (live.length === 0 || !this.#core.runs.mayBeShadowed(id)) return live;
    const standing = await this.#core.runs.of(id);
    return live.filter((run) => standing.some(({ segment }) => segment === run.segment));
  }

  async #copy(runs: readonly LogRun[], place: RunPlace): Promise<void> {
    const start = this.#core.logs.get(place.log)?.startOffset ?? 0;
    const from = { store: this.#ahead, damage: this.#core.damage };
    let writer = await this.#job.at(place);
    for (const run of runs) {
      for await (const piece of pieces(from, run, start, Number.POSITIVE_INFINITY, COPY_BYTES)) {
        for (const [index, body] of piece.bodies.entries()) {
          if (this.#job.mustCut(writer)) {
            await writer.endRun(place.log, start, false);
            writer = await this.#job.at(place);
          }
          const written = writer.add(piece.rows, index * ROW_BYTES, body);
          if (written !== undefined) await written;
          if (this.#turns.over()) await this.#turns.next();
        }
      }
    }
    if (writer.runHasBatches) await writer.endRun(place.log, start, false);
  }

  /**
   * A log without batches in here: where it starts and ends, or that it was removed, must stay
   * known to a start without a checkpoint, unless what is newer says it.
   */
  async #mark(id: number, found: readonly LogRun[]): Promise<void> {
    const log = this.#core.logs.get(id);
    if (log === undefined) {
      if (!found.some(({ removed }) => removed)) return;
      if (!(await this.#core.runs.isElsewhere(id, this.#own))) return;
    } else if (log.highWatermark > Math.max(...found.map(({ endOffset }) => endOffset))) {
      return;
    }
    const remote = found.some(({ segment }) => segment.remote);
    const writer = await this.#job.at({ log: id, remote, bytes: 0, long: false, layer: 0 });
    await writer.endRun(id, log?.startOffset ?? 0, log === undefined);
  }

  /** The logs of all sources, ascending, each with all its runs in them. */
  async *#logs(): AsyncGenerator<Sources> {
    const cursors: Cursor[] = [];
    for (const segment of this.#sources) {
      const cursor = new Cursor(this.#core.store.directory.all(segment));
      if (await cursor.next()) cursors.push(cursor);
    }
    while (cursors.length > 0) {
      let log = Number.POSITIVE_INFINITY;
      for (const { run } of cursors) log = Math.min(log, run.log);
      const runs: LogRun[] = [];
      for (let index = cursors.length - 1; index >= 0; index--) {
        const cursor = cursors[index]!;
        if (cursor.run.log !== log) continue;
        runs.push(cursor.run);
        if (!cursor.step() && !(await cursor.next())) cursors.splice(index, 1);
      }
      yield { log, runs };
      if (this.#turns.over()) await this.#turns.next();
    }
  }
}

/** Steps through the directory of one source. */
class Cursor {
  readonly #pages: AsyncGenerator<LogRun[]>;
  #runs: readonly LogRun[] = [];
  #at = 0;

  constructor(pages: AsyncGenerator<LogRun[]>) {
    this.#pages = pages;
  }

  get run(): LogRun {
    return this.#runs[this.#at]!;
  }

  /** To the next run that is in memory; false when there is none. */
  step(): boolean {
    return ++this.#at < this.#runs.length;
  }

  /** To the first run of the next page; false at the end. */
  async next(): Promise<boolean> {
    for (;;) {
      const { value, done } = await this.#pages.next();
      if (done === true) return false;
      this.#runs = value;
      this.#at = 0;
      if (value.length > 0) return true;
    }
  }
}
