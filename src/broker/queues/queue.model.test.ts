/**
 * Random operations on one queue, against what must hold whatever they were: nothing is lost,
 * nothing comes back that is finished, and every message is counted in one place (X64).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Collector, Rig, RigTimers } from '../broker.rig.ts';
import type { Queue } from './queue.ts';
import type { Attachment, Delivery } from './queue-consumers.ts';
import type { QueueSettings } from './queue-settings.ts';

const SEEDS = Number(process.env['QUEUE_SEEDS'] ?? 25);
const STEPS = 120;

class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 2654435761 + 1;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

interface Sent {
  readonly id: number;
  readonly key: string | null;
  readonly priority: number;
  state: 'open' | 'acked' | 'dead';
  /** The end was on disk before the last crash. */
  certain: boolean;
  delivered: boolean;
}

class Consumer extends Collector {
  attachment: Attachment | null = null;
  readonly #got: (consumer: Consumer, delivery: Delivery) => void;

  constructor(credit: number, got: (consumer: Consumer, delivery: Delivery) => void) {
    super(credit);
    this.#got = got;
  }

  override deliver(delivery: Delivery): void {
    super.deliver(delivery);
    this.#got(this, delivery);
  }
}

/** One run: a queue, its consumers, and what is known of each message. */
class Run {
  readonly rig = new Rig();
  readonly chance: Chance;
  readonly settings: QueueSettings;
  readonly dies: boolean;
  readonly sent: Sent[] = [];
  readonly inFlight = new Map<number, { sent: Sent; consumer: Consumer }>();
  consumers: Consumer[] = [];
  queue!: Queue;

  constructor(seed: number) {
    this.chance = new Chance(seed);
    const { chance } = this;
    this.rig.timers = new RigTimers(() => this.rig.nowMs);
    this.dies = chance.below(2) === 0;
    this.rig.owners = 1 + (seed % 2);
    this.settings = {
      durable: true,
      ...(chance.below(3) === 0 ? {} : { stream: 'q' }),
      lengthMax: chance.of([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 8]),
      bytesMax: chance.of([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 30]),
      overflow: chance.of(['drop-oldest', 'reject'] as const),
      priorities: chance.of([0, 0, 3]),
      keyOrder: chance.below(3) === 0,
      singleActive: chance.below(5) === 0,
      leaseMs: chance.of([0, 50]),
      maxDeliveries: chance.of([0, 0, 3]),
      backoffMs: chance.of([[], [0, 40]]),
      ttlMs: chance.of([-1, -1, 400]),
    };
  }

  async open(): Promise<void> {
    await this.rig.open();
    this.rig.broker.streams.create('q');
    this.rig.broker.streams.create('x');
    this.rig.broker.streams.create('graves');
    this.use();
    await this.rig.broker.streams.durable();
    await this.rig.engine.flushed();
  }

  /** Also after a crash. */
  use(): void {
    this.queue = this.rig.broker.queues.declare('queue', this.settings);
    if (!this.dies) return;
    this.queue.deadLetter = ({ message }, sink) => {
      const copy = this.rig.message('graves', String(message.value));
      const target = this.rig.broker.target(copy.address, 'first-level');
      this.rig.broker.publish(copy, target, sink, 0);
      this.sent[Number(message.value)]!.state = 'dead';
      return copy;
    };
  }

  readonly got = (consumer: Consumer, delivery: Delivery): void => {
    const sent = this.sent[Number(delivery.message.value)]!;
    if (this.rig.owners === 1)
      assert.notEqual(sent.state, 'dead', `${sent.id} came after its death`);
    assert.ok(!(sent.state === 'acked' && sent.certain), `${sent.id} came back after its ack`);
    assert.ok(!this.inFlight.has(delivery.position), `${sent.id} is in flight twice`);
    const { maxDeliveries = 0 } = this.settings;
    if (maxDeliveries > 0) assert.ok(delivery.deliveryCount <= maxDeliveries);
    if (this.settings.keyOrder) this.#checkKey(sent);
    else if (!delivery.redelivered && !sent.delivered) this.#checkOrder(sent);
    sent.state = 'open';
    sent.delivered = true;
    this.inFlight.set(delivery.position, { sent, consumer });
  };

  /** First deliveries come in order, within their priority. */
  #checkOrder(sent: Sent): void {
    for (const later of this.sent.slice(sent.id + 1)) {
      const same = this.settings.priorities === 0 || later.priority === sent.priority;
      assert.ok(!(same && later.delivered), `${sent.id} came after ${later.id}`);
    }
  }

  /** No two messages of a key are in flight. */
  #checkKey(sent: Sent): void {
    for (const { sent: other } of this.inFlight.values()) {
      assert.ok(sent.key === null || other.key !== sent.key, `${other.id} and ${sent.id}`);
    }
  }

  check(): void {
    const { appended, pending, inFlight, ...ended } = this.queue.counts;
    const sum = Object.values(ended).reduce((a, b) => a + b, pending + inFlight);
    assert.equal(sum, appended, JSON.stringify(this.queue.counts));
    assert.equal(ended.gone, 0);
  }

  async publish(): Promise<void> {
    const { chance, queue } = this;
    const id = this.sent.length;
    if (queue.refuses(String(id).length)) return;
    const key = chance.below(3) === 0 ? null : `k${chance.below(3)}`;
    const priority = chance.below(5) - 1;
    const clamped = Math.max(0, Math.min(this.settings.priorities ?? 0, priority));
    const record = { id, key, priority: clamped, certain: false, delivered: false };
    this.sent.push({ ...record, state: 'open' });
    const expires = chance.below(6) === 0 ? this.rig.nowMs + 100 : 0;
    const more = { key: key === null ? null : Buffer.from(key), priority, expiresAtMs: expires };
    const own = this.settings.stream !== undefined && chance.below(2) === 0;
    const where = own ? 'q' : 'x';
    const published = this.rig.publish(
      where,
      String(id),
      more,
      { stream: where },
      own ? [] : [queue],
    );
    if (chance.below(2) === 0) await published;
    else this.#waiting.push(published);
  }

  #waiting: Promise<unknown>[] = [];

  async settled(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
    await this.rig.engine.flushed();
    for (const sent of this.sent) if (sent.state !== 'open') sent.certain = true;
  }

  attach(credit: number): void {
    const consumer = new Consumer(credit, this.got);
    this.consumers.push(consumer);
    const lost = (delivery: Delivery): void => {
      this.inFlight.delete(delivery.position);
    };
    Object.assign(consumer, { lost });
    consumer.attachment = this.queue.attach(consumer, {
      priority: this.chance.below(2),
      prefetch: this.chance.of([2, 100]),
    });
  }

  detach(): void {
    const consumer = this.consumers.pop();
    for (const [position, flight] of this.inFlight) {
      if (flight.consumer === consumer) this.inFlight.delete(position);
    }
    consumer?.attachment?.detach();
  }

  settle(how: 'ack' | 'reject' | 'requeue' | 'release' | 'delay'): void {
    const flights = [...this.inFlight];
    if (flights.length === 0) return;
    const [position, { sent }] = this.chance.of(flights);
    this.inFlight.delete(position);
    if (how === 'ack') {
      sent.state = 'acked';
      sent.certain = false;
      this.queue.ack(position);
    } else if (how === 'reject') {
      if (!this.dies) Object.assign(sent, { state: 'acked', certain: false });
      this.queue.reject(position);
    } else if (how === 'release') this.queue.requeue(position, { counted: false, delayMs: 0 });
    else this.queue.requeue(position, how === 'delay' ? { delayMs: 30 } : {});
  }

  async crash(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
    this.inFlight.clear();
    // What still runs of the old broker reaches nobody.
    for (const consumer of this.consumers) consumer.credit = Number.NEGATIVE_INFINITY;
    this.queue.deadLetter = () => null;
    this.consumers = [];
    for (const sent of this.sent) {
      // What was not on disk may come back; a dead letter that was not either.
      if (sent.state !== 'open' && !sent.certain) sent.state = 'open';
      // After it a first delivery cannot be told from a second one.
      sent.delivered = false;
    }
    await this.rig.crash();
    this.use();
  }

  async step(): Promise<void> {
    const choice = this.chance.below(100);
    if (choice < 30) await this.publish();
    else if (choice < 50) this.settle('ack');
    else if (choice < 54) this.settle('reject');
    else if (choice < 60) this.settle('requeue');
    else if (choice < 63) this.settle('release');
    else if (choice < 67) this.settle('delay');
    else if (choice < 73) this.attach(this.chance.below(4));
    else if (choice < 76) this.detach();
    else if (choice < 82) {
      for (const consumer of this.consumers) {
        consumer.credit++;
        consumer.attachment!.wake();
      }
    } else if (choice < 92) this.rig.pass(this.chance.of([5, 25, 60, 300]));
    else if (choice < 93) this.queue.purge();
    else if (choice < 96) await this.settled();
    else if (choice < 98) await this.rig.engine.checkpoint();
    else await this.crash();
  }

  /** Empties the queue, and compares what came of every message. */
  async finish(): Promise<void> {
    while (this.consumers.length > 0) this.detach();
    await this.settled();
    this.attach(Number.POSITIVE_INFINITY);
    for (let turn = 0; turn < 2000; turn++) {
      while (this.inFlight.size > 0) this.settle('ack');
      const { pending, inFlight } = this.queue.counts;
      if (pending + inFlight === 0) break;
      assert.ok(turn < 1999, `stuck: ${JSON.stringify(this.queue.counts)}`);
      this.rig.pass(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.settled();
    this.check();
    const graves = (await this.rig.stored('graves')).map(Number);
    const { appended, deadLettered } = this.queue.counts;
    assert.equal(appended, this.sent.length);
    // With owners apart a crash may come between a copy and the end of its original.
    if (this.rig.owners > 1) assert.ok(new Set(graves).size >= deadLettered);
    else {
      assert.equal(new Set(graves).size, graves.length, 'a dead letter is there twice');
      assert.equal(deadLettered, graves.length);
      for (const id of graves) assert.notEqual(this.sent[id]!.state, 'acked');
    }
  }
}

describe('a queue under random operations', () => {
  it('acked + in flight + pending + dead + expired + dropped = appended, after each step X64 X17', async () => {
    const only = process.env['QUEUE_SEED'];
    const first = only === undefined ? 1 : Number(only);
    const last = only === undefined ? SEEDS : first;
    for (let seed = first; seed <= last; seed++) {
      const run = new Run(seed);
      await run.open();
      try {
        for (let step = 0; step < STEPS; step++) {
          await run.step();
          run.check();
        }
        await run.finish();
      } catch (error) {
        const text = error instanceof Error ? error.stack : String(error);
        throw new Error(`seed ${seed}, ${JSON.stringify(run.settings)}: ${text}`);
      }
      await run.rig.close();
    }
  });
});
