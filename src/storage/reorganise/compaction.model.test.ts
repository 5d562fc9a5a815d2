/**
 * Random puts and tombstones on a compacted log, while it is compacted, restarted and crashed,
 * against a model that knows every record. What compaction may take away is only what a later
 * record of the same key replaced, and tombstones whose time is over.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine, ShardLog } from '../log-engine.ts';
import { factsOf, openTestEngine, readAll, seededRandom, VirtualTime } from '../storage.fixture.ts';
import { jsonCompaction, keyedBatch, recordsOf, type TestRecord } from './compaction.fixture.ts';

const LOGS = [2 ** 40 * 3 + 1, 2 ** 40 * 700 + 5];
/** Never compacted: shares files and segments with the others. */
const PLAIN = 2 ** 40 * 300 + 9;
const LIMITS = {
  walFileBytes: 8_192,
  entryBytesMax: 4_096,
  segmentBytesMax: 16_384,
  sweepDelayMs: 3,
  compactionPauseMs: 2,
  compactionKeyBytes: 1,
};
const TOMBSTONE_MS = 2_000;
const HEAD_MS = 30;

const batch = fc.array(
  fc.record({
    key: fc.oneof(
      { weight: 8, arbitrary: fc.nat(6).map((n) => `key ${n}`) },
      { weight: 2, arbitrary: fc.nat(200).map((n) => `a rather long key ${n}`) },
      { weight: 1, arbitrary: fc.constant(null) },
    ),
    isTombstone: fc.nat(4).map((n) => n === 0),
  }),
  { minLength: 1, maxLength: 5 },
);
const operations = fc.array(
  fc.oneof(
    {
      weight: 16,
      arbitrary: fc.record({ kind: fc.constant('put' as const), log: fc.nat(1), batch }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const), log: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('lost checkpoints' as const) }) },
  ),
  { minLength: 40, maxLength: 160 },
);
type Operation = typeof operations extends fc.Arbitrary<(infer One)[]> ? One : never;

interface Put {
  readonly key: string | null;
  readonly value: string | null;
  readonly atMs: number;
}

class Model {
  readonly id: number;
  /** By offset. */
  records: Put[] = [];
  acked = 0;
  trimmed = 0;

  constructor(id: number) {
    this.id = id;
  }
}

class Machine {
  readonly time = new VirtualTime();
  readonly disk: VirtualFiles;
  readonly models = LOGS.map((id) => new Model(id));
  readonly minLagMs: number;
  engine!: LogEngine;
  dropped = 0;
  #life = 0;
  #written = 0;

  constructor(seed: number, survival: number, minLagMs: number) {
    this.disk = new VirtualFiles({ random: seededRandom(seed), timers: this.time });
    this.disk.survival = survival;
    this.minLagMs = minLagMs;
  }

  async open(): Promise<void> {
    const setup = { files: this.disk, time: this.time, limits: LIMITS };
    this.engine = await this.time.until(openTestEngine(setup));
    for (const { id } of this.models) this.log(id);
  }

  log(id: number): ShardLog {
    const log = this.engine.open(id, 'fsync');
    if (log.upkeep.compaction === null) {
      const limits = { minLagMs: this.minLagMs, tombstoneMs: TOMBSTONE_MS, dirtyRatio: 0.1 };
      const compaction = jsonCompaction({ ...limits, headMs: HEAD_MS });
      log.upkeep = { remote: false, compaction };
    }
    return log;
  }

  put(model: Model, puts: readonly { key: string | null; isTombstone: boolean }[]): void {
    const records = puts.map(({ key, isTombstone }, delta): TestRecord => {
      const value = isTombstone && key !== null ? null : `${this.#written++}`;
      return [delta, key, value];
    });
    const log = this.log(model.id);
    const life = this.#life;
    const end = log.endOffset + records.length;
    assert.equal(log.endOffset, model.records.length, 'offsets are dense');
    log.append(keyedBatch(records), factsOf({ count: records.length }), (error) => {
      assert.equal(error, null);
      if (life === this.#life) model.acked = end;
    });
    const atMs = this.time.nowMs();
    for (const [, key, value] of records) model.records.push({ key, value, atMs });
    this.engine.open(PLAIN, 'fsync').append(keyedBatch([[0, null, 'x'.repeat(150)]]), factsOf());
  }

  /** What is read is what was written, and nothing is missing that has to be there. */
  async check(model: Model): Promise<void> {
    const log = this.log(model.id);
    const nowMs = this.time.nowMs();
    const end = log.highWatermark;
    assert.ok(end >= model.acked, 'what was acknowledged is there');
    const batches = await this.time.until(readAll(log, log.startOffset, 2_000));
    const seen = new Set<number>();
    let next = -1;
    for (const { baseOffset, count, ...found } of batches) {
      assert.ok(baseOffset >= next, 'batches come in order');
      next = baseOffset + count;
      for (const [delta, key, value] of recordsOf({ baseOffset, count, ...found })) {
        const offset = baseOffset + delta;
        if (offset < log.startOffset) continue;
        const put = model.records[offset];
        assert.deepEqual([key, value], [put?.key, put?.value], `record ${offset} is as it was`);
        seen.add(offset);
      }
    }
    const last = new Map<string, number>();
    for (let offset = 0; offset < end; offset++) {
      const { key } = model.records[offset]!;
      if (key !== null) last.set(key, offset);
    }
    for (let offset = log.startOffset; offset < end; offset++) {
      if (seen.has(offset)) continue;
      this.dropped++;
      const { key, value, atMs } = model.records[offset]!;
      assert.ok(key !== null, `${offset}: what has no key stays`);
      assert.ok(nowMs - atMs >= this.minLagMs, `${offset}: what is young stays`);
      const latest = last.get(key)!;
      if (latest > offset) continue;
      assert.equal(value, null, `${offset}: the last value of ${key} stays`);
      assert.ok(nowMs - atMs >= TOMBSTONE_MS, `${offset}: a tombstone stays for its time`);
      for (let older = log.startOffset; older < offset; older++) {
        const isHidden: boolean = model.records[older]!.key !== key || !seen.has(older);
        assert.ok(isHidden, `${older}: nothing comes back when a tombstone goes`);
      }
    }
  }

  async down(loses: boolean): Promise<void> {
    this.#life++;
    this.disk.crash();
    this.time.kill();
    await this.time.settle();
    this.time.kill();
    if (loses) {
      const files = this.disk.mount();
      for (const path of this.disk.paths) {
        if (path.includes('checkpoint')) await files.remove(path);
      }
    }
    await this.open();
    for (const model of this.models) {
      const { highWatermark, startOffset } = this.log(model.id);
      assert.ok(highWatermark >= model.acked);
      model.records.length = highWatermark;
      model.acked = highWatermark;
      assert.ok(startOffset <= model.trimmed, 'what was not trimmed is there');
      model.trimmed = startOffset;
    }
  }

  async restart(): Promise<void> {
    await this.time.until(this.engine.close());
    this.#life++;
    this.time.kill();
    await this.open();
  }

  trim(model: Model): void {
    const log = this.log(model.id);
    log.trim(Math.floor((log.startOffset + log.highWatermark) / 2));
    model.trimmed = log.startOffset;
  }

  async run(operation: Operation): Promise<void> {
    switch (operation.kind) {
      case 'put':
        return this.put(this.models[operation.log]!, operation.batch);
      case 'trim':
        return this.trim(this.models[operation.log]!);
      case 'pass':
        return this.time.advance(operation.ms);
      case 'wait':
        return this.time.advance(TOMBSTONE_MS * 1.5);
      case 'restart':
        return this.restart();
      default:
        return this.down(operation.kind === 'lost checkpoints');
    }
  }
}

let dropped = 0;

async function play(operations: Operation[], seed: number, survival: number, minLagMs: number) {
  const machine = new Machine(seed, survival, minLagMs);
  await machine.open();
  for (const operation of operations) {
    await machine.run(operation);
    if (operation.kind === 'put') continue;
    for (const model of machine.models) await machine.check(model);
  }
  await machine.time.advance(TOMBSTONE_MS * 2);
  for (const model of machine.models) await machine.check(model);
  dropped += machine.dropped;
  await machine.time.until(machine.engine.close());
}

// COMPACTION_MODEL_RUNS, _SEED and _SHRINK: more runs, others, and a smaller counterexample.
test('compaction keeps the last value of each key, whatever happens meanwhile K40 R31 R35', async () => {
  await fc.assert(
    fc.asyncProperty(
      operations,
      fc.nat(),
      fc.constantFrom(0, 0.5, 0.95, 1),
      fc.constantFrom(0, 0, 100),
      play,
    ),
    {
      numRuns: Number(process.env['COMPACTION_MODEL_RUNS'] ?? 12),
      seed: Number(process.env['COMPACTION_MODEL_SEED'] ?? 20_260_102),
      endOnFailure: process.env['COMPACTION_MODEL_SHRINK'] === undefined,
    },
  );
  assert.ok(dropped > 300, `only ${dropped} records were seen to be gone`);
});
