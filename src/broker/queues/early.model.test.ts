/**
 * Random publishes, refusals of the log, consumers and answers on two queues that deliver before
 * the commit: one reads the stream itself, one holds references in memory. What must hold: order,
 * each stored message once to who finishes, nothing foreign, every message in one place (X64).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig } from '../broker.rig.ts';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';
import type { Queue } from './queue.ts';
import type { Attachment, Delivery } from './queue-consumers.ts';

const SEEDS = Number(process.env['QUEUE_SEEDS'] ?? 8);
const STEPS = 150;

class Run {
  readonly rig = new Rig();
  readonly random: SeededRandom;
  readonly stored = new Set<string>();
  readonly refused = new Set<string>();
  readonly pending: Promise<unknown>[] = [];
  readonly finishing = new Collector();
  /** Deliveries of the queue in memory that are not answered. */
  readonly open = new Map<number, Delivery>();
  /** By place: what was delivered from it. */
  readonly seen = new Map<number, string>();
  finisher: Attachment | null = null;
  holder: Attachment | null = null;
  cursor!: Queue;
  memory!: Queue;
  refuses = false;
  #sent = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  async begin(): Promise<void> {
    await this.rig.open();
    const { streams, queues } = this.rig.broker;
    const stream = streams.create('q');
    this.cursor = queues.declare('q', { durable: true, stream: 'q' });
    this.memory = queues.declare('memory', { durable: false, maxDeliveries: 4 });
    this.rig.broker.subscribe({ pattern: plainDotPattern('#'), queue: this.memory });
    const { log } = stream.partitions[0]!;
    const append = log.append.bind(log);
    log.append = (...batch) => {
      if (this.refuses) throw new BrokerError('storage-full');
      return append(...batch);
    };
  }

  publish(): void {
    const value = String(this.#sent++);
    const qos = this.random.pick([0, 0, 0, 1, 1, 2] as const);
    const told = this.rig.publish('q', value, { qos }).then(
      () => this.stored.add(value),
      () => this.refused.add(value),
    );
    this.pending.push(told);
  }

  /** A consumer of the queue in memory: what it gets is answered by later steps. */
  hold(): void {
    if (this.holder !== null) return;
    const prefetch = 1 + this.random.below(20);
    const deliver = (delivery: Delivery): void => {
      const { position, message } = delivery;
      const value = message.value!.toString();
      assert.equal(this.seen.get(position) ?? value, value, 'another message at the same place');
      if (!this.seen.has(position)) assert.ok(!this.refused.has(value), `${value} was refused`);
      this.seen.set(position, value);
      assert.ok(!this.open.has(position));
      this.open.set(position, delivery);
      assert.ok(this.open.size <= prefetch);
    };
    this.holder = this.memory.attach({ ready: () => true, deliver }, { prefetch });
  }

  leave(): void {
    this.open.clear();
    this.holder?.detach();
    this.holder = null;
  }

  answer(): void {
    const positions = [...this.open.keys()];
    if (positions.length === 0) return;
    const position = this.random.pick(positions);
    this.open.delete(position);
    const how = this.random.pick(['ack', 'ack', 'ack', 'requeue', 'reject', 'drop'] as const);
    assert.equal(this.memory[how](position), true);
  }

  finish(): void {
    if (this.finisher !== null) {
      this.finisher.detach();
      this.finisher = null;
    } else this.finisher = this.cursor.attach(this.finishing, { finishes: true });
  }

  async settle(): Promise<void> {
    await Promise.all(this.pending.splice(0));
    this.refuses = false;
    this.check();
  }

  check(): void {
    for (const { counts } of [this.cursor, this.memory]) {
      const { appended, pending, inFlight, acked, deadLettered, expired, dropped, gone } = counts;
      const ended = acked + deadLettered + expired + dropped + gone;
      assert.equal(ended + inFlight + pending, appended);
      assert.ok(pending >= 0 && inFlight >= 0);
    }
    assert.equal(this.memory.unackedCount, this.open.size);
  }

  async step(): Promise<void> {
    const choice = this.random.below(20);
    if (choice < 9) this.publish();
    else if (choice < 14) this.answer();
    else if (choice === 14) this.hold();
    else if (choice === 15) this.leave();
    else if (choice === 16) this.finish();
    else if (choice === 17) this.refuses = true;
    else await this.settle();
    this.check();
  }

  async end(): Promise<void> {
    await this.settle();
    if (this.finisher === null) this.finish();
    this.publish();
    await this.settle();
    const values = this.finishing.values.map(Number);
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
    );
    const got = new Set(this.finishing.values);
    assert.equal(got.size, values.length);
    for (const value of this.stored) assert.ok(got.has(value), `${value} did not arrive`);
    // Those that were refused were with it before that, or never.
    for (const value of got) assert.ok(this.stored.has(value) || this.refused.has(value));
    this.hold();
    while (this.open.size > 0) {
      for (const position of [...this.open.keys()]) {
        this.open.delete(position);
        this.memory.ack(position);
      }
      await this.settle();
    }
    assert.equal(this.memory.readyCount, 0);
    const seen = new Set(this.seen.values());
    for (const value of this.stored) assert.ok(seen.has(value), `${value} did not arrive`);
    await this.rig.close();
  }
}

describe('early deliveries at random', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`seed ${seed}`, async () => {
      const run = new Run(seed);
      await run.begin();
      for (let step = 0; step < STEPS; step++) await run.step();
      await run.end();
    });
  }
});
