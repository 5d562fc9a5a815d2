/**
 * The read path: recent batches from memory, older ones from write-ahead files, the oldest from
 * segments. Serves only what is committed, and only what passes its checksum.
 */
import { BrokerError } from '#kit';
import { readBodies } from './body-reader.ts';
import type { DamageReports } from './damage.ts';
import type { Instruments } from './instruments.ts';
import type { StoredBatch } from './log-engine.ts';
import type { RecentRows } from './recent-rows.ts';
import { maxTimeOf, ROW_BYTES } from './row-codec.ts';
import { lastAtOrBefore } from './search.ts';
import type { Segment } from './segment.ts';
import { runBodyBytes, runEnd, runFirst, runMaxTime } from './segment-codec.ts';
import type { SegmentStore } from './segment-store.ts';
import type { Shard } from './shard.ts';
import type { Wal } from './wal.ts';

/** Batches that one read gives at most, however small they are. */
const BATCHES_MAX = 4096;

export interface ReaderParts {
  readonly rows: RecentRows;
  readonly wal: Wal;
  readonly store: SegmentStore;
  readonly damage: DamageReports;
  readonly instruments: Instruments;
}

export class Reader {
  readonly #rows: RecentRows;
  readonly #wal: Wal;
  readonly #store: SegmentStore;
  readonly #damage: DamageReports;
  readonly #instruments: Instruments;

  constructor(parts: ReaderParts) {
    this.#rows = parts.rows;
    this.#wal = parts.wal;
    this.#store = parts.store;
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
    const places = [...log.places];
    for (const segment of [...log.segments]) {
      const run = segment.runOf(log.id);
      if (runMaxTime(segment.directory, run) < timestampMs) continue;
      const offset = await this.#store.findByTime(segment, run, timestampMs, log.startOffset);
      if (offset >= 0) return offset;
    }
    for (const row of places) {
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
    for (let index = log.places.length - 1; index >= 0; index--) {
      const row = log.places[index]!;
      if (this.#rows.base(row) >= log.highWatermark) continue;
      bytes -= this.#rows.bodyBytes(row);
      if (bytes < 0) return from;
      from = this.#rows.base(row);
    }
    for (let index = log.segments.length - 1; index >= 0; index--) {
      const segment = log.segments[index]!;
      const run = segment.runOf(log.id);
      bytes -= runBodyBytes(segment.directory, run);
      if (bytes < 0) {
        const left = bytes + runBodyBytes(segment.directory, run);
        return this.#store
          .offsetForBytes(segment, run, left)
          .then((offset) => Math.max(log.startOffset, offset));
      }
      from = runFirst(segment.directory, run);
    }
    return Math.max(log.startOffset, from);
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

  #fromSegments(
    log: Shard,
    offset: number,
    bytesMax: number,
  ): StoredBatch[] | Promise<StoredBatch[]> {
    const { segments } = log;
    const index = lastAtOrBefore(segments.length, (at) => segments[at]!.firstOf(log.id), offset);
    const segment = segments[index];
    if (segment === undefined || segment.endOf(log.id) <= offset) {
      const place = log.places[0];
      const after = segments[index + 1]?.firstOf(log.id);
      const base = place === undefined ? Number.POSITIVE_INFINITY : this.#rows.base(place);
      throw this.#missing(log, offset, after ?? base);
    }
    this.#instruments.diskReads.value++;
    return this.#fromSegment(log, segment, offset, bytesMax);
  }

  /** Where a run ends in a hole, what follows it lies further on. */
  async #fromSegment(
    log: Shard,
    segment: Segment,
    offset: number,
    bytesMax: number,
  ): Promise<StoredBatch[]> {
    const run = segment.runOf(log.id);
    const limit = log.highWatermark;
    const batches = await this.#store.read(segment, run, offset, bytesMax, limit);
    const end = runEnd(segment.directory, run);
    if (batches.length > 0 || end >= limit || log.removed) return batches;
    return this.read(log, Math.max(end, log.startOffset), bytesMax);
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
