/**
 * Random histories of one partition: producers in transactions and without, messages of other
 * protocols, commits, aborts, crashes. Whatever happens, other protocols get what counts, in the
 * order of the log, once, and nothing behind an open transaction.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BrokerError } from '#kit';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig } from '../broker.rig.ts';
import type { Message } from '../records/message.ts';
import { packBatch } from '../records/record-batch.fixture.ts';
import { seededRandom } from '../seeded-random.rig.ts';
import type { Partition } from './partition.ts';

const TRANSACTIONAL = 0x10;
const PRODUCERS = 3;
const STEPS = 60;
const HISTORIES = Number(process.env['TRANSACTION_HISTORIES'] ?? 12);

interface Entry {
  readonly value: string;
  /** Number of its transaction, or 0. */
  readonly transaction: number;
}

class History {
  readonly rig = new Rig();
  readonly #next: () => number;
  readonly #entries: Entry[] = [];
  readonly #committed = new Set<number>([0]);
  /** The open transaction of each producer, or 0. */
  readonly #open = new Array<number>(PRODUCERS).fill(0);
  readonly #sequences = new Array<number>(PRODUCERS).fill(0);
  #transactions = 0;
  #values = 0;
  #partition!: Partition;

  constructor(seed: number) {
    const random = seededRandom(seed);
    this.#next = () => random.bytes(4).readUInt32BE() / 2 ** 32;
  }

  async run(): Promise<void> {
    await this.rig.open();
    this.rig.broker.streams.create('orders', { partitions: 1 });
    await this.rig.broker.streams.durable();
    const queue = this.rig.broker.queues.declare('bound', { durable: true });
    this.rig.broker.subscribe({ pattern: plainDotPattern('orders'), queue });
    this.#watch(true);
    await this.rig.engine.flushed();
    for (let step = 0; step < STEPS; step++) await this.#step();
    for (let producer = 0; producer < PRODUCERS; producer++) await this.#end(producer, false);
    await this.#check();
    await this.rig.close();
  }

  async #step(): Promise<void> {
    const dice = this.#next();
    const producer = Math.floor(this.#next() * PRODUCERS);
    if (dice < 0.4) await this.#write(producer);
    else if (dice < 0.5) await this.#write(-1);
    else if (dice < 0.7) await this.#publish();
    else if (dice < 0.94) await this.#end(producer, this.#next() < 0.6);
    else await this.#crash();
  }

  async #write(producer: number): Promise<void> {
    const values = Array.from({ length: 1 + Math.floor(this.#next() * 3) }, () => this.#value());
    const inOne = producer >= 0;
    if (inOne && this.#open[producer] === 0) this.#open[producer] = ++this.#transactions;
    const shape = {
      producerId: inOne ? 100 + producer : -1,
      producerEpoch: inOne ? 0 : -1,
      baseSequence: inOne ? this.#sequences[producer]! : -1,
      attributes: inOne ? TRANSACTIONAL : 0,
    };
    if (inOne) this.#sequences[producer]! += values.length;
    const timeMs = this.rig.nowMs;
    const bytes = packBatch(
      values.map((value) => ({ key: null, value, timeMs })),
      shape,
    );
    const facts = {
      ...{ kind: 'data' as const, count: values.length, maxTimestampMs: timeMs },
      ...{ serverPacked: false, origin: 2, principal: 0, ...shape },
    };
    const transaction = inOne ? this.#open[producer]! : 0;
    for (const value of values) this.#entries.push({ value, transaction });
    await told((done) => this.rig.broker.appendBatch(this.#partition, bytes, facts, done));
  }

  async #publish(): Promise<void> {
    const value = this.#value();
    this.#entries.push({ value, transaction: 0 });
    await this.rig.publish('orders', value, { qos: this.#next() < 0.5 ? 0 : 1 });
  }

  async #end(producer: number, isCommit: boolean): Promise<void> {
    const transaction = this.#open[producer]!;
    if (transaction === 0) return;
    this.#open[producer] = 0;
    if (isCommit) this.#committed.add(transaction);
    const ids = { producerId: 100 + producer, producerEpoch: 0, coordinatorEpoch: 0 };
    const { transactions } = this.rig.broker;
    await told((done) => transactions.end(this.#partition, { ...ids, isCommit }, done));
  }

  async #crash(): Promise<void> {
    await this.rig.crash();
    this.#watch(false);
  }

  #watch(isFirst: boolean): void {
    const { broker } = this.rig;
    this.#partition = broker.streams.get('orders')!.partitions[0]!;
    const pattern = plainDotPattern('orders');
    if (!isFirst) broker.subscribe({ pattern, queue: broker.queues.get('bound')! });
    const partition = this.#partition;
    let last = -1;
    const receive = ({ offset, value }: Message): void => {
      assert.ok(offset > last, 'live readers get messages in the order of the log');
      last = offset;
      for (const { firstOffset } of broker.transactions.openIn(partition)) {
        assert.ok(offset < firstOffset, `${value} is behind an open transaction`);
      }
    };
    broker.subscribe({ pattern, subscriber: { receive } });
    broker.resume();
  }

  async #check(): Promise<void> {
    await this.#crash();
    const wanted = this.#entries
      .filter(({ transaction }) => this.#committed.has(transaction))
      .map(({ value }) => value);
    assert.deepEqual(await this.rig.stored('orders'), wanted);
    const collector = new Collector();
    this.rig.broker.queues.get('bound')!.attach(collector);
    await collector.count(wanted.length);
    assert.deepEqual(collector.values, wanted);
  }

  #value(): string {
    this.#values++;
    return `v${this.#values}`;
  }
}

function told(begin: (done: (error: BrokerError | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) =>
    begin((error) => (error === null ? resolve() : reject(error))),
  );
}

describe('random transactions', () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    it(`history ${seed}: others get what counts, in order, once X30 X62 X63`, async () => {
      await new History(seed).run();
    });
  }
});
