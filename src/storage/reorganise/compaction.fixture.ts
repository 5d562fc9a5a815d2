/**
 * What the tests of compaction share: batches whose records are JSON, an owner that opens them, and
 * logs that lie in segments of their own, without an engine.
 */
import { Metrics, ProtocolError, silentLog } from '#kit';
import { makeInstruments } from '../commit/instruments.ts';
import { BATCH, endOf, isHole, ROW_BYTES, writeRow } from '../commit/row-codec.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { DEFAULT_LIMITS, type EngineLimits } from '../limits.ts';
import type { BatchFacts, Compaction, KeyedRecords, StoredBatch } from '../log-engine.ts';
import { openDirectoryStore } from '../objects/directory-store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { DamageReports } from '../recovery/damage.ts';
import { runOf, writeTestSegment } from '../segments/segment.fixture.ts';
import type { LogRun } from '../segments/segment.ts';
import { SegmentStore } from '../segments/segment-store.ts';
import type { SegmentWriter } from '../segments/segment-writer.ts';
import { Shard, type ShardHome } from '../shard.ts';
import { dataBatch, factsOf, seededRandom, textOf, VirtualTime } from '../storage.fixture.ts';
import { type CompactionCore, type CompactionResult, compactLog } from './compaction.ts';

/** Its place in the batch, its key (null: none) and its value (null: a tombstone). */
export type TestRecord = readonly [delta: number, key: string | null, value: string | null];

export function keyedBatch(records: readonly TestRecord[]): Buffer {
  return dataBatch(JSON.stringify(records));
}

export function recordsOf(batch: StoredBatch): TestRecord[] {
  return JSON.parse(textOf(batch)) as TestRecord[];
}

class JsonRecords implements KeyedRecords {
  offset = -1;
  key: Buffer = Buffer.alloc(0);
  isTombstone = false;
  readonly #base: number;
  readonly #records: TestRecord[];
  readonly #dropped = new Set<number>();
  #at = -1;

  constructor(base: number, records: TestRecord[]) {
    this.#base = base;
    this.#records = records;
  }

  next(): boolean {
    for (;;) {
      const record = this.#records[++this.#at];
      if (record === undefined) return false;
      const [delta, key, value] = record;
      if (key === 'unreadable') throw new ProtocolError('record', 0, 'cannot be read');
      if (key === null) continue;
      this.offset = this.#base + delta;
      this.key = Buffer.from(key);
      this.isTombstone = value === null;
      return true;
    }
  }

  drop(): void {
    this.#dropped.add(this.#at);
  }

  async result(): Promise<Buffer | null> {
    const kept = this.#records.filter((_, index) => !this.#dropped.has(index));
    if (kept.length === 0) return null;
    const bytes = keyedBatch(kept);
    bytes.writeBigInt64BE(BigInt(this.#base), BATCH.baseOffset);
    bytes.writeInt32BE(0, BATCH.leaderEpoch);
    return bytes;
  }
}

export function jsonCompaction(over: Partial<Compaction> = {}): Compaction {
  return {
    minLagMs: 0,
    maxLagMs: Number.MAX_SAFE_INTEGER,
    headMs: Number.MAX_SAFE_INTEGER,
    headBytes: Number.MAX_SAFE_INTEGER,
    dirtyRatio: 0.5,
    tombstoneMs: 1_000,
    neededFrom: () => Number.POSITIVE_INFINITY,
    open: (batch) => {
      if ((batch.attributes & 0x20) !== 0) return null;
      return new JsonRecords(batch.baseOffset, recordsOf(batch));
    },
    ...over,
  };
}

export interface TestBatch {
  readonly records: readonly TestRecord[];
  /** How many offsets it takes; as many as records when left out. */
  readonly count?: number;
  readonly timeMs?: number;
  readonly facts?: Partial<BatchFacts>;
  /** Its body is broken on disk. */
  readonly isBroken?: boolean;
}

const LOG = 9;
const HOME = { upkeepChanged() {}, headGrew() {} } as unknown as ShardHome;

/** A log in segments, and nothing else. */
export class SegmentedLog {
  readonly time = new VirtualTime();
  readonly shard = new Shard(LOG, 'fsync', HOME);
  readonly core: CompactionCore;
  readonly store: SegmentStore;
  readonly objects: ObjectStore;
  paced = 0;
  /** What the log has, in offset order. */
  runs: LogRun[] = [];
  #generation = 0;

  private constructor(objects: ObjectStore, limits: EngineLimits) {
    this.objects = objects;
    const damage = new DamageReports(silentLog, makeInstruments(new Metrics()));
    this.store = new SegmentStore({ objects, damage, blocksMax: 4, pagesMax: 4 });
    const options = {
      clock: this.time,
      timers: this.time,
      random: seededRandom(1),
      log: silentLog,
    };
    this.core = { store: this.store, damage, limits, options };
    this.shard.upkeep = { remote: false, compaction: jsonCompaction() };
  }

  static async open(limits: Partial<EngineLimits> = {}): Promise<SegmentedLog> {
    const disk = new VirtualFiles({ random: seededRandom(1) });
    const objects = await openDirectoryStore(disk, 'data', 4);
    return new SegmentedLog(objects, { ...DEFAULT_LIMITS, ...limits });
  }

  /** Appends a segment with these batches. */
  async addSegment(batches: readonly TestBatch[]): Promise<void> {
    const run = await this.#write(async (writer) => {
      for (const { records, count = records.length, timeMs, facts, isBroken } of batches) {
        const base = this.shard.endOffset;
        const body = keyedBatch(records);
        body.writeBigInt64BE(BigInt(base), BATCH.baseOffset);
        body.writeInt32BE(0, BATCH.leaderEpoch);
        const row = Buffer.alloc(ROW_BYTES);
        const own = factsOf({ count, maxTimestampMs: base, ...facts });
        writeRow(row, 0, LOG, base, 0, body, own, timeMs ?? this.time.nowMs());
        if (isBroken === true) body[BATCH.headerBytes]! ^= 1;
        await writer.add(row, 0, body);
        this.shard.endOffset = base + count;
        this.shard.highWatermark = base + count;
        this.shard.remember(own, base, this.time.nowMs());
      }
    });
    this.runs.push(run);
  }

  /** Compacts everything into one new segment; null when there was nothing to do. */
  async compact(): Promise<CompactionResult | null> {
    let result: CompactionResult | null = null;
    const run = await this.#write(async (writer) => {
      const add = (rows: Buffer, at: number, body: Buffer | null) => writer.add(rows, at, body);
      const pace = async (bytes: number): Promise<void> => {
        this.paced += bytes;
      };
      const work = compactLog(this.core, this.shard, this.runs, add, pace);
      const done = await this.time.until(work);
      if (done.changed) result = done;
    });
    if (result !== null) this.runs = [run];
    return result;
  }

  /** Every record as `offset key=value`, and what lies between, as `from-to`. */
  async shown(): Promise<string[]> {
    const lines: string[] = [];
    for (const run of this.runs) {
      for await (const rows of this.store.blocks(run)) {
        for (let at = 0; at < rows.length; at += ROW_BYTES) {
          const base = Number(rows.readBigInt64BE(at + 16));
          if (isHole(rows, at)) lines.push(`${base}-${endOf(rows, at)}`);
          else lines.push(...(await this.#recordsAt(run, base)));
        }
      }
    }
    return lines;
  }

  dirt() {
    return this.runs.map((run) => run.dirt);
  }

  async #recordsAt(run: LogRun, offset: number): Promise<string[]> {
    try {
      const [batch] = await this.store.read(run, offset, 1, Number.MAX_SAFE_INTEGER);
      return recordsOf(batch!).map(([delta, key, value]) => {
        return `${batch!.baseOffset + delta} ${key ?? '-'}=${value ?? 'x'}`;
      });
    } catch (error) {
      return [`${offset} ${(error as { code?: string }).code}`];
    }
  }

  async #write(fill: (writer: SegmentWriter) => Promise<void>): Promise<LogRun> {
    const segment = await writeTestSegment(this.objects, ++this.#generation, async (writer) => {
      await fill(writer);
      await writer.endRun(LOG, 0, false);
    });
    return runOf(this.store, segment, LOG);
  }
}
