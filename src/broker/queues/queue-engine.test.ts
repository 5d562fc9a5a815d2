import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { Collector, Rig, RigTimers } from '../broker.rig.ts';
import { pull } from './pull.ts';
import type { Queue } from './queue.ts';
import type { Delivery } from './queue-consumers.ts';
import type { QueueSettings } from './queue-settings.ts';

describe('queue engine', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    rig.timers = new RigTimers(() => rig.nowMs);
    await rig.open();
  });

  afterEach(() => rig.close());

  async function declare(settings: Partial<QueueSettings> = {}): Promise<Queue> {
    for (const name of ['s', 't']) {
      if (rig.broker.streams.get(name) === undefined) rig.broker.streams.create(name);
    }
    const queue = rig.broker.queues.declare('q', { durable: true, stream: 's', ...settings });
    await rig.broker.streams.durable();
    return queue;
  }

  async function publish(...values: string[]): Promise<void> {
    for (const value of values) await rig.publish('s', value, { key: Buffer.from(value[0]!) });
  }

  function valuesOf(deliveries: readonly Delivery[]): string[] {
    return deliveries.map(({ message }) => String(message.value));
  }

  /** Until what was woken by timers has read from the disk and was delivered. */
  async function turns(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  describe('leases and returns', () => {
    it('a lease that ends gives the message to another; its old holder cannot finish it X17', async () => {
      const queue = await declare({ leaseMs: 100 });
      await publish('1');
      const slow = new Collector(1);
      const lost: Delivery[] = [];
      const attachment = queue.attach(Object.assign(slow, { lost: (d: Delivery) => lost.push(d) }));
      const [delivery] = slow.got;
      rig.pass(99);
      assert.equal(queue.extend(delivery!.position, undefined, attachment), true);
      rig.pass(99);
      assert.equal(queue.unackedCount, 1);
      rig.pass(1);
      assert.deepEqual(lost, [delivery]);
      const other = new Collector();
      queue.attach(other);
      assert.deepEqual([other.got[0]!.deliveryCount, other.got[0]!.redelivered], [2, true]);
      assert.equal(queue.ack(delivery!.position, attachment), false);
      assert.equal(queue.ack(delivery!.position), true);
    });

    it('waits between deliveries grow, hold over a crash, and end where the limit is X17 X69', async () => {
      const queue = await declare({ backoffMs: [100, 1000], maxDeliveries: 3 });
      await publish('a', 'b');
      const consumer = new Collector();
      queue.attach(consumer);
      queue.requeue(consumer.got[0]!.position);
      assert.equal(queue.counts.pending, 1);
      await rig.engine.flushed();
      await rig.crash();
      const again = rig.broker.queues.get('q')!;
      const second = new Collector();
      again.attach(second);
      await second.count(1);
      assert.deepEqual(second.values, ['b']);
      rig.pass(200);
      await second.count(2);
      assert.deepEqual([second.values[1], second.got[1]!.deliveryCount], ['a', 2]);
      again.requeue(second.got[1]!.position);
      rig.pass(999);
      await turns();
      assert.equal(second.got.length, 2);
      rig.pass(101);
      await second.count(3);
      again.requeue(second.got[2]!.position);
      assert.deepEqual([again.counts.dropped, again.counts.pending], [1, 0]);
    });

    it('what its consumer has not looked at comes back uncounted', async () => {
      const queue = await declare();
      await publish('1');
      for (let round = 0; round < 3; round++) {
        const delivery = await queue.get();
        assert.deepEqual([delivery!.deliveryCount, delivery!.redelivered], [1, false]);
        queue.requeue(delivery!.position, { counted: false });
      }
    });
  });

  describe('order by key', () => {
    it('a message blocks later ones of its key, and no others', async () => {
      const queue = await declare({ keyOrder: true });
      await publish('a1', 'a2', 'b1', 'a3', 'b2', 'c1');
      const consumer = new Collector();
      queue.attach(consumer);
      assert.deepEqual(consumer.values, ['a1', 'b1', 'c1']);
      queue.ack(consumer.got[0]!.position);
      assert.deepEqual(consumer.values.slice(3), ['a2']);
      queue.requeue(consumer.got[1]!.position, { delayMs: 50 });
      assert.equal(queue.counts.pending, 3);
      queue.ack(consumer.got[3]!.position);
      assert.deepEqual(consumer.values.slice(4), ['a3']);
      rig.pass(150);
      await turns();
      assert.deepEqual(consumer.values.slice(5), ['b1']);
      queue.ack(consumer.got[5]!.position);
      assert.deepEqual(consumer.values.slice(6), ['b2']);
    });
  });

  describe('consumers', () => {
    it('ten thousand of them are served in turn, and a delivery asks few of them', async () => {
      const queue = await declare();
      let asked = 0;
      const served: number[] = [];
      const attachments = Array.from({ length: 10_000 }, (_, n) => {
        let credit = n % 2;
        const ready = (): boolean => {
          asked++;
          return credit > 0;
        };
        const deliver = (): void => {
          credit--;
          served.push(n);
        };
        return queue.attach({ ready, deliver });
      });
      await publish('1');
      const before = asked;
      await Promise.all(Array.from({ length: 2000 }, () => rig.publish('s', 'x')));
      assert.equal(served.length, 2001);
      assert.equal(new Set(served).size, 2001);
      assert.ok(asked - before < 9000, `${asked - before} questions`);
      for (const attachment of attachments) attachment.detach();
      assert.equal(queue.readyCount, 2001);
    });

    it('a window of messages or of bytes holds a consumer back, an acknowledgement opens it A24', async () => {
      const queue = await declare();
      await publish('1234', '5678', '90', 'ab');
      const [counted, sized] = [new Collector(), new Collector()];
      queue.attach(counted, { prefetch: 1 });
      assert.deepEqual(counted.values, ['1234']);
      queue.attach(sized, { prefetchBytes: 5 });
      assert.deepEqual(sized.values, ['5678', '90']);
      queue.ack(counted.got[0]!.position);
      assert.deepEqual(counted.values, ['1234', 'ab']);
    });

    it('an exclusive one refuses others, and is refused where others are A25', async () => {
      const queue = await declare();
      const locked = (error: unknown): boolean =>
        error instanceof BrokerError && error.code === 'queue-locked';
      const first = queue.attach(new Collector(), { exclusive: true });
      assert.throws(() => queue.attach(new Collector()), locked);
      first.detach();
      queue.attach(new Collector());
      assert.throws(() => queue.attach(new Collector(), { exclusive: true }), locked);
    });

    it('a higher priority is served first while it can take more A37', async () => {
      const queue = await declare();
      const [low, high] = [new Collector(), new Collector(2)];
      queue.attach(low);
      queue.attach(high, { priority: 5 });
      await publish('1', '2', '3');
      assert.deepEqual([high.values, low.values], [['1', '2'], ['3']]);
    });
  });

  describe('pulls', () => {
    it('give what is there, up to so many messages or bytes, and wait for a first one', async () => {
      const queue = await declare();
      await publish('11', '22', '33', '44');
      const some = await pull(queue, { messages: 2, waitMs: 0 }, rig.timers!);
      assert.deepEqual(valuesOf(some), ['11', '22']);
      const bytes = await pull(queue, { messages: 10, bytes: 1, waitMs: 0 }, rig.timers!);
      assert.deepEqual(valuesOf(bytes), ['33']);
      assert.equal((await pull(queue, { messages: 10, waitMs: 0 }, rig.timers!)).length, 1);
      assert.deepEqual(await pull(queue, { messages: 1, waitMs: 0 }, rig.timers!), []);
      const late = pull(queue, { messages: 5, waitMs: 1000 }, rig.timers!);
      rig.pass(999);
      await publish('55');
      assert.deepEqual(valuesOf(await late), ['55']);
      const never = pull(queue, { messages: 5, waitMs: 1000 }, rig.timers!);
      rig.pass(1000);
      assert.deepEqual(await never, []);
      assert.deepEqual([queue.unackedCount, queue.consumerCount], [5, 0]);
    });
  });

  describe('a start', () => {
    it('that is slow enough for a checkpoint loses no acknowledgement X64', async () => {
      const names = ['q', 'r', 's2', 't2'];
      await declare();
      for (const name of names) rig.broker.queues.declare(name, { durable: true, stream: 's' });
      await publish('1', '2', '3');
      for (const name of names) {
        const queue = rig.broker.queues.get(name)!;
        const reader = new Collector(3);
        const attachment = queue.attach(reader);
        for (const { position } of reader.got.slice(0, 2)) queue.ack(position, attachment);
      }
      await rig.engine.flushed();
      // Marks are read once for each slot: what was loaded before meets a checkpoint.
      const { get } = rig.meta;
      rig.meta.get = async (table, key) => {
        if (table === 'queue-marks') await rig.engine.checkpoint();
        return get.call(rig.meta, table, key);
      };
      await rig.crash();
      rig.meta.get = get;
      await rig.crash();
      for (const name of names) {
        const reader = new Collector(3);
        rig.broker.queues.get(name)!.attach(reader);
        await turns();
        assert.deepEqual(valuesOf(reader.got), ['3'], name);
      }
    });
  });

  describe('ends of messages', () => {
    /** A queue whose dead letters go to the stream `t`, as its owner opens it at each start. */
    async function dying(): Promise<Queue> {
      const queue = await declare({ ttlMs: 300 });
      queue.deadLetter = ({ message }, sink) => {
        const copy = rig.message('t', String(message.value));
        rig.broker.publish(copy, rig.broker.target(copy.address, 'first-level'), sink, 0);
        return copy;
      };
      queue.watchesHead = true;
      return queue;
    }

    for (const offMs of [100, 1000]) {
      it(`come on their own ${offMs} ms after a crash, when nothing new is sent A70`, async () => {
        await dying();
        await publish('1', '2', '3');
        await rig.crash();
        rig.nowMs += offMs;
        const again = await dying();
        assert.equal(again.readyCount, 3);
        rig.pass(Math.max(1, 300 - offMs));
        await turns();
        await rig.engine.flushed();
        assert.deepEqual(await rig.stored('t'), ['1', '2', '3']);
        assert.deepEqual([again.readyCount, again.counts.deadLettered], [0, 3]);
      });
    }

    it('that find the disk full wait for space, and need nothing new to be sent A70', async () => {
      await dying();
      await publish('1', '2', '3');
      rig.files.capacityBytes = rig.files.usedBytes;
      await rig.crash();
      const again = await dying();
      rig.pass(300);
      await turns();
      assert.equal(rig.engine.health, 'full');
      assert.equal(again.counts.deadLettered, 0);
      rig.files.capacityBytes = Number.POSITIVE_INFINITY;
      for (let tries = 0; rig.engine.health === 'full' && tries < 100; tries++) {
        rig.pass(1000);
        await turns();
      }
      await rig.engine.flushed();
      assert.deepEqual(await rig.stored('t'), ['1', '2', '3']);
      assert.deepEqual([again.readyCount, again.counts.deadLettered], [0, 3]);
    });

    it('follow a clock that is set', async () => {
      const queue = await declare({ ttlMs: 3_600_000 });
      queue.watchesHead = true;
      await publish('1');
      rig.wallAheadMs += 3_600_000;
      rig.pass(10_000);
      assert.equal(queue.readyCount, 0);
      await turns();
      await publish('2');
      rig.wallAheadMs -= 7_200_000;
      rig.pass(3_600_000);
      assert.equal(queue.readyCount, 1);
      rig.pass(7_200_000);
      assert.equal(queue.readyCount, 0);
    });

    it('a clock that was set is noticed when another deadline is set', async () => {
      const queue = await declare({ ttlMs: 5000 });
      queue.watchesHead = true;
      await publish('1');
      rig.wallAheadMs += 60_000;
      const other = rig.broker.queues.declare('other', { durable: true, ttlMs: 70_000 });
      other.watchesHead = true;
      await rig.publish('t', 'x', {}, { stream: 't' }, [other]);
      rig.pass(0);
      assert.equal(queue.readyCount, 0);
    });
  });

  describe('long queues of references', () => {
    it('keep a few pages in memory, and deliver all in order after a crash too', async () => {
      rig.broker.streams.create('s');
      const queue = rig.broker.queues.declare('q', { durable: true });
      await rig.broker.streams.durable();
      const expected = Array.from({ length: 40_000 }, (_, n) => String(n));
      for (let from = 0; from < expected.length; from += 2000) {
        const part = expected.slice(from, from + 2000);
        const more = { stream: 's' };
        await Promise.all(part.map((value) => rig.publish('s', value, {}, more, [queue])));
      }
      assert.ok(queue.lanes.references[0]!.pageCount <= 64);
      const first = new Collector(30_000);
      queue.attach(first);
      await first.count(30_000);
      assert.deepEqual(first.values, expected.slice(0, 30_000));
      // All but one of them are finished: the floor stays, and the rest is ranges.
      for (const { position } of first.got.slice(1)) queue.ack(position);
      await rig.engine.flushed();
      await rig.engine.checkpoint();
      assert.equal(rig.broker.queues.firstOffset(rig.broker.streams.get('s')!.partitions[0]!), 0);
      await rig.crash();
      const again = rig.broker.queues.get('q')!;
      assert.equal(again.readyCount, 10_001);
      assert.ok(again.lanes.references[0]!.pageCount < 2);
      const rest = new Collector();
      again.attach(rest);
      await rest.count(10_001);
      assert.deepEqual(rest.values, ['0', ...expected.slice(30_000)]);
      for (const { position } of rest.got) again.ack(position);
      await rig.engine.flushed();
      const { acked, appended } = again.counts;
      assert.deepEqual([acked, appended], [40_000, 40_000]);
      const partition = rig.broker.streams.get('s')!.partitions[0]!;
      assert.equal(rig.broker.queues.firstOffset(partition), Number.POSITIVE_INFINITY);
    });
  });
});
