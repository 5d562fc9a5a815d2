/**
 * Random operations on queues that come and go from memory, against what must hold whatever they
 * were: each message reaches each queue whose subscriptions match it, in order, what is finished
 * does not come back, what has expired does not come at all, and nothing is left behind. Crashes
 * hit messages and moves that are not on disk yet.
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
import type { ColdSubscription } from './cold-policy.ts';

const SEEDS = Number(process.env['COLD_SEEDS'] ?? 12);
const STEPS = 150;
const FILTERS = ['a/b', 'a/+', '#', 'b/#', '+/c', 'a/b/c'];
const TOPICS = ['a/b', 'a/c', 'b', 'b/c/d', 'a/b/c', 'x'];
const TURNS_MAX = 3000;

/** What the owner of a queue stores of it: its filters, and when it left memory; -1: it did not. */
const OWNER_KIND = 'test.owner';
/** Kinds of state that must be empty when all are in memory and have everything. */
const KINDS = ['cold/queue', 'cold/queue.waiting', 'cold/queue.line'];
const TIME_KINDS = ['queue.head', 'queue.line'];

interface OwnerRow {
  readonly filters: readonly string[];
  readonly since: number;
}

interface Sent {
  readonly id: number;
  readonly expiresAtMs: number;
  /** Its publisher was told: it must come. */
  told: boolean;
}

interface Member {
  readonly name: string;
  filters: readonly string[];
  /** What it must get, or may, in this order, and did not finish for certain. */
  owed: Sent[];
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
      filters: this.#someFilters(),
      ...{ owed: [], finished: [], queue: null, subscriptions: [], attachment: null, got: [] },
      again: new Set<number>(),
      cold: false,
    }));
  }

  #someFilters(): string[] {
    return FILTERS.filter(() => this.random.next() < 0.4);
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

  #store(member: Member, since: number): void {
    const row: OwnerRow = { filters: member.filters, since };
    this.rig.broker.state.put(OWNER_KIND, member.name, Buffer.from(JSON.stringify(row)));
  }

  warm(member: Member): void {
    const { broker } = this.rig;
    member.cold = false;
    this.#store(member, -1);
    member.queue =
      broker.cold.warm(member.name) ?? broker.queues.declare(member.name, { durable: true });
    this.#subscribe(member);
  }

  #subscribe(member: Member): void {
    const old = member.subscriptions;
    member.subscriptions = member.filters.map((filter) =>
      this.rig.broker.subscribe({ pattern: slashPattern(filter)!, queue: member.queue! }),
    );
    for (const subscription of old) subscription.end();
  }

  /** Where owners differ, a message may be on disk before the filters that it matched. */
  change(member: Member): void {
    if (this.rig.owners > 1) return;
    if (member.cold) this.warm(member);
    member.filters = this.#someFilters();
    this.#store(member, -1);
    this.#subscribe(member);
  }

  attach(member: Member): void {
    if (member.cold) this.warm(member);
    if (member.attachment !== null) return;
    const consumer = new Collector(this.random.below(6));
    member.attachment = member.queue!.attach(this.#checked(member, consumer));
  }

  #checked(member: Member, consumer: Collector): Collector {
    const { broker } = this.rig;
    const deliver = consumer.deliver.bind(consumer);
    consumer.deliver = (delivery) => {
      deliver(delivery);
      // What a server that has crashed still reads is for nobody.
      if (this.rig.broker === broker) this.#got(member, delivery);
    };
    return consumer;
  }

  #got(member: Member, delivery: Delivery): void {
    const id = Number(delivery.message.value);
    const inFlight = new Set(member.got.map(({ message }) => Number(message.value)));
    const at = member.owed.findIndex((sent) => sent.id === id);
    const isAgain = member.finished.includes(id) || member.again.has(id);
    assert.ok(at >= 0 || isAgain, `${this.#at(member)}: ${id} came for nothing`);
    member.got.push(delivery);
    if (at < 0 || inFlight.has(id)) return;
    const { expiresAtMs } = member.owed[at]!;
    const { nowMs } = this.rig;
    assert.ok(expiresAtMs === 0 || nowMs < expiresAtMs, `${this.#at(member)}: ${id} had expired`);
    const passed = member.owed.slice(0, at).filter((sent) => !inFlight.has(sent.id));
    for (const { id: other, told, expiresAtMs: endMs } of passed) {
      const isGone = endMs !== 0 && endMs <= nowMs;
      assert.ok(!told || isGone, `${this.#at(member)}: ${id} came before ${other}`);
    }
    member.owed = member.owed.filter((sent) => !passed.includes(sent));
  }

  #at(member: Member): string {
    return `seed ${this.seed}, ${member.name}`;
  }

  finish(member: Member): void {
    const delivery = member.got.shift();
    if (delivery === undefined) return;
    const id = Number(delivery.message.value);
    member.queue!.ack(delivery.position);
    member.owed = member.owed.filter((sent) => sent.id !== id);
    member.finished.push(id);
  }

  cool(member: Member): void {
    if (member.cold) return;
    this.detach(member);
    for (const subscription of member.subscriptions.splice(0)) subscription.end();
    const { cold } = this.rig.broker;
    this.#store(member, cold.mark);
    cold.cool(member.name, coldSubscriptions(member), this.random.next() < 0.3);
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
    const brief = this.random.next() < 0.2;
    for (let n = this.random.next() < 0.1 ? 80 : 1; n > 0; n--) {
      const expiresAtMs = brief ? this.rig.nowMs + this.random.pick([20, 90]) : 0;
      const sent: Sent = { id: this.#count++, expiresAtMs, told: false };
      for (const member of this.members) {
        if (member.filters.some((filter) => hits(filter, topic))) member.owed.push(sent);
      }
      const rule = { stream: this.random.pick(['s', 't']) };
      const { broker } = this.rig;
      // What a server that has crashed still says is heard by nobody.
      const told = (): void => {
        sent.told = this.rig.broker === broker;
      };
      const stored = this.rig.publish(address, String(sent.id), { expiresAtMs }, rule);
      this.#waiting.push(stored.then(told, () => {}));
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
    await this.rig.engine.flushed();
    for (const member of this.members) member.finished.length = 0;
  }

  async crash(): Promise<void> {
    // What is on its way may be lost, or not.
    if (this.random.next() < 0.5) await Promise.all(this.#waiting);
    this.#waiting.length = 0;
    await this.rig.crash(this.#options);
    this.#policy();
    for (const member of this.members) {
      for (const id of member.finished) member.again.add(id);
      member.got.length = 0;
      member.attachment = null;
      member.subscriptions.length = 0;
      // What its owner had on disk decides.
      const value = this.rig.broker.state.get(OWNER_KIND, member.name)!;
      const { filters, since } = JSON.parse(value.toString()) as OwnerRow;
      member.filters = filters;
      member.cold = since >= 0;
      if (since < 0) this.warm(member);
      else {
        member.queue = null;
        this.rig.broker.cold.cool(member.name, coldSubscriptions(member), false, since);
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
    else if (choice < 77) this.cool(member);
    else if (choice < 79) this.change(member);
    else if (choice < 86) this.rig.pass(this.random.pick([1, 25, 60]));
    else if (choice < 92) await this.settled();
    else if (choice < 95) await this.rig.engine.checkpoint();
    else if (choice < 98) await new Promise((resolve) => setImmediate(resolve));
    else await this.crash();
  }

  async end(): Promise<void> {
    await this.settled();
    for (const member of this.members) {
      this.detach(member);
      if (member.cold) this.warm(member);
      member.attachment = member.queue!.attach(this.#checked(member, new Collector()));
      const owes = (): boolean => member.owed.some((sent) => this.#must(sent));
      await this.#until(
        () => {
          while (member.got.length > 0) this.finish(member);
          return !owes();
        },
        `${member.name} has not got ${member.owed.map(({ id }) => id)}`,
      );
    }
    const { cold, state, time } = this.rig.broker;
    assert.deepEqual([cold.count, cold.messages, cold.filters.size], [0, 0, 0]);
    const left = (): string[] => [
      ...KINDS.filter((kind) => state.count(kind) > 0),
      ...TIME_KINDS.filter((kind) => time.first(kind) !== undefined),
    ];
    await this.#until(() => left().length === 0, 'something is left behind');
    for (const name of ['s', 't']) {
      const [partition] = this.rig.broker.streams.get(name)!.partitions;
      assert.equal(cold.firstOffset(partition!), Number.POSITIVE_INFINITY);
    }
  }

  #must({ told, expiresAtMs }: Sent): boolean {
    return told && (expiresAtMs === 0 || expiresAtMs > this.rig.nowMs);
  }

  async #until(done: () => boolean, problem: string): Promise<void> {
    for (let turn = 0; !done(); turn++) {
      assert.ok(turn < TURNS_MAX, problem);
      this.rig.pass(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function coldSubscriptions({ filters }: Member): ColdSubscription[] {
  return filters.map((filter) => ({ pattern: slashPattern(filter)!, options: 1 }));
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
      } finally {
        await run.rig.close();
      }
    }
  });
});
