import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { slashSpelling } from '../addresses/address.ts';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig } from '../broker.rig.ts';
import type { Queue } from './queue.ts';

describe('queue', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
  });

  afterEach(() => rig.close());

  function declare(name: string, durable = true): Queue {
    if (rig.broker.streams.get(name) === undefined) rig.broker.streams.create(name);
    return rig.broker.queues.declare(name, { durable, stream: name });
  }

  describe('a queue over one stream', () => {
    it('delivers what comes after it was declared, in order, to whoever has credit', async () => {
      await rig.publish('q', 'before');
      const queue = declare('q');
      const [one, two] = [new Collector(2), new Collector(2)];
      queue.attach(one);
      queue.attach(two);
      for (const value of ['1', '2', '3', '4', '5']) await rig.publish('q', value);
      assert.deepEqual([...one.values, ...two.values].sort(), ['1', '2', '3', '4']);
      assert.equal(queue.readyCount, 1);
      assert.equal(queue.unackedCount, 4);
    });

    it('a requeued message goes back to its place and says that it was delivered A33', async () => {
      const queue = declare('q');
      for (const value of ['1', '2', '3']) await rig.publish('q', value);
      const first = new Collector(2);
      const attachment = queue.attach(first);
      queue.requeue(first.got[0]!.position);
      attachment.detach();
      const second = new Collector();
      queue.attach(second);
      assert.deepEqual(second.values, ['1', '2', '3']);
      assert.deepEqual(
        second.got.map((delivery) => delivery.redelivered),
        [true, true, false],
      );
      assert.equal(second.got[0]!.deliveryCount, 2);
    });

    it('has nothing in flight with a consumer that finishes what it gets, and keeps that', async () => {
      const queue = declare('q');
      const consumer = new Collector();
      const attachment = queue.attach(consumer, { finishes: true, credit: 2 });
      for (const value of ['1', '2', '3']) await rig.publish('q', value);
      assert.deepEqual(consumer.values, ['1', '2']);
      assert.equal(queue.unackedCount, 0);
      assert.equal(queue.ack(consumer.got[0]!.position), false);
      attachment.detach();
      assert.equal(queue.readyCount, 1);
      assert.equal(queue.counts.acked, 2);
      await rig.publish('other', 'carries what is finished');
      await rig.crash();
      assert.equal(declare('q').readyCount, 1);
    });

    it('keeps its place and single acknowledgements over a crash', async () => {
      const queue = declare('q');
      for (const value of ['1', '2', '3', '4']) await rig.publish('q', value);
      const consumer = new Collector(3);
      queue.attach(consumer);
      queue.ack(consumer.got[0]!.position);
      queue.ack(consumer.got[2]!.position);
      await rig.publish('other', 'carries the acknowledgements');
      await rig.crash();
      const again = new Collector();
      rig.broker.queues.get('q')!.attach(again);
      await again.count(2);
      assert.deepEqual(again.values, ['2', '4']);
      assert.equal(again.got[0]!.redelivered, true);
    });

    it('never delivers an expired message, and counts it as finished', async () => {
      const queue = declare('q');
      await rig.publish('q', 'old', { expiresAtMs: rig.nowMs + 10 });
      await rig.publish('q', 'new');
      rig.nowMs += 20;
      const consumer = new Collector();
      queue.attach(consumer);
      assert.deepEqual(consumer.values, ['new']);
      assert.equal(queue.readyCount, 0);
    });

    it('drops the oldest ready ones over its length', async () => {
      rig.broker.streams.create('q');
      const queue = rig.broker.queues.declare('q', { durable: true, stream: 'q', lengthMax: 2 });
      for (const value of ['1', '2', '3', '4']) await rig.publish('q', value);
      assert.equal(queue.readyCount, 2);
      const consumer = new Collector();
      queue.attach(consumer);
      assert.deepEqual(consumer.values, ['3', '4']);
    });

    it('purge finishes what is ready and leaves what is in flight', async () => {
      const queue = declare('q');
      for (const value of ['1', '2', '3']) await rig.publish('q', value);
      const consumer = new Collector(1);
      queue.attach(consumer);
      assert.equal(queue.purge(), 2);
      assert.equal(queue.unackedCount, 1);
      queue.requeue(consumer.got[0]!.position);
      assert.equal(queue.readyCount, 1);
    });

    it('get takes one message without a consumer A30', async () => {
      const queue = declare('q');
      assert.equal(await queue.get(), null);
      await rig.publish('q', '1');
      const delivery = await queue.get();
      assert.equal(delivery?.message.value?.toString(), '1');
      assert.equal(await queue.get(), null);
      queue.ack(delivery!.position);
      assert.equal(queue.unackedCount, 0);
    });
  });

  describe('a queue that holds references', () => {
    it('keeps one order over its own stream and bindings, also after a crash A61', async () => {
      const queue = declare('q');
      await rig.publish('q', '1');
      const target = { stream: 'x' };
      rig.broker.streams.create('x');
      await rig.publish('x', '2', {}, target, [queue]);
      await rig.publish('q', '3');
      await rig.publish('x', '4', {}, target, [queue]);
      const consumer = new Collector(1);
      queue.attach(consumer);
      queue.ack(consumer.got[0]!.position);
      await rig.publish('other', 'x');
      await rig.crash();
      const again = new Collector();
      rig.broker.queues.get('q')!.attach(again);
      await again.count(3);
      assert.deepEqual(again.values, ['2', '3', '4']);
    });

    it('gets what matches a binding from every way in, stored once', async () => {
      const queue = rig.broker.queues.declare('s', { durable: true });
      rig.broker.subscribe({ pattern: plainDotPattern('a.#'), queue });
      await rig.publish(slashSpelling.parse('a/b'), '1');
      await rig.publish(slashSpelling.parse('x/b'), 'no');
      await rig.publish(slashSpelling.parse('a/c'), '2', {}, 'captured');
      assert.equal(queue.readyCount, 2);
      await rig.crash();
      const consumer = new Collector();
      rig.broker.queues.get('s')!.attach(consumer);
      await consumer.count(2);
      assert.deepEqual(consumer.values, ['1', '2']);
    });

    it('reads a long backlog of several streams again, complete and in order', async () => {
      const queue = rig.broker.queues.declare('s', { durable: true });
      rig.broker.subscribe({ pattern: plainDotPattern('#'), queue });
      const expected = Array.from({ length: 5000 }, (_, n) => String(n));
      await Promise.all(expected.map((value, n) => rig.publish(`t${n % 3}`, value)));
      await rig.crash();
      const consumer = new Collector();
      rig.broker.queues.get('s')!.attach(consumer);
      await consumer.count(expected.length);
      assert.deepEqual(consumer.values, expected);
    });

    it('counts its bytes after a crash, what was acknowledged and trimmed left out', async () => {
      const queue = rig.broker.queues.declare('s', { durable: true });
      rig.broker.subscribe({ pattern: plainDotPattern('#'), queue });
      await rig.publish('t', 'first');
      await rig.engine.checkpoint();
      for (const value of ['12345', '1234567', '123']) await rig.publish('t', value);
      const consumer = new Collector(3);
      queue.attach(consumer);
      await consumer.count(3);
      for (const { position } of consumer.got) queue.ack(position);
      await rig.publish('other', 'carries the acknowledgements');
      await rig.publish('other', 'carries the trim');
      await rig.crash();
      const again = rig.broker.queues.get('s')!;
      assert.equal(again.readyBytes, '123carries the acknowledgementscarries the trim'.length);
    });

    it('the meta of a message is stored with its reference; null keeps it out', async () => {
      const queue = rig.broker.queues.declare('s', { durable: true });
      queue.meta = (message) => (message.qos === 0 ? null : message.qos);
      rig.broker.subscribe({ pattern: plainDotPattern('#'), queue });
      await rig.publish('t', '1', { qos: 2 });
      await rig.publish('t', '2', { qos: 0 });
      await rig.crash();
      const consumer = new Collector();
      rig.broker.queues.get('s')!.attach(consumer);
      await consumer.count(1);
      assert.deepEqual(
        consumer.got.map((delivery) => [delivery.message.value?.toString(), delivery.meta]),
        [['1', 2]],
      );
    });

    it('one that does not survive serves live messages that are stored nowhere', async () => {
      const queue = rig.broker.queues.declare('tmp', { durable: false });
      rig.broker.subscribe({ pattern: plainDotPattern('#'), queue });
      const consumer = new Collector();
      queue.attach(consumer);
      await rig.publish(slashSpelling.parse('a/b'), 'live', {}, 'captured');
      await consumer.count(1);
      await rig.publish(slashSpelling.parse('a/b'), 'stored');
      await consumer.count(2);
      assert.deepEqual(consumer.values, ['live', 'stored']);
    });

    it('finished + in flight + ready = routed after any steps X64', async () => {
      const queue = declare('q');
      let routed = 0;
      const finished = new Set<number>();
      const consumer = new Collector(5);
      queue.attach(consumer);
      let seed = 7;
      const chance = (n: number): number => {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        return seed % n;
      };
      for (let step = 0; step < 300; step++) {
        const choice = chance(4);
        if (choice < 2) {
          await rig.publish('q', String(step));
          routed++;
        } else {
          const open = consumer.got.filter((one) => !finished.has(one.position));
          const one = open[chance(Math.max(1, open.length))];
          if (one !== undefined) {
            consumer.credit++;
            if (choice === 2) {
              finished.add(one.position);
              queue.ack(one.position);
            } else queue.requeue(one.position);
          }
        }
        assert.equal(finished.size + queue.unackedCount + queue.readyCount, routed);
      }
    });
  });

  describe('removing a queue', () => {
    for (const moment of ['before', 'after'] as const) {
      it(`leaves publishers that still find it alone, ${moment} its references are on their way`, async () => {
        const queue = rig.broker.queues.declare('s', { durable: true });
        rig.broker.subscribe({ pattern: plainDotPattern('#'), queue });
        await rig.publish('t', '1');
        const under = [rig.publish('t', '2')];
        if (moment === 'before') rig.broker.queues.remove(queue);
        else {
          await new Promise<void>((resolve) => {
            rig.files.fault = () => {
              rig.files.fault = null;
              rig.broker.queues.remove(queue);
              resolve();
            };
          });
        }
        under.push(rig.publish('t', '3'), rig.publish('t', '4'));
        await Promise.all(under);
        await rig.publish('t', '5');
      });
    }

    it('tells its consumers once and delivers nothing more A26', async () => {
      const queue = declare('q');
      const consumer = new Collector();
      queue.attach(consumer);
      let told = 0;
      queue.onRemoved(() => told++);
      rig.broker.queues.remove(queue);
      await rig.publish('q', 'x');
      assert.equal(told, 1);
      assert.deepEqual(consumer.values, []);
      await rig.crash();
      assert.equal(rig.broker.queues.get('q'), undefined);
    });
  });
});
