/**
 * Key compaction of one log (Kafka's log cleaner): of the records with a key only the last one
 * stays. Looks at what is reorganised, from the start of the log to its head, which stays as it is.
 *
 * First the keys of the batches that no compaction has seen yet go into a table of bounded size;
 * what does not fit waits for the next time. Then all batches before are copied without the records
 * that a later one of the same key replaced. A batch keeps its offsets, whatever is left of it; one
 * of which nothing is left becomes a hole. So nothing moves, and the last batch always stays: a
 * hole is always followed by something to read.
 *
 * When a log is due is decided in `compaction-plan.ts`.
 */
import { BrokerError, ProtocolError, type Random } from '#kit';
import {
  appendTimeOf,
  baseOf,
  compactRow,
  countOf,
  endOf,
  horizonOf,
  isCompacted,
  isHole,
  joinHoles,
  markHole,
  ROW_BYTES,
  readBatch,
} from '../commit/row-codec.ts';
import type { EngineCore } from '../engine.ts';
import type { Compaction, KeyedRecords, StoredBatch } from '../log-engine.ts';
import { type Piece, pieces } from '../segments/pieces.ts';
import type { LogRun } from '../segments/segment.ts';
import type { Shard } from '../shard.ts';
import { Turns } from '../turns.ts';
import { KeyOffsets } from './key-offsets.ts';

/** Bodies that are held at a time. */
const PIECE_BYTES = 2 ** 18;
/** Records that are looked at without letting others in. */
const TURN_RECORDS = 256;
const NO_BODY = Buffer.alloc(0);
/** The latest that a row can say: in the year 2106. */
const HORIZON_MAX = 0xffff_ffff;

/** Takes the batches of the log in offset order; copies the row before it returns. */
export type AddBatch = (rows: Buffer, at: number, body: Buffer | null) => Promise<void> | undefined;

/** Called with the bytes that were read; waits as long as the disk shall rest. */
export type Pace = (bytes: number) => Promise<void>;

export interface CompactionResult {
  /** False when there was nothing to do: then nothing was added. */
  readonly changed: boolean;
  /** When there will be more to do although nothing is appended; Infinity when there will not. */
  readonly againMs: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly recordsDropped: number;
}

const NOTHING_DONE: CompactionResult = {
  changed: false,
  againMs: Number.POSITIVE_INFINITY,
  bytesBefore: 0,
  bytesAfter: 0,
  recordsDropped: 0,
};

export type CompactionCore = Pick<EngineCore, 'store' | 'damage' | 'limits'> & {
  readonly options: Pick<EngineCore['options'], 'clock' | 'timers' | 'random' | 'log'>;
};

/**
 * Copies the runs of a log without the records that are replaced.
 * @param sources the first runs of the log, or all
 */
export async function compactLog(
  core: CompactionCore,
  log: Shard,
  sources: readonly LogRun[],
  add: AddBatch,
  pace: Pace,
): Promise<CompactionResult> {
  const { compaction } = log.upkeep;
  if (compaction === null) return NOTHING_DONE;
  const compactor = new Compactor(core, log, compaction, sources, add, pace);
  return compactor.run();
}

class Compactor {
  readonly #core: CompactionCore;
  readonly #log: Shard;
  readonly #compaction: Compaction;
  readonly #sources: readonly LogRun[];
  readonly #add: AddBatch;
  readonly #pace: Pace;
  readonly #nowMs: number;
  readonly #turns: Turns;
  readonly #turn = (): Promise<void> => this.#turns.next();
  /** First offset that was never compacted, and the first that stays as it is. */
  #dirtyFrom = -1;
  #end = -1;
  #dirtyRecords = 0;
  #againMs = Number.POSITIVE_INFINITY;
  #hasDueTombstones = false;
  /** A row to work on; the hole that grows. */
  readonly #row = Buffer.alloc(ROW_BYTES);
  readonly #hole = Buffer.alloc(ROW_BYTES);
  #holeOpen = false;
  #bytesBefore = 0;
  #bytesAfter = 0;
  #dropped = 0;

  constructor(
    core: CompactionCore,
    log: Shard,
    compaction: Compaction,
    sources: readonly LogRun[],
    add: AddBatch,
    pace: Pace,
  ) {
    this.#core = core;
    this.#log = log;
    this.#compaction = compaction;
    this.#sources = sources;
    this.#add = add;
    this.#pace = pace;
    this.#nowMs = core.options.clock.nowMs();
    this.#turns = new Turns(core.options.timers, TURN_RECORDS);
  }

  async run(): Promise<CompactionResult> {
    await this.#look();
    if (this.#dirtyRecords === 0 && !this.#hasDueTombstones) {
      return { ...NOTHING_DONE, againMs: this.#againMs };
    }
    const keys = this.#newKeys(this.#core.options.random);
    if (this.#dirtyRecords > 0) await this.#collect(keys);
    for (const source of this.#sources) await this.#copy(source, keys);
    await this.#closeHole();
    return {
      changed: true,
      againMs: this.#againMs,
      bytesBefore: this.#bytesBefore,
      bytesAfter: this.#bytesAfter,
      recordsDropped: this.#dropped,
    };
  }

  #newKeys(random: Random): KeyOffsets {
    const seed = Math.floor(random.next() * 2 ** 32);
    return new KeyOffsets(this.#dirtyRecords, this.#core.limits.compactionKeyBytes, seed);
  }

  /** Reads the rows: where the dirty part begins, and where the head that stays as it is. */
  async #look(): Promise<void> {
    const youngMs = this.#nowMs - this.#compaction.minLagMs;
    const nowSeconds = Math.floor(this.#nowMs / 1000);
    const { startOffset } = this.#log;
    let head = this.#compaction.neededFrom();
    let [last, youngest] = [0, -1];
    for (const source of this.#sources) {
      for await (const rows of this.#core.store.blocks(source)) {
        for (let at = 0; at < rows.length; at += ROW_BYTES) {
          const end = endOf(rows, at);
          if (end <= startOffset) continue;
          last = baseOf(rows, at);
          const horizon = horizonOf(rows, at);
          if (horizon > 0 && horizon <= nowSeconds && end <= head) this.#hasDueTombstones = true;
          if (isCompacted(rows, at)) continue;
          if (this.#dirtyFrom < 0) this.#dirtyFrom = last;
          const appendedMs = appendTimeOf(rows, at);
          if (appendedMs > youngMs && last < head) {
            head = last;
            youngest = appendedMs;
          }
          if (end <= head) this.#dirtyRecords += countOf(rows, at);
        }
      }
    }
    this.#end = Math.min(head, last);
    // The last batch waits for another one to come after it.
    if (youngest >= 0 && head < last) this.#againMs = youngest + this.#compaction.minLagMs;
    // The last batch was counted before it was known to be the last.
    if (this.#dirtyFrom >= this.#end) this.#dirtyRecords = 0;
  }

  /** Learns the last offset of each key, as far as the table goes. */
  async #collect(keys: KeyOffsets): Promise<void> {
    for (const source of this.#sources) {
      const [from, to] = [this.#dirtyFrom, this.#end];
      if (source.endOffset <= from || source.firstOffset >= to) continue;
      for await (const piece of pieces(...this.#span(source, from, to))) {
        await this.#rest(piece);
        for (const [index, body] of piece.bodies.entries()) {
          const at = index * ROW_BYTES;
          const base = baseOf(piece.rows, at);
          if (endOf(piece.rows, at) > to || isCompacted(piece.rows, at)) continue;
          if (countOf(piece.rows, at) > keys.room) {
            // A batch that fits into no table replaces nothing; it is left to be replaced itself.
            if (base === this.#dirtyFrom) continue;
            this.#end = base;
            this.#againMs = this.#nowMs;
            return;
          }
          if (body === null || body.length === 0) continue;
          await this.#learn(readBatch(piece.rows, at, body), keys);
        }
      }
    }
  }

  async #learn(batch: StoredBatch, keys: KeyOffsets): Promise<void> {
    const records = await this.#open(batch);
    while (records !== null && this.#step(batch, records)) {
      if (records.offset < this.#end) keys.put(records.key, records.offset);
      if (this.#turns.over()) await this.#turns.next();
    }
  }

  async #copy(source: LogRun, keys: KeyOffsets): Promise<void> {
    const from = this.#log.startOffset;
    for await (const piece of pieces(...this.#span(source, from, Number.POSITIVE_INFINITY))) {
      await this.#rest(piece);
      for (const [index, body] of piece.bodies.entries()) {
        const at = index * ROW_BYTES;
        this.#bytesBefore += body === null ? 0 : body.length;
        if (isHole(piece.rows, at)) await this.#addHole(piece.rows, at);
        else if (endOf(piece.rows, at) > this.#end) await this.#keep(piece.rows, at, body);
        else await this.#compact(piece, at, body, keys);
      }
    }
  }

  async #rest(piece: Piece): Promise<void> {
    await this.#pace(piece.bytes);
    await this.#turns.next();
  }

  #span(source: LogRun, from: number, to: number) {
    return [this.#core, source, from, to, PIECE_BYTES] as const;
  }

  async #compact(piece: Piece, at: number, body: Buffer | null, keys: KeyOffsets): Promise<void> {
    const { rows } = piece;
    let [records, tombstones]: [KeyedRecords | null, number] = [null, 0];
    if (body !== null) {
      const batch = readBatch(rows, at, body);
      records = await this.#open(batch);
      if (records !== null) {
        const sifted = await this.#sift(batch, records, keys, horizonOf(rows, at));
        tombstones = sifted.tombstones;
        if (sifted.dropped === 0) records = null;
        this.#dropped += sifted.dropped;
      }
    }
    const changed = records === null ? null : await records.result(this.#turn);
    if (records !== null && changed === null) return this.#addHole(rows, at);
    rows.copy(this.#row, 0, at, at + ROW_BYTES);
    compactRow(this.#row, 0, changed, tombstones > 0 ? this.#horizonAfter(rows, at) : 0);
    await this.#keep(this.#row, 0, changed ?? body);
  }

  /** When the tombstones of a batch may go: some time after they were first compacted over. */
  #horizonAfter(rows: Buffer, at: number): number {
    const known = horizonOf(rows, at);
    if (known > 0) return known;
    const seconds = Math.ceil((this.#nowMs + this.#compaction.tombstoneMs) / 1000);
    return Math.min(seconds, HORIZON_MAX);
  }

  /** Drops what a later record replaced, and tombstones that stood for long enough. */
  async #sift(batch: StoredBatch, records: KeyedRecords, keys: KeyOffsets, horizon: number) {
    const tombstonesGo = horizon > 0 && horizon <= this.#nowMs / 1000;
    let [dropped, tombstones] = [0, 0];
    for (;;) {
      const isThere = this.#step(batch, records);
      // Half a batch cannot be judged.
      if (isThere === null) return { dropped: 0, tombstones: 0 };
      if (!isThere) return { dropped, tombstones };
      const { offset, isTombstone } = records;
      if (keys.get(records.key) > offset || (isTombstone && tombstonesGo)) {
        records.drop();
        dropped++;
      } else if (isTombstone) {
        tombstones++;
      }
      if (this.#turns.over()) await this.#turns.next();
    }
  }

  async #keep(rows: Buffer, at: number, body: Buffer | null): Promise<void> {
    await this.#closeHole();
    this.#bytesAfter += body === null ? 0 : body.length;
    await this.#add(rows, at, body);
  }

  /** Of the batch at `at` nothing is left. */
  async #addHole(rows: Buffer, at: number): Promise<void> {
    rows.copy(this.#row, 0, at, at + ROW_BYTES);
    markHole(this.#row, 0, this.#isRemembered(readBatch(rows, at, NO_BODY)));
    if (this.#holeOpen && joinHoles(this.#hole, 0, this.#row, 0)) return;
    await this.#closeHole();
    this.#row.copy(this.#hole);
    this.#holeOpen = true;
  }

  async #closeHole(): Promise<void> {
    if (!this.#holeOpen) return;
    this.#holeOpen = false;
    await this.#add(this.#hole, 0, NO_BODY);
  }

  /** True when the sequences of this batch would still be recognised as a repeat. */
  #isRemembered({ producerId, baseOffset }: StoredBatch): boolean {
    const producer = this.#log.idempotence?.byId.get(producerId);
    return producer?.batches.some((batch) => batch.baseOffset === baseOffset) ?? false;
  }

  /** A batch that cannot be opened stays whole: readers may have other means. */
  async #open(batch: StoredBatch): Promise<KeyedRecords | null> {
    try {
      return await this.#compaction.open(batch, this.#turn);
    } catch (error) {
      this.#unreadable(batch, error);
      return null;
    }
  }

  #step(batch: StoredBatch, records: KeyedRecords): boolean | null {
    try {
      return records.next();
    } catch (error) {
      this.#unreadable(batch, error);
      return null;
    }
  }

  #unreadable(batch: StoredBatch, error: unknown): void {
    if (!(error instanceof ProtocolError || error instanceof BrokerError)) throw error;
    const [log, offset] = [this.#log.id, batch.baseOffset];
    this.#core.options.log.warn('a batch is not compacted', { log, offset, why: error.message });
  }
}
