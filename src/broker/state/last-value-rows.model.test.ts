/**
 * The rows of last values beside a log that is an array: random changes, commits, failures, slow
 * and refused writes of the catalogue, and crashes between any two of them.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BrokerError, compareKeys, type Timers } from '#kit';
import { type MetaChange, type MetaStore, openMemoryStore } from '#meta';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';
import { LastValueRows, type StoredValue } from './last-value-rows.ts';

const LIMITS = { pieceRows: 3, pieceBytes: 64, heldRows: 4, heldBytes: 200 };
const ALL = { from: '', before: null, rowsMax: Number.POSITIVE_INFINITY };
const TABLE = 'last-values';
const COPY = 'last-values-index';

interface Logged {
  readonly key: string;
  readonly value: string | null;
}

/** Turns and time pass when the test says so. */
class HandTimers implements Timers {
  #calls: (() => void)[] = [];

  after(_: number, call: () => void): { cancel(): void } {
    this.#calls.push(call);
    return {
      cancel: () => {
        this.#calls = this.#calls.filter((other) => other !== call);
      },
    };
  }

  soon(call: () => void): void {
    this.#calls.push(call);
  }

  turn(): void {
    for (const call of this.#calls.splice(0)) call();
  }
}

class World {
  readonly random: SeededRandom;
  readonly store = openMemoryStore();
  log: Logged[] = [];
  committed = 0;
  timers!: HandTimers;
  rows!: LastValueRows;
  /** Writes that are under way. */
  #writes: ((error: BrokerError | null) => Promise<void>)[] = [];
  /** Offsets whose fate was told. */
  told = 0;
  #value = 0;
  /** How to undo what a power cut may undo, by write. */
  #relaxed: MetaChange[][] = [];
  /** Values that were read before, and what `replacements` was then. */
  #page: { replacements: number; values: readonly StoredValue[] } = {
    replacements: -1,
    values: [],
  };

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /**
   * @param logEnd where the log is said to end
   * @param writesMax the power goes instead of one more
   */
  async start(logEnd = Number.POSITIVE_INFINITY, writesMax = logEnd): Promise<void> {
    this.timers = new HandTimers();
    this.#page = { replacements: -1, values: [] };
    this.#writes = [];
    const writes = this.#writes;
    const store = this.store;
    const meta: MetaStore = {
      get: (table, key) => store.get(table, key),
      scan: (table) => store.scan(table),
      read: (table, key) => store.read(table, key),
      has: (table, key) => store.has(table, key),
      range: (table, span) => store.range(table, span),
      texts: (table) => store.texts(table),
      keys: (table, span) => store.keys(table, span),
      close: () => store.close(),
      write: (changes: readonly MetaChange[], relaxed = false) =>
        new Promise((resolve, reject) => {
          writes.push(async (error) => {
            if (error === null) await this.#write(changes, relaxed);
            if (error === null) resolve();
            else reject(error);
          });
        }),
    };
    this.rows = new LastValueRows({ meta, timers: this.timers, limits: LIMITS, undone: () => {} });
    let from = -1;
    void this.rows.load(logEnd).then((mark) => {
      from = mark;
    });
    let written = 0;
    for (await settle(); from < 0; await settle()) {
      if (writes.length === 0) this.timers.turn();
      else if (written++ < writesMax) await this.write(null);
      else return;
    }
    assert.ok(from <= this.log.length, 'the catalogue is never ahead of the log');
    for (let offset = from; offset < this.log.length; offset++) {
      this.#set(offset);
      this.rows.committed(offset);
    }
    this.committed = this.log.length;
  }

  change(): void {
    const key = `k${this.random.below(12)}${this.random.pick(['', '\0a', '\0é'])}`;
    const ends = this.random.below(4) === 0;
    const value = ends ? null : `v${this.#value++}`.repeat(1 + this.random.below(9));
    this.put(key, value);
  }

  put(key: string, value: string | null): void {
    const offset = this.log.push({ key, value }) - 1;
    this.#set(offset);
    this.rows.settled(offset, () => this.told++);
  }

  commit(count: number): void {
    for (; count > 0 && this.committed < this.log.length; count--) {
      this.rows.committed(this.committed++);
    }
  }

  /** What is not committed fails, in order: its offsets will be used again. */
  fail(): void {
    const error = new BrokerError('storage-full');
    const { length } = this.log;
    this.log.length = this.committed;
    for (let offset = this.committed; offset < length; offset++) this.rows.failed(offset, error);
  }

  async write(error: BrokerError | null): Promise<boolean> {
    const write = this.#writes.shift();
    await write?.(error);
    await settle();
    return write !== undefined;
  }

  async #write(changes: readonly MetaChange[], relaxed: boolean): Promise<void> {
    this.#relaxed.push(
      changes.map(({ table, key }) => ({ table, key, value: this.store.read(table, key) ?? null })),
    );
    await this.store.write(changes);
    if (!relaxed) this.#relaxed = [];
  }

  /**
   * Some of what was appended reached the disk, and perhaps the write that was under way; the last
   * relaxed writes may not have.
   */
  async crash(): Promise<void> {
    if (this.random.below(2) === 0) await this.#writes.shift()?.(null);
    const kept = this.random.below(this.#relaxed.length + 1);
    for (const undo of this.#relaxed.splice(kept).reverse()) await this.store.write(undo);
    const survives = this.random.below(this.log.length - this.committed + 1);
    this.log.length = this.committed + survives;
    await this.start();
  }

  /** A clean stop, which leaves a copy of the index, and a start. */
  async stop(): Promise<void> {
    this.commit(this.log.length);
    this.rows.close();
    await this.flush();
    const head = this.store.read(COPY, '');
    assert.equal(JSON.parse(head!.toString()).mark, this.log.length);
    await this.start();
  }

  /** A stop in which changes come when none should. */
  async stopLate(): Promise<void> {
    this.rows.close();
    let steps = 2 * this.random.below(30);
    await this.flush(() => {
      if (--steps === 0) for (let count = this.random.below(4); count > 0; count--) this.change();
      if (steps === -1 && this.random.below(2) === 0) this.fail();
      this.commit(1 + this.random.below(3));
    });
    await this.start();
  }

  /** @param meanwhile called while the checkpoint goes on */
  async flush(meanwhile = () => {}): Promise<void> {
    await this.ended(this.rows.checkpoint(), meanwhile);
  }

  async ended(job: Promise<void>, meanwhile = () => {}): Promise<void> {
    let isEnded = false;
    const done = job.finally(() => {
      isEnded = true;
    });
    await settle();
    while (!isEnded) {
      meanwhile();
      if (!(await this.write(null))) this.timers.turn();
      await settle();
    }
    await done;
  }

  model(): Map<string, { offset: number; value: string }> {
    const model = new Map<string, { offset: number; value: string }>();
    for (const [offset, { key, value }] of this.log.entries()) {
      if (value === null) model.delete(key);
      else model.set(key, { offset, value });
    }
    return model;
  }

  compare(): void {
    const model = this.model();
    const { rows } = this;
    assert.equal(rows.count, model.size);
    assert.equal(
      rows.bytes,
      [...model.values()].reduce((sum, { value }) => sum + value.length, 0),
    );
    const keys = rows.keys('', null, 100_000).filter((key) => rows.has(key));
    assert.deepEqual(keys, [...model.keys()].sort(compareKeys));
    for (const [key, { offset, value }] of model) {
      const found = rows.get(key)!;
      assert.deepEqual([found.offset, found.row.toString()], [offset, value]);
    }
    this.#compareOrder(model);
  }

  #compareOrder(model: Map<string, { offset: number; value: string }>): void {
    const { replacements, values } = this.#page;
    if (replacements >= 0 && replacements === this.rows.replacements) {
      for (const { key, offset } of values) assert.ok(this.rows.isNewest(key, offset), key);
    }
    const start = this.random.below(this.log.length + 1);
    const end = start + this.random.below(this.log.length + 1);
    const found: [string, number, string][] = [];
    for (let from = start; ; ) {
      const page = this.rows.inOrder(from, end, 1 + this.random.below(5), 60);
      if (page.length === 0) break;
      const known = this.rows.replacements >= 0;
      for (const { key, offset, row } of page) {
        assert.ok(offset >= from);
        from = offset + 1;
        const isNewest = this.rows.isNewest(key, offset);
        assert.ok(isNewest || !known, 'all of it is newest when that is said');
        if (isNewest) found.push([key, offset, row.toString()]);
      }
    }
    const wanted = [...model]
      .filter(([, { offset }]) => offset >= start && offset < end)
      .map(([key, { offset, value }]) => [key, offset, value])
      .sort((a, b) => Number(a[1]) - Number(b[1]));
    assert.deepEqual(found, wanted);
    this.#page = {
      replacements: this.rows.replacements,
      values: this.rows.inOrder(0, this.log.length, 1000, 100_000),
    };
  }

  #set(offset: number): void {
    const { key, value } = this.log[offset]!;
    this.rows.set(offset, key, value === null ? null : Buffer.from(value));
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe('rows of last values against a model', () => {
  for (let seed = 1; seed <= 20; seed++) {
    it(`say what the log says, whatever fails and crashes: seed ${seed} M116 R35`, async () => {
      const world = new World(seed);
      await world.start();
      const { random } = world;
      for (let step = 0; step < 500; step++) {
        const dice = random.below(100);
        if (dice < 45) world.change();
        else if (dice < 65) world.commit(1 + random.below(8));
        else if (dice < 67) world.fail();
        else if (dice < 80) await world.write(null);
        else if (dice < 83) await world.write(new BrokerError('storage-full'));
        else if (dice < 96) world.timers.turn();
        else if (dice < 98) world.rows.checkpoint().catch(() => {});
        else if (dice < 99) await world.crash();
        else if (random.below(2) === 0) await world.stop();
        else await world.stopLate();
        await settle();
        world.compare();
      }
      world.commit(world.log.length);
      await world.flush();
      world.compare();
      const stored = world.store.range(TABLE, ALL);
      assert.equal(stored.length, world.rows.count, 'a row for each value, and no others');
      assert.equal(world.rows.keys('', null, 1000).length, stored.length, 'no key of an end');
      assert.equal(world.rows.busy, false);
      await world.stop();
      world.compare();
      for (let step = 0; step < 30; step++) world.change();
      if (seed % 2 === 0) await world.write(null);
      await world.crash();
      world.compare();
    });
  }

  it('an offset that failed is given again, and is read again after a crash M116 R35', async () => {
    const world = new World(1);
    await world.start();
    for (const value of ['a', null, 'b']) {
      world.put('k', value);
      world.fail();
      await world.flush();
      world.put(`other${value}`, 'kept');
      world.put('k', 'old');
      world.put('k', null);
      world.commit(2);
      world.put('k', value);
      world.commit(1);
      world.fail();
      world.compare();
      assert.equal(world.rows.has('k'), false);
      assert.ok(!world.rows.keys('', null, 9).includes('k'));
      world.put('k', value);
      world.commit(1);
      await world.crash();
      world.compare();
    }
  });

  it('who waits for room is called when there is some, once M118', async () => {
    const world = new World(1);
    await world.start();
    while (!world.rows.busy) world.change();
    let called = 0;
    world.rows.onRoom(() => called++);
    world.commit(world.log.length);
    await settle();
    assert.equal(called, 0);
    await world.flush();
    assert.equal(called, 1);
    assert.equal(world.told, world.log.length, 'each change was told of');
    while (!world.rows.busy) world.change();
    world.rows.onRoom(() => called++);
    world.fail();
    assert.equal(called, 1, 'not before all that failed is known');
    world.timers.turn();
    assert.equal(called, 2);
  });

  it('no row is written, and the mark stays, while values that ended before it still lie there M116 R35', async () => {
    const world = new World(1);
    await world.start();
    const keys = Array.from({ length: 4 * LIMITS.pieceRows }, (_, n) => `k${n}`);
    for (const key of keys) world.put(key, 'old');
    world.commit(keys.length);
    await world.flush();
    for (const key of keys) world.put(key, null);
    world.put('last', 'new');
    world.commit(world.log.length);
    await settle();
    // The first piece of several: it removes some of them. Then the power goes.
    assert.ok(await world.write(null));
    assert.equal(world.store.range(TABLE, ALL).length, keys.length - LIMITS.pieceRows);
    await world.start();
    world.compare();
    await world.stop();
    assert.equal(world.store.range(TABLE, ALL).length, 1);
  });

  it('a copy of the index that is not that of the rows is not used M116 R35', async () => {
    const world = new World(1);
    await world.start();
    const set = (count: number, value: string): void => {
      for (let n = 0; n < count; n++) world.put(`key ${n}`, value);
    };
    set(2000, 'first');
    await world.stop();
    const older = world.store.range(COPY, ALL);
    assert.ok(older.length > 2);
    set(1990, 'second');
    world.commit(1);
    await world.flush();
    assert.ok(!world.store.has(COPY, ''), 'it goes with the first change');
    await world.stop();
    const newer = world.store.range(COPY, ALL);
    const put = (rows: typeof newer): Promise<void> =>
      world.store.write(rows.map(({ key, value }) => ({ table: COPY, key, value })));
    await put(older);
    await world.start();
    world.compare();
    // A part of it is missing.
    await put(newer);
    await world.store.write([{ table: COPY, key: newer.at(-1)!.key, value: null }]);
    await world.start();
    world.compare();
    await world.stop();
    world.compare();
  });

  it('what comes while the index is copied ends the copy M116 R35', async () => {
    for (const fails of [false, true]) {
      const world = new World(1);
      await world.start();
      for (let n = 1_000; n < 10_000; n++) world.put(`key ${n}`, 'old');
      world.commit(world.log.length);
      await world.flush();
      world.rows.close();
      const saved = world.rows.checkpoint();
      await settle();
      assert.ok(await world.write(null), 'the first of two pieces');
      world.put('key 9999', 'new');
      world.timers.turn();
      await settle();
      if (fails) world.fail();
      await world.ended(saved);
      await world.start();
      world.compare();
      world.commit(1);
      await world.flush();
      await world.start();
      world.compare();
    }
  });

  it('a log that has lost its end is followed from its beginning, whatever the rows say M116 R35', async () => {
    const world = new World(1);
    await world.start();
    for (let n = 0; n < 20; n++) world.put(`k${n % 8}`, `v${n}`);
    for (const power of [false, true]) {
      await world.stop();
      world.log.length -= 5;
      const { length } = world.log;
      // It is cut in the middle of that, and begins again.
      if (power) await world.start(length, 2);
      await world.start(length);
      world.compare();
      world.put('more', `${power}`);
      world.commit(1);
      world.compare();
    }
  });
});
