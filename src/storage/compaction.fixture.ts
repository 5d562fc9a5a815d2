/**
 * What the tests of compaction share: batches whose records are JSON, an owner that opens them, and
 * logs that lie in segments of their own, without an engine.
 */
import { Metrics, ProtocolError, silentLog } from '#kit';
import { type CompactionCore, type CompactionResult, compactLog } from './compaction.ts';
import { DamageReports } from './damage.ts';
import { openDirectoryStore } from './directory-store.ts';
import { makeInstruments } from './instruments.ts';
import { DEFAULT_LIMITS, type EngineLimits } from './limits.ts';
import type { BatchFacts, Compaction, KeyedRecords, StoredBatch } from './log-engine.ts';
import type { ObjectStore } from './object-store.ts';
import { BATCH, endOf, isHole, ROW_BYTES, writeRow } from './row-codec.ts';
import { Segment } from './segment.ts';
import { runDirt } from './segment-codec.ts';
import { SegmentStore } from './segment-store.ts';
import { SegmentWriter } from './segment-writer.ts';
import { Shard, type ShardHome } from './shard.ts';
import { dataBatch, factsOf, seededRandom, textOf, VirtualTime } from './storage.fixture.ts';
import { VirtualFiles } from './virtual-files.ts';

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

  result(): Buffer | null {
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

/** A log in segments, and nothing else. */
export class SegmentedLog {
  readonly time = new VirtualTime();
  readonly shard = new Shard(LOG, 'fsync', {} as ShardHome);
  readonly core: CompactionCore;
  readonly store: SegmentStore;
  readonly objects: ObjectStore;
  paced = 0;
  #generation = 0;

  private constructor(objects: ObjectStore, limits: EngineLimits) {
    this.objects = objects;
    const damage = new DamageReports(silentLog, makeInstruments(new Metrics()));
    this.store = new SegmentStore({ objects, damage, blocksMax: 4 });
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
    const segment = await this.#write(async (writer) => {
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
    this.shard.segments = [...this.shard.segments, segment];
  }

  /** Compacts everything into one new segment. */
  async compact(): Promise<CompactionResult | null> {
    const { segments } = this.shard;
    let result: CompactionResult | null = null;
    const segment = await this.#write(async (writer) => {
      const add = (rows: Buffer, at: number, body: Buffer | null) => writer.add(rows, at, body);
      const pace = async (bytes: number): Promise<void> => {
        this.paced += bytes;
      };
      const work = compactLog(this.core, this.shard, segments, add, pace);
      result = await this.time.until(work);
    });
    if (result !== null) this.shard.segments = [segment];
    return result;
  }

  /** Every record as `offset key=value`, and what lies between, as `from-to`. */
  async shown(): Promise<string[]> {
    const lines: string[] = [];
    for (const segment of this.shard.segments) {
      const run = segment.runOf(LOG);
      for await (const rows of this.store.blocks(segment, run)) {
        for (let at = 0; at < rows.length; at += ROW_BYTES) {
          const base = Number(rows.readBigInt64BE(at + 16));
          if (isHole(rows, at)) lines.push(`${base}-${endOf(rows, at)}`);
          else lines.push(...(await this.#recordsAt(segment, run, base)));
        }
      }
    }
    return lines;
  }

  dirt() {
    return this.shard.segments.map((segment) => runDirt(segment.directory, segment.runOf(LOG)));
  }

  async #recordsAt(segment: Segment, run: number, offset: number): Promise<string[]> {
    try {
      const [batch] = await this.store.read(segment, run, offset, 1, Number.MAX_SAFE_INTEGER);
      return recordsOf(batch!).map(([delta, key, value]) => {
        return `${batch!.baseOffset + delta} ${key ?? '-'}=${value ?? 'x'}`;
      });
    } catch (error) {
      return [`${offset} ${(error as { code?: string }).code}`];
    }
  }

  async #write(fill: (writer: SegmentWriter) => Promise<void>): Promise<Segment> {
    const name = { from: ++this.#generation, to: this.#generation, version: 0 };
    let directory: Buffer = Buffer.alloc(0);
    const probe = new Segment('data', name, 0, 1, directory);
    await this.objects.put(probe.objectName, async (write) => {
      const writer = new SegmentWriter(write);
      await fill(writer);
      await writer.endRun(LOG, 0, false);
      directory = await writer.finish(name, 1);
      return directory.length;
    });
    return new Segment('data', name, 0, 1, directory);
  }
}
