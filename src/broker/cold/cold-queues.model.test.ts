/**
 * Random operations on queues that come and go from memory, against what must hold whatever they
 * were: each message reaches each queue whose subscriptions match it, in order, and what is
 * finished does not come back.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { slashSpelling } from '../addresses/address.ts';
import type { Subscription } from '../addresses/interest.ts';
import { slashPattern } from '../addresses/pattern.ts';
import { Collector, Rig, RigTimers } from '../broker.rig.ts';
import type { Queue } from '../queues/queue.ts';
import type { Attachment, Delivery } from '../queues/queue-consumers.ts';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';

const SEEDS = Number(process.env['COLD_SEEDS'] ?? 12);
const STEPS = 150;
const FILTERS = ['a/b', 'a/+', '#', 'b/#', '+/c', 'a/b/c'];
const TOPICS = ['a/b', 'a/c', 'b', 'b/c/d', 'a/b/c', 'x'];

/** What the owner of a queue stores of it, while it is not in memory: the mark when it left. */
const OWNER_KIND = 'test.owner';

interface Member {
  readonly name: string;
  readonly filters: readonly string[];
  /** Ids of messages that it must get, and did not finish for certain. */
  owed: number[];
  /** Finished, but perhaps not on disk. */
  finished: number[];
  /** Finished when the server crashed: they may come again, whenever that is. */
  readonly again: Set<number>;
  queue: Queue | null;
  subscriptions: Subscription[];
  attachment: Attachment | null;
  readonly got: Delivery[];
  cold: boolean;
}

class Run {
  readonly rig = new Rig();
  readonly seed: number;
  readonly random: SeededRandom;
  readonly members: Member[];
  readonly #options: { readonly coldWaitingMax: number; readonly coldLineMembers: number };
  #count = 0;
  #waiting: Promise<unknown>[] = [];

  constructor(seed: number) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.rig.timers = new RigTimers(() => this.rig.nowMs);
    this.rig.owners = seed % 5 === 0 ? 2 : 1;
    this.#options = {
      coldWaitingMax: this.random.pick([1, 4, 64]),
      coldLineMembers: this.random.pick([1, 2, 3, 32]),
    };
    this.members = Array.from({ length: 5 }, (_, n) => ({
      name: `q${n}`,
      filters: FILTERS.filter(() => this.random.next() < 0.4),
      ...{ owed: [], finished: [], queue: null, subscriptions: [], attachment: null, got: [] },
      again: new Set<number>(),
      cold: false,
    }));
  }

  async open(): Promise<void> {
    await this.rig.open(this.#options);
    for (const stream of ['s', 't']) this.rig.broker.streams.create(stream);
    this.#policy();
    for (const member of this.members) this.warm(member);
    await this.settled();
  }

  #policy(): void {
    this.rig.broker.cold.policy = {
      settings: { durable: true },
      wants: ({ qos }) => qos > 0,
      ...{ newestMax: Number.POSITIVE_INFINITY, dropped: () => {}, meta: (options) => options },
    };
  }

  warm(member: Member): void {
    const { broker } = this.rig;
    member.cold = false;
    broker.state.delete(OWNER_KIND, member.name);
    member.queue =
      broker.cold.warm(member.name) ?? broker.queues.declare(member.name, { durable: true });
    member.subscriptions = member.filters.map((filter) =>
      broker.subscribe({ pattern: slashPattern(filter)!, queue: member.queue! }),
    );
  }

  attach(member: Member): void {
    if (member.cold) this.warm(member);
    if (member.attachment !== null) return;
    const consumer = new Collector(this.random.below(6));
    const { broker } = this.rig;
    const deliver = consumer.deliver.bind(consumer);
    consumer.deliver = (delivery) => {
      deliver(delivery);
      // What a server that has crashed still reads is for nobody.
      if (this.rig.broker === broker) this.#got(member, delivery);
    };
    member.attachment = member.queue!.attach(consumer);
  }

  #got(member: Member, delivery: Delivery): void {
    const id = Number(delivery.message.value);
    const inFlight = new Set(member.got.map(({ message }) => Number(message.value)));
    const next = member.owed.find((owed) => !inFlight.has(owed));
    const isAgain = member.finished.includes(id) || member.again.has(id);
    assert.ok(
      next === id || isAgain,
      `seed ${this.seed}, ${member.name}: ${id} came before ${next}`,
    );
    member.got.push(delivery);
  }

  finish(member: Member): void {
    const delivery = member.got.shift();
    if (delivery === undefined) return;
    const id = Number(delivery.message.value);
    member.queue!.ack(delivery.position);
    member.owed = member.owed.filter((other) => other !== id);
    member.finished.push(id);
  }

  cool(member: Member): void {
    if (member.cold) return;
    this.detach(member);
    for (const subscription of member.subscriptions) subscription.end();
    const subscriptions = member.filters.map((filter) => {
      return { pattern: slashPattern(filter)!, options: 1 };
    });
    const { cold, state } = this.rig.broker;
    state.put(OWNER_KIND, member.name, Buffer.from(String(cold.mark)));
    cold.cool(member.name, subscriptions, this.random.next() < 0.3);
    member.queue = null;
    member.cold = true;
  }

  detach(member: Member): void {
    member.got.length = 0;
    member.attachment?.detach();
    member.attachment = null;
  }

  publish(): void {
    const topic = this.random.pick(TOPICS);
    const address = slashSpelling.parse(topic);
    for (let n = this.random.next() < 0.1 ? 80 : 1; n > 0; n--) {
      const id = this.#count++;
      for (const member of this.members) {
        const hit = member.filters.some((filter) => hits(filter, topic));
        if (hit) member.owed.push(id);
      }
      const rule = { stream: this.random.pick(['s', 't']) };
      this.#waiting.push(this.rig.publish(address, String(id), {}, rule));
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
    await this.rig.engine.flushed();
    for (const member of this.members) member.finished.length = 0;
  }

  async crash(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
    await this.rig.crash(this.#options);
    this.#policy();
    for (const member of this.members) {
      for (const id of member.finished) member.again.add(id);
      member.got.length = 0;
      member.attachment = null;
      // What its owner had on disk decides.
      const since = this.rig.broker.state.get(OWNER_KIND, member.name);
      member.cold = since !== undefined;
      if (since === undefined) this.warm(member);
      else {
        member.queue = null;
        const subscriptions = member.filters.map((filter) => {
          return { pattern: slashPattern(filter)!, options: 1 };
        });
        this.rig.broker.cold.cool(member.name, subscriptions, false, Number(since));
      }
    }
    this.rig.broker.cold.sweep();
  }

  async step(): Promise<void> {
    const member = this.random.pick(this.members);
    const choice = this.random.below(100);
    if (choice < 35) this.publish();
    else if (choice < 50) this.finish(member);
    else if (choice < 60) this.attach(member);
    else if (choice < 64) this.detach(member);
    else if (choice < 78) this.cool(member);
    else if (choice < 86) this.rig.pass(this.random.pick([1, 25, 60]));
    else if (choice < 92) await this.settled();
    else if (choice < 95) await this.rig.engine.checkpoint();
    else if (choice < 98) await new Promise((resolve) => setImmediate(resolve));
    else await this.crash();
  }

  async end(): Promise<void> {
    for (const member of this.members) {
      this.detach(member);
      if (member.cold) this.warm(member);
      const consumer = new Collector();
      member.queue!.attach(consumer);
      await this.settled();
      const owed = member.owed.length;
      for (let turn = 0; consumer.got.length < owed; turn++) {
        assert.ok(turn < 3000, `${member.name}: ${consumer.got.length} of ${owed}`);
        this.rig.pass(10);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const got = consumer.values.map(Number);
      assert.deepEqual(
        got.filter((id) => member.owed.includes(id)),
        member.owed,
        member.name,
      );
    }
    const { cold } = this.rig.broker;
    assert.deepEqual([cold.count, cold.messages, cold.filters.size], [0, 0, 0]);
  }
}

function hits(filter: string, topic: string): boolean {
  const pattern = new RegExp(
    `^${filter.replace('/#', '(/.*)?').replace('#', '.*').replaceAll('+', '[^/]*')}$`,
  );
  return pattern.test(topic);
}

describe('queues that come and go from memory', () => {
  it('get every message that matches, in order, through crashes M198 X64', async () => {
    const only = process.env['COLD_SEED'];
    const first = only === undefined ? 1 : Number(only);
    const last = only === undefined ? SEEDS : first;
    for (let seed = first; seed <= last; seed++) {
      const run = new Run(seed);
      await run.open();
      try {
        for (let step = 0; step < STEPS; step++) await run.step();
        await run.end();
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
      }
      await run.rig.close();
    }
  });
});
