/**
 * Level one of reorganisation: a full write-ahead file, in which the logs are mixed, becomes
 * segments, in which each log lies in one piece. What was trimmed meanwhile is left out. Logs that
 * lie in long stretches already may stay where they are (`adopt.ts`).
 *
 * The file is read front to back, in as many passes as it takes to hold only a part of the bodies
 * in memory; fetching the batches of each log one by one would cost a system call for each.
 */

import {
  attributesOf,
  baseOf,
  bodyBytesOf,
  CONTROL,
  endOf,
  isIntact,
  KIND,
  kindOf,
  logOf,
} from '../commit/row-codec.ts';
import type { WalFile } from '../commit/wal-file.ts';
import type { EngineCore } from '../engine.ts';
import { isSystemError } from '../files/files.ts';
import { isOwn, type JobWriter } from '../segments/job-writer.ts';
import { LANE } from '../segments/segment-codec.ts';
import type { SegmentWriter } from '../segments/segment-writer.ts';
import { sortInPieces, Turns } from '../turns.ts';
import { adoptionOf, chooseAdopted, type LogRows } from './adopt.ts';

/** Bodies that are held at a time. */
const PASS_BYTES = 16 * 2 ** 20;
/** Bytes that are read at a time, and a gap that is cheaper to read over than to skip. */
const READ_BYTES = 2 ** 18;
const GAP_BYTES_MAX = 16_384;
/** What reading a byte costs, compared with writing it. */
const READ_SHARE = 1 / 4;
/** Rows that are looked at without letting others in. */
const TURN_ROWS = 512;

export interface Reorganised {
  /** The logs that the file mentions. */
  readonly logs: Float64Array;
  /** True when the file itself becomes a segment, as the last part of the job. */
  readonly adopted: boolean;
}

export function reorganise(core: EngineCore, wal: WalFile, job: JobWriter): Promise<Reorganised> {
  return new LevelOne(core, wal, job).run();
}

class LevelOne {
  readonly #core: EngineCore;
  readonly #wal: WalFile;
  readonly #job: JobWriter;
  readonly #turns: Turns;
  readonly #logs = new Map<number, LogRows>();
  /** Place of each row of the file in the output order, -1 when it is left out. */
  readonly #places: Int32Array;
  /** Bodies of the rows of this pass, by their place; null when a body is damaged. */
  #bodies: (Buffer | null)[] = [];
  /** Where they lie side by side: thousands of buffers of their own would be work to collect. */
  #arena: Buffer = Buffer.alloc(0);
  /** Where the body of each place begins in the arena. */
  #starts: number[] = [];
  /** What was read last. */
  #window: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #passFirst = 0;
  #passEnd = 0;

  constructor(core: EngineCore, wal: WalFile, job: JobWriter) {
    this.#core = core;
    this.#wal = wal;
    this.#job = job;
    this.#turns = new Turns(core.options.timers, TURN_ROWS);
    this.#places = new Int32Array(wal.endRow - wal.firstRow).fill(-1);
  }

  async run(): Promise<Reorganised> {
    await this.#plan();
    const logs = await sortInPieces(Float64Array.from(this.#logs.keys()), this.#turns);
    const stay = await chooseAdopted(this.#core, this.#wal, this.#logs, this.#turns);
    const copied = logs.filter((id) => !stay.has(id));
    const order: number[] = [];
    for (const id of copied) {
      for (const row of this.#logs.get(id)!.rows) {
        this.#places[row - this.#wal.firstRow] = order.length;
        order.push(row);
        if (this.#turns.over()) await this.#turns.next();
      }
    }
    let place = 0;
    for (const id of copied) place = await this.#copy(id, order, place);
    if (stay.size === 0) return { logs, adopted: false };
    await this.#adopt(logs.filter((id) => stay.has(id)));
    return { logs, adopted: true };
  }

  /** Writes the index of the logs that stay where they are. */
  async #adopt(ids: Float64Array): Promise<void> {
    const { rows, logs } = this.#core;
    const writer = this.#job.adopt((id) => adoptionOf(this.#core, this.#wal, id));
    for (const id of ids) {
      for (const row of this.#logs.get(id)!.rows) {
        writer.refer(rows.rowsOf(row), rows.at(row), rows.position(row));
        if (this.#turns.over()) await this.#turns.next();
      }
      const log = logs.get(id);
      await writer.endRun(id, log?.startOffset ?? 0, log === undefined);
    }
  }

  /** For each log that the file mentions, its live rows. */
  async #plan(): Promise<void> {
    const { rows, logs } = this.#core;
    for (let row = this.#wal.firstRow; row < this.#wal.endRow; row++) {
      if (this.#turns.over()) await this.#turns.next();
      const [bytes, at] = [rows.rowsOf(row), rows.at(row)];
      const id = logOf(bytes, at);
      const isControl = kindOf(bytes, at) === KIND.control;
      // Trims and removals leave a mark even when the file holds no batch of the log.
      if (isControl && attributesOf(bytes, at) === CONTROL.head) continue;
      let known = this.#logs.get(id);
      if (known === undefined) {
        known = { rows: [], bytes: 0 };
        this.#logs.set(id, known);
      }
      if (isControl) continue;
      const log = logs.get(id);
      if (log === undefined || endOf(bytes, at) <= log.startOffset) continue;
      // Of two batches that claim the same offsets (damage) the first one counts.
      const last = known.rows.at(-1);
      if (last !== undefined && rows.end(last) > baseOf(bytes, at)) continue;
      known.rows.push(row);
      known.bytes += bodyBytesOf(bytes, at);
    }
  }

  /** Writes the run of one log; returns the place after it. */
  async #copy(id: number, order: readonly number[], place: number): Promise<number> {
    const { logs, limits } = this.#core;
    const { rows, bytes } = this.#logs.get(id)!;
    const log = logs.get(id);
    const remote = log?.upkeep.remote ?? false;
    const where = { log: id, remote, bytes, long: isOwn(limits, bytes), layer: 0 };
    let writer = await this.#job.at(where);
    for (let index = 0; index < rows.length; index++, place++) {
      if (this.#job.mustCut(writer)) {
        await writer.endRun(id, log?.startOffset ?? 0, log === undefined);
        writer = await this.#job.at(where);
      }
      if (place >= this.#passEnd) await this.#pass(order, place);
      await this.#add(writer, rows[index]!, place);
    }
    await writer.endRun(id, log?.startOffset ?? 0, this.#core.logs.get(id) === undefined);
    if (this.#turns.over(8)) await this.#turns.next();
    return place;
  }

  async #add(writer: SegmentWriter, row: number, place: number): Promise<void> {
    const { rows } = this.#core;
    const index = place - this.#passFirst;
    const written = writer.add(rows.rowsOf(row), rows.at(row), this.#bodies[index] ?? null);
    this.#bodies[index] = null;
    if (written !== undefined) await written;
    if (this.#turns.over()) await this.#turns.next();
  }

  /** Fetches the bodies of as many places as one pass may hold. */
  async #pass(order: readonly number[], first: number): Promise<void> {
    const { rows } = this.#core;
    let [end, bytes] = [first, 0];
    this.#starts = [];
    while (end < order.length && (end === first || bytes < PASS_BYTES)) {
      this.#starts.push(bytes);
      bytes += rows.bodyBytes(order[end++]!);
      if (this.#turns.over()) await this.#turns.next();
    }
    this.#passFirst = first;
    this.#passEnd = end;
    this.#bodies = new Array<Buffer | null>(end - first).fill(null);
    // What a writer has not written yet may lie in the last one, so each pass has its own.
    this.#arena = Buffer.allocUnsafeSlow(bytes);
    let group: number[] = [];
    for (let row = this.#wal.firstRow; row < this.#wal.endRow; row++) {
      const place = this.#places[row - this.#wal.firstRow]!;
      if (this.#turns.over()) await this.#turns.next();
      if (place < first || place >= end) continue;
      if (group.length > 0 && this.#isApart(group, row)) {
        await this.#fetch(group);
        group = [];
      }
      group.push(row);
    }
    if (group.length > 0) await this.#fetch(group);
  }

  #isApart(group: readonly number[], row: number): boolean {
    const { rows } = this.#core;
    const last = group.at(-1)!;
    const gap = rows.position(row) - rows.position(last) - rows.bodyBytes(last);
    const all = rows.position(row) + rows.bodyBytes(row) - rows.position(group[0]!);
    return gap < 0 || gap > GAP_BYTES_MAX || all > READ_BYTES;
  }

  /** Reads bodies that lie close together, and checks each. */
  async #fetch(group: readonly number[]): Promise<void> {
    const { rows, pacer } = this.#core;
    const start = rows.position(group[0]!);
    const last = group.at(-1)!;
    const length = rows.position(last) + rows.bodyBytes(last) - start;
    const bytes = await this.#read(start, length);
    for (const row of group) {
      const from = rows.position(row) - start;
      const place = this.#places[row - this.#wal.firstRow]! - this.#passFirst;
      const at = this.#starts[place]!;
      const body = this.#arena.subarray(at, at + rows.bodyBytes(row));
      const isThere = from + body.length <= bytes.length;
      if (isThere) bytes.copy(body, 0, from, from + body.length);
      if (isThere && isIntact(rows.rowsOf(row), rows.at(row), body)) {
        this.#bodies[place] = body;
      } else {
        this.#damaged(row);
      }
      if (this.#turns.over()) await this.#turns.next();
    }
    await pacer.pass(length * READ_SHARE, LANE.levelOne);
  }

  /** A place that the disk cannot read counts as damaged: other places may be fine. */
  async #read(from: number, length: number): Promise<Buffer> {
    if (length > this.#window.length) this.#window = Buffer.allocUnsafeSlow(length);
    const target = this.#window.subarray(0, length);
    try {
      return target.subarray(0, await this.#wal.file.read(target, from));
    } catch (error) {
      if (!isSystemError(error) || error.code !== 'EIO') throw error;
      return Buffer.alloc(0);
    }
  }

  #damaged(row: number): void {
    const { rows, damage } = this.#core;
    const [bytes, at] = [rows.rowsOf(row), rows.at(row)];
    const range = { logId: logOf(bytes, at), from: baseOf(bytes, at), to: endOf(bytes, at) };
    damage.report({ ...range, file: this.#wal.path, reason: 'checksum' });
  }
}
