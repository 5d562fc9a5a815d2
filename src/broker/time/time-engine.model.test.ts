/**
 * Random operations on the time engine against a map. A crash may lose what was not committed, but
 * only as one piece: what is found again is the model as it was at some moment after the last
 * commit that was told. What was done for an entry is a row of its own, so an entry that fires
 * twice, or fires and stays, shows.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';
import type { StateLimits } from '../state/state-store.ts';
import { TimeBench } from './time-engine.rig.ts';

const SMALL: StateLimits = { pieceRows: 7, pieceBytes: 300, heldRows: 40, heldBytes: 1 << 20 };
const KINDS = ['a', 'b', 'c'];
const IDS = 40;
const EFFECT = 'effect';

interface Wanted {
  readonly dueMs: number;
  readonly value: string;
}

class Model {
  /** `kind/id` -> entry. */
  pending = new Map<string, Wanted>();
  /** Value of a fired entry -> how often. */
  effects = new Map<string, number>();

  text(): string {
    const pending = [...this.pending].sort(byName);
    return JSON.stringify([pending, [...this.effects].sort(byName)]);
  }
}

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}

class Run {
  readonly bench: TimeBench;
  readonly random: SeededRandom;
  model = new Model();
  /** The model after each step since the last commit that was told. */
  moments: string[] = [];
  made: { kind: string; id: string }[] = [];
  values = 0;
  /** When each value was set: some are due before. */
  readonly setMs = new Map<string, number>();
  lateMsMax = 0;
  exact = true;

  constructor(bench: TimeBench, seed: number) {
    this.bench = bench;
    this.random = seededRandom(seed);
    this.moments = [this.model.text()];
  }

  register(): void {
    for (const kind of KINDS) {
      this.bench.time.register(kind, ({ id, dueMs, value }) => {
        const text = value.toString();
        const name = `${kind}/${id}`;
        assert.deepEqual(this.model.pending.get(name), { dueMs, value: text }, name);
        assert.ok(dueMs <= this.bench.nowMs, 'not before its time');
        const lateMs = this.bench.nowMs - Math.max(dueMs, this.setMs.get(text) ?? 0);
        if (this.exact) this.lateMsMax = Math.max(this.lateMsMax, lateMs);
        this.model.pending.delete(name);
        const count = (this.model.effects.get(text) ?? 0) + 1;
        this.model.effects.set(text, count);
        this.bench.state.put(EFFECT, text, Buffer.from(String(count)));
        this.#moment();
      });
    }
  }

  set(): void {
    const { random, bench } = this;
    const kind = random.pick(KINDS);
    // Many of one moment, and some that are due already.
    const dueMs = bench.nowMs + (random.below(4) === 0 ? 500 : random.below(20_000) - 200);
    const value = `v${this.values++}`;
    let id = `id${random.below(IDS)}`;
    if (random.below(3) === 0) {
      id = bench.time.add(kind, dueMs, Buffer.from(value));
      this.made.push({ kind, id });
    } else bench.time.set(kind, id, dueMs, Buffer.from(value));
    this.setMs.set(value, bench.nowMs);
    this.model.pending.set(`${kind}/${id}`, { dueMs, value });
    this.#moment();
  }

  cancel(): void {
    const { random } = this;
    const made = random.below(2) === 0 ? this.made[random.below(this.made.length)] : undefined;
    const { kind, id } = made ?? { kind: random.pick(KINDS), id: `id${random.below(IDS)}` };
    const had = this.model.pending.delete(`${kind}/${id}`);
    assert.equal(this.bench.time.cancel(kind, id), had, `${kind}/${id}`);
    this.#moment();
  }

  async pass(): Promise<void> {
    await this.bench.pass(this.random.below(3000));
    this.exact = true;
    this.overdue(100);
  }

  async jump(): Promise<void> {
    this.exact = false;
    this.bench.jump(this.random.below(30_000) - 15_000);
    // A clock that was set is noticed after ten seconds at most.
    await this.bench.pass(10_100);
    this.overdue(0);
  }

  /** Nothing that has a handler stays behind. */
  overdue(allowedMs: number): void {
    for (const [name, { dueMs }] of this.model.pending) {
      assert.ok(dueMs + allowedMs >= this.bench.nowMs, `${name} should have fired`);
    }
  }

  async commit(): Promise<void> {
    const { length } = this.moments;
    await this.bench.committed();
    this.moments.splice(0, length - 1);
  }

  async crash(): Promise<void> {
    await this.bench.crash();
    const found = await this.#found();
    assert.ok(this.moments.includes(found.text()), 'a moment since the last commit');
    this.#restarted(found);
  }

  async restart(): Promise<void> {
    await this.bench.restart();
    const found = await this.#found();
    assert.equal(found.text(), this.model.text());
    this.#restarted(found);
  }

  check(): void {
    for (const kind of KINDS) {
      const names = [...this.model.pending.keys()].filter((name) => name.startsWith(`${kind}/`));
      assert.equal(this.bench.time.count(kind), names.length, `count of ${kind}`);
    }
  }

  #restarted(found: Model): void {
    this.model = found;
    this.moments = [found.text()];
    this.exact = false;
    this.register();
  }

  async #found(): Promise<Model> {
    const model = new Model();
    for (const kind of KINDS) {
      let last = (await this.bench.time.list(kind, 1))[0];
      for (let page = last === undefined ? [] : [last]; page.length > 0; ) {
        for (const { id, dueMs, value } of page) {
          model.pending.set(`${kind}/${id}`, { dueMs, value: value.toString() });
        }
        const before = last;
        last = page.at(-1);
        assert.ok(before!.dueMs <= last!.dueMs, 'in the order of time');
        page = [...(await this.bench.time.list(kind, 9, last))];
      }
    }
    for (const [value, count] of this.bench.state.scan(EFFECT)) {
      model.effects.set(value, Number(count.toString()));
    }
    return model;
  }

  #moment(): void {
    this.moments.push(this.model.text());
  }
}

async function step(run: Run): Promise<void> {
  const chance = run.random.below(100);
  if (chance < 55) run.set();
  else if (chance < 72) run.cancel();
  else if (chance < 84) await run.pass();
  else if (chance < 90) await run.commit();
  else if (chance < 93) await run.bench.engine.checkpoint();
  else if (chance < 95) await run.jump();
  else if (chance < 98) await run.crash();
  else await run.restart();
  run.check();
}

const SEEDS = Number(process.env['MODEL_SEEDS'] ?? 12);

describe('time engine against a model', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`fires every entry exactly once, whatever happens: seed ${seed} X69 R35`, async () => {
      const bench = await TimeBench.open({ seed, limits: SMALL, windowKeys: 4 });
      const run = new Run(bench, seed);
      run.register();
      for (let count = 0; count < 250; count++) await step(run);
      await bench.pass(60_000);
      await bench.settle();
      assert.equal(run.model.pending.size, 0);
      for (const [value, count] of run.model.effects) assert.equal(count, 1, value);
      assert.ok(run.lateMsMax <= 100, `${run.lateMsMax} ms late`);
      await bench.close();
    });
  }
});
