/**
 * The read path: recent batches from memory, older ones from write-ahead files, the oldest from
 * segments. Serves only what is committed, and only what passes its checksum.
 */
import { BrokerError } from '#kit';
import type { Instruments } from '../commit/instruments.ts';
import { PLACES_PER_BLOCK } from '../commit/place-blocks.ts';
import type { RecentRows } from '../commit/recent-rows.ts';
import { maxTimeOf, ROW_BYTES } from '../commit/row-codec.ts';
import type { Wal } from '../commit/wal.ts';
import type { StoredBatch } from '../log-engine.ts';
import type { DamageReports } from '../recovery/damage.ts';
import type { Shard } from '../shard.ts';
import { readBodies } from './body-reader.ts';
import type { RunIndex } from './run-index.ts';
import { lastAtOrBefore } from './search.ts';
import { bytesFrom, type LogRun } from './segment.ts';
import type { SegmentStore } from './segment-store.ts';

/** Batches that one read gives at most, however small they are. */
const BATCHES_MAX = 4096;
/** Runs that one read takes from at most. */
const RUNS_MAX = 16;

export interface ReaderParts {
  readonly rows: RecentRows;
  readonly wal: Wal;
  readonly store: SegmentStore;
  readonly runs: RunIndex;
  readonly damage: DamageReports;
  readonly instruments: Instruments;
}

export class Reader {
  readonly #rows: RecentRows;
  readonly #wal: Wal;
  readonly #store: SegmentStore;
  readonly #runs: RunIndex;
  readonly #damage: DamageReports;
  readonly #instruments: Instruments;

  constructor(parts: ReaderParts) {
    this.#rows = parts.rows;
    this.#wal = parts.wal;
    this.#store = parts.store;
    this.#runs = parts.runs;
    this.#damage = parts.damage;
    this.#instruments = parts.instruments;
  }

  read(log: Shard, offset: number, bytesMax: number): StoredBatch[] | Promise<StoredBatch[]> {
    const { startOffset, highWatermark } = log;
    if (!(offset >= startOffset && offset <= highWatermark)) {
      throw new BrokerError(
        'offset-out-of-range',
        `${offset} is not in ${startOffset} to ${highWatermark}.`,
        { startOffset, highWatermark },
      );
    }
    if (offset === highWatermark) return [];
    if (log.removed) {
      return Promise.reject(new BrokerError('unknown-stream', `Log ${log.id} was removed.`));
    }
    if (log.ram.length > 0) return this.#fromRam(log, offset, bytesMax);
    const index = this.#placeOf(log, offset);
    if (index < 0) return this.#fromSegments(log, offset, bytesMax);
    const row = log.places[index]!;
    if (this.#rows.end(row) <= offset) {
      throw this.#missing(log, offset, this.#baseAfter(log, index));
    }
    return this.#rows.held(row) === null
      ? this.#fromWal(log, index, bytesMax)
      : this.#fromCache(log, index, bytesMax);
  }

  async findByTime(log: Shard, timestampMs: number): Promise<StoredBatch | null> {
    const offset = await this.#offsetByTime(log, timestampMs);
    if (offset < 0 || log.removed) return null;
    const [batch] = await this.read(log, Math.max(log.startOffset, offset), 1);
    return batch ?? null;
  }

  async #offsetByTime(log: Shard, timestampMs: number): Promise<number> {
    for (const batch of log.ram) {
      if (batch.baseOffset >= log.highWatermark) return -1;
      if (batch.maxTimestampMs >= timestampMs) return batch.baseOffset;
    }
    // What is reorganised while we look moves from the places into segments: the places are older.
    const { places } = log;
    const blocks = log.placeBlocks(this.#rows);
    for (const run of this.#hasRuns(log) ? await this.#runs.of(log.id) : []) {
      if (run.maxTimeMs < timestampMs || run.endOffset <= log.startOffset) continue;
      const offset = await this.#store.findByTime(run, timestampMs, log.startOffset);
      if (offset >= 0) return offset;
    }
    for (let index = 0; index < places.length; index++) {
      if ((blocks.maxTimeMs[index / PLACES_PER_BLOCK] ?? timestampMs) < timestampMs) {
        index += PLACES_PER_BLOCK - 1;
        continue;
      }
      const row = places[index]!;
      // Reorganised in the meantime: it lies in the newest segments now.
      if (row < this.#rows.start) return this.#offsetByTime(log, timestampMs);
      if (this.#rows.base(row) >= log.highWatermark) return -1;
      if (maxTimeOf(this.#rows.rowsOf(row), this.#rows.at(row)) >= timestampMs) {
        return this.#rows.base(row);
      }
    }
    return -1;
  }

  offsetForBytes(log: Shard, bytes: number): number | Promise<number> {
    let from = log.highWatermark;
    for (let index = log.ram.length - 1; index >= 0; index--) {
      const batch = log.ram[index]!;
      if (batch.baseOffset >= log.highWatermark) continue;
      bytes -= batch.bytes.length;
      if (bytes < 0) return from;
      from = batch.baseOffset;
    }
    const blocks = log.placeBlocks(this.#rows);
    for (let index = log.places.length - 1; index >= 0; index--) {
      const row = log.places[index]!;
      if (this.#rows.base(row) >= log.highWatermark) continue;
      const whole = blocks.bytes[(index + 1) / PLACES_PER_BLOCK - 1];
      if (whole !== undefined && whole <= bytes) {
        bytes -= whole;
        index -= PLACES_PER_BLOCK - 1;
        from = this.#rows.base(log.places[index]!);
        continue;
      }
      bytes -= this.#rows.bodyBytes(row);
      if (bytes < 0) return from;
      from = this.#rows.base(row);
    }
    if (from <= log.startOffset || !this.#hasRuns(log)) return Math.max(log.startOffset, from);
    const runs = this.#runs.of(log.id);
    if (!(runs instanceof Promise)) return this.#offsetInRuns(log, runs, bytes, from);
    return runs.then((found) => this.#offsetInRuns(log, found, bytes, from));
  }

  #offsetInRuns(
    log: Shard,
    runs: readonly LogRun[],
    bytes: number,
    from: number,
  ): number | Promise<number> {
    for (let index = runs.length - 1; index >= 0; index--) {
      const run = runs[index]!;
      // Reorganised while the directory was read: counted among the places already.
      if (run.firstOffset >= from) continue;
      if (bytes < run.bodyBytes) {
        return this.#store
          .offsetForBytes(run, bytes)
          .then((offset) => Math.max(log.startOffset, offset));
      }
      bytes -= run.bodyBytes;
      from = run.firstOffset;
    }
    return Math.max(log.startOffset, from);
  }

  /** False when all that the log has lies in write-ahead files or in memory. */
  #hasRuns(log: Shard): boolean {
    const [first] = log.places;
    return first === undefined
      ? log.ram.length === 0 && log.endOffset > log.startOffset
      : this.#rows.base(first) > log.startOffset;
  }

  #fromRam(log: Shard, offset: number, bytesMax: number): StoredBatch[] {
    const { ram, highWatermark } = log;
    const batches: StoredBatch[] = [];
    let bytes = 0;
    let index = lastAtOrBefore(ram.length, (at) => ram[at]!.baseOffset, offset);
    for (; index < ram.length && bytes < bytesMax && batches.length < BATCHES_MAX; index++) {
      const batch = ram[index]!;
      if (batch.baseOffset >= highWatermark) break;
      batches.push(batch);
      bytes += batch.bytes.length;
    }
    this.#instruments.cacheReads.value++;
    return batches;
  }

  #fromCache(log: Shard, index: number, bytesMax: number): StoredBatch[] {
    const { places, highWatermark } = log;
    const batches: StoredBatch[] = [];
    let bytes = 0;
    let next = -1;
    for (; index < places.length && bytes < bytesMax && batches.length < BATCHES_MAX; index++) {
      const batch = this.#rows.held(places[index]!);
      if (batch === null || batch.baseOffset >= highWatermark) break;
      // A gap between batches is damage: the next read, which starts there, says so.
      if (next >= 0 && batch.baseOffset !== next) break;
      batches.push(batch);
      bytes += batch.bytes.length;
      next = batch.baseOffset + batch.count;
    }
    this.#instruments.cacheReads.value++;
    return batches;
  }

  async #fromWal(log: Shard, index: number, bytesMax: number): Promise<StoredBatch[]> {
    const rows = this.#rows;
    const { places, highWatermark } = log;
    const file = this.#wal.fileOf(places[index]!);
    const chosen: Buffer[] = [];
    const positions: number[] = [];
    let bytes = 0;
    let next = -1;
    for (; index < places.length && bytes < bytesMax && chosen.length < BATCHES_MAX; index++) {
      const row = places[index]!;
      const base = rows.base(row);
      if (base >= highWatermark || (next >= 0 && base !== next)) break;
      if (rows.held(row) !== null || this.#wal.fileOf(row) !== file) break;
      const at = rows.at(row);
      chosen.push(rows.rowsOf(row).subarray(at, at + ROW_BYTES));
      positions.push(rows.position(row));
      bytes += rows.bodyBytes(row);
      next = rows.end(row);
    }
    this.#instruments.diskReads.value++;
    file.readers++;
    try {
      // The rows may be forgotten while the disk works: they are copied.
      const { batches, damaged } = await readBodies(file, Buffer.concat(chosen), positions);
      if (damaged === null || batches.length > 0) return batches;
      throw this.#damage.report({
        logId: log.id,
        ...damaged,
        file: file.path,
        reason: 'checksum',
      });
    } finally {
      file.release();
    }
  }

  #fromSegments(log: Shard, offset: number, bytesMax: number): Promise<StoredBatch[]> {
    this.#instruments.diskReads.value++;
    const runs = this.#runs.of(log.id);
    if (!(runs instanceof Promise)) return this.#fromRuns(log, runs, offset, bytesMax);
    return runs.then((found) => this.#fromRuns(log, found, offset, bytesMax));
  }

  /** Where a run ends in a hole, what follows it lies further on. */
  async #fromRuns(
    log: Shard,
    runs: readonly LogRun[],
    offset: number,
    bytesMax: number,
  ): Promise<StoredBatch[]> {
    const index = lastAtOrBefore(runs.length, (at) => runs[at]!.firstOffset, offset);
    const run = runs[index];
    // Trimmed or removed while the directory was read.
    if (log.removed || offset < log.startOffset) return this.read(log, offset, bytesMax);
    if (run === undefined || run.endOffset <= offset) {
      const place = log.places[0];
      const base = place === undefined ? Number.POSITIVE_INFINITY : this.#rows.base(place);
      throw this.#missing(log, offset, runs[index + 1]?.firstOffset ?? base);
    }
    const limit = log.highWatermark;
    const batches = await this.#fromNeighbours(runs, index, offset, bytesMax, limit);
    if (batches.length > 0 || run.endOffset >= limit) return batches;
    return this.read(log, Math.max(run.endOffset, log.startOffset), bytesMax);
  }

  /** Short runs that follow each other are read together: a log may lie in many of them. */
  async #fromNeighbours(
    runs: readonly LogRun[],
    first: number,
    offset: number,
    bytesMax: number,
    limit: number,
  ): Promise<StoredBatch[]> {
    let [end, bytes] = [first + 1, bytesFrom(runs[first]!, offset)];
    const reads = [this.#store.read(runs[first]!, offset, bytesMax, limit)];
    while (end < runs.length && bytes < bytesMax && end - first < RUNS_MAX) {
      const run = runs[end]!;
      if (run.firstOffset !== runs[end - 1]!.endOffset) break;
      // No more than what those before it leave to be read.
      reads.push(this.#store.read(run, run.firstOffset, bytesMax - bytes, limit));
      bytes += run.bodyBytes;
      end++;
    }
    if (reads.length === 1) return reads[0]!;
    const found = await Promise.allSettled(reads);
    const batches = await reads[0]!;
    let got = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    for (let index = 1; index < found.length && got < bytesMax; index++) {
      const [last, more] = [batches.at(-1), found[index]!];
      // What ends early is full, damaged or a hole: the next read goes on from there.
      const isWhole =
        last !== undefined && last.baseOffset + last.count === runs[first + index]!.firstOffset;
      if (!isWhole || more.status === 'rejected' || batches.length >= BATCHES_MAX) break;
      for (const batch of more.value) {
        if (got >= bytesMax) break;
        batches.push(batch);
        got += batch.bytes.length;
      }
    }
    return batches;
  }

  /**
   * Index of the place that holds `offset` or ends before it; -1 when it lies before all places.
   */
  #placeOf(log: Shard, offset: number): number {
    const { places } = log;
    return lastAtOrBefore(places.length, (at) => this.#rows.base(places[at]!), offset);
  }

  #baseAfter(log: Shard, index: number): number {
    const row = log.places[index + 1];
    return row === undefined ? Infinity : this.#rows.base(row);
  }

  #missing(log: Shard, from: number, to: number): BrokerError {
    const end = Math.min(to, log.highWatermark);
    return this.#damage.report({
      logId: log.id,
      from,
      to: end,
      file: '',
      reason: 'no index row covers it',
    });
  }
}
