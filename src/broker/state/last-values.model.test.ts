/** Random kept values, patterns and crashes against a map that is searched one by one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { slashSpelling } from '../addresses/address.ts';
import { matches, slashPattern } from '../addresses/pattern.ts';
import { Rig } from '../broker.rig.ts';
import type { Broker } from '../broker.ts';
import { SERVER_PRINCIPAL } from '../principals/principal.ts';
import { Message } from '../records/message.ts';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';
import { LAST_VALUES } from '../streams/last-values-stream.ts';

/** Neighbours of the separator in every order that keys could be sorted in. */
const LEVELS = [
  'a',
  'b',
  'a!',
  'a-',
  'ab',
  '',
  '$s',
  '_INBOX',
  'é',
  '\ufffd',
  '\u{1f600}',
  '\u0001',
];

class Run {
  readonly rig: Rig;
  readonly random: SeededRandom;
  model = new Map<string, string>();
  /** The model at each moment since the last commit that was told. */
  moments: string[] = ['[]'];
  #values = 0;
  #last = -1;

  constructor(rig: Rig, seed: number) {
    this.rig = rig;
    this.random = seededRandom(seed);
  }

  address(): string {
    while (true) {
      const count = 1 + this.random.below(4);
      const levels = Array.from({ length: count }, () => this.random.pick(LEVELS));
      const text = levels.join('/');
      if (text !== '') return text;
    }
  }

  put(): void {
    const text = this.address();
    const value = `v${this.#values++}`;
    const message = new Message(slashSpelling.parse(text), Buffer.from(value), 0);
    message.principal = SERVER_PRINCIPAL;
    message.retain = true;
    this.#last = this.rig.broker.lastValues.keep(message);
    this.model.set(text, value);
    this.#moment();
  }

  remove(): void {
    const known = [...this.model.keys()];
    const text = known.length > 0 ? this.random.pick(known) : this.address();
    const offset = this.rig.broker.lastValues.remove(slashSpelling.parse(text));
    if (offset >= 0) this.#last = offset;
    this.model.delete(text);
    this.#moment();
  }

  look(): void {
    const count = 1 + this.random.below(4);
    const levels = Array.from({ length: count }, () =>
      this.random.below(2) === 0 ? '+' : this.random.pick(LEVELS),
    );
    if (this.random.below(2) === 0) levels.push('#');
    const pattern = slashPattern(levels.join('/'));
    if (pattern === null) return;
    const found = new Map<string, string>();
    for (const message of this.rig.broker.lastValues.match(pattern)) {
      if (message === null) continue;
      assert.ok(!found.has(message.address.text), 'each address once');
      found.set(message.address.text, message.value!.toString());
    }
    const wanted = [...this.model].filter(([text]) => matches(pattern, text.split('/')));
    assert.deepEqual([...found].sort(), wanted.sort(), pattern.text);
    const exact = slashSpelling.parse(this.address());
    const one = this.rig.broker.lastValues.get(exact)?.value?.toString();
    assert.equal(one, this.model.get(exact.text));
  }

  async commit(): Promise<void> {
    const { length } = this.moments;
    await settled(this.rig.broker, this.#last);
    this.moments.splice(0, length - 1);
  }

  async crash(): Promise<void> {
    this.rig.broker.time.close();
    await this.rig.crash();
    this.model = new Map();
    for (const message of this.rig.broker.lastValues.match(slashPattern('#')!)) {
      if (message !== null) this.model.set(message.address.text, message.value!.toString());
    }
    // `#` does not show what begins with `$`.
    for (const first of ['$s', '_INBOX']) {
      for (const message of this.rig.broker.lastValues.match(slashPattern(`${first}/#`)!)) {
        if (message !== null) this.model.set(message.address.text, message.value!.toString());
      }
    }
    assert.ok(this.moments.includes(this.#text()), 'a moment since the last commit');
    this.moments = [this.#text()];
    await this.#compareWithLog();
  }

  /** The log and the table say the same. */
  async #compareWithLog(): Promise<void> {
    const partition = this.rig.broker.streams.get(LAST_VALUES)?.partitions[0];
    if (partition === undefined) return;
    const found = new Map<string, string>();
    for (let offset = partition.startOffset; offset < partition.highWatermark; ) {
      const run = await partition.readRun(offset, 1 << 20);
      for (const { address, value } of run.messages) {
        if (value === null) found.delete(address.text);
        else found.set(address.text, value.toString());
      }
      offset = run.next;
    }
    assert.deepEqual([...found].sort(), [...this.model].sort());
    await this.rig.engine.checkpoint();
    const all = { from: '', before: null, rowsMax: Number.POSITIVE_INFINITY };
    const rows = this.rig.meta.range('last-values', all);
    const { count, bytes } = this.rig.broker.lastValues;
    assert.equal(rows.length, count, 'a row for each value, and no others');
    assert.equal(
      rows.reduce((sum, { value }) => sum + value.length, 0),
      bytes,
    );
  }

  #moment(): void {
    this.moments.push(this.#text());
  }

  #text(): string {
    return JSON.stringify([...this.model].sort());
  }
}

function settled(broker: Broker, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    broker.lastValues.settled(offset, (error) => (error === null ? resolve() : reject(error)));
  });
}

describe('last values against a model', () => {
  for (let seed = 1; seed <= 8; seed++) {
    it(`finds what a search one by one finds: seed ${seed} M116 R35`, async () => {
      const rig = new Rig(seededRandom(seed));
      await rig.open();
      const run = new Run(rig, seed);
      for (let step = 0; step < 400; step++) {
        const chance = run.random.below(100);
        if (chance < 50) run.put();
        else if (chance < 65) run.remove();
        else if (chance < 90) run.look();
        else if (chance < 96) await run.commit();
        else if (chance < 98) await rig.engine.checkpoint();
        else await run.crash();
        assert.equal(rig.broker.lastValues.count, run.model.size);
      }
      await rig.close();
    });
  }

  it('goes where a pattern can match, past a hundred thousand others M116', async () => {
    const rig = new Rig();
    const broker = await rig.open();
    for (let n = 0; n < 100_000; n++) {
      const message = new Message(slashSpelling.parse(`d/${n % 50}/s${n}`), Buffer.from('v'), 0);
      message.principal = SERVER_PRINCIPAL;
      const offset = broker.lastValues.keep(message);
      if (n % 1000 === 0) await settled(broker, offset);
    }
    const steps = (filter: string): [number, number] => {
      let [found, looks] = [0, 0];
      for (const message of broker.lastValues.match(slashPattern(filter)!)) {
        if (message === null) looks++;
        else found++;
      }
      return [found, looks];
    };
    assert.deepEqual(steps('d/7/s57'), [1, 0]);
    const [found, looks] = steps('d/+/s77');
    assert.equal(found, 1);
    // Two for each of the fifty levels under the wildcard.
    assert.ok(looks <= 100, `${looks} looks`);
    assert.equal(steps('d/9/#')[0], 2000);
    assert.equal(steps('+/+/none')[0], 0);
    await rig.close();
  });
});
