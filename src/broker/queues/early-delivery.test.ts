import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig } from '../broker.rig.ts';
import type { Partition } from '../streams/partition.ts';
import type { Queue } from './queue.ts';

describe('early delivery', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    rig.broker.streams.create('t');
  });

  afterEach(() => rig.close());

  function listening(name: string, durable: boolean): Queue {
    const queue = rig.broker.queues.declare(name, { durable });
    rig.broker.subscribe({ pattern: plainDotPattern('#'), queue });
    return queue;
  }

  function partition(): Partition {
    return rig.broker.streams.get('t')!.partitions[0]!;
  }

  /** Publishes without waiting for the commits. */
  function publishing(from: number, to: number): Promise<unknown> {
    const all: Promise<unknown>[] = [];
    for (let value = from; value < to; value++) all.push(rig.publish('t', String(value)));
    return Promise.all(all);
  }

  function numbers(from: number, to: number): string[] {
    return Array.from({ length: to - from }, (_, index) => String(from + index));
  }

  describe('a queue that does not survive a crash', () => {
    it('delivers before the commit; the publisher is answered after it', async () => {
      const consumer = new Collector();
      listening('tmp', false).attach(consumer);
      const answered = rig.publish('t', '1');
      assert.deepEqual(consumer.values, ['1']);
      assert.equal(partition().highWatermark, 0);
      await answered;
      assert.equal(partition().highWatermark, 1);
    });

    it('while a durable one beside it delivers what is on disk', async () => {
      const consumer = new Collector();
      listening('kept', true).attach(consumer);
      const answered = rig.publish('t', '1');
      assert.deepEqual(consumer.values, []);
      await answered;
      await consumer.count(1);
      assert.equal(partition().highWatermark, 1);
    });

    it('promises exactly once only for what is stored, and keeps the order behind that', async () => {
      const consumer = new Collector();
      listening('tmp', false).attach(consumer);
      const first = rig.publish('t', '1', { qos: 2 });
      const second = rig.publish('t', '2');
      assert.deepEqual(consumer.values, []);
      await Promise.all([first, second]);
      await consumer.count(2);
      assert.deepEqual(consumer.values, ['1', '2']);
    });

    it('gives all to the next consumer that came back before their commit', async () => {
      const queue = listening('tmp', false);
      const attachment = queue.attach(new Collector());
      const answered = publishing(0, 600);
      attachment.detach();
      const next = new Collector();
      queue.attach(next);
      assert.deepEqual(next.values, numbers(0, 600));
      assert.equal(partition().highWatermark, 0);
      await answered;
      assert.equal(queue.counts.gone, 0);
    });

    it('is taken out of service between two messages without losing count', async () => {
      const queue = listening('tmp', false);
      const consumer = new Collector(1);
      queue.attach(consumer);
      await publishing(0, 3);
      assert.equal(queue.unackedCount, 1);
      assert.equal(queue.readyCount, 2);
      queue.ack(consumer.got[0]!.position);
      const { appended, acked, inFlight, pending } = queue.counts;
      assert.equal(appended, acked + inFlight + pending);
    });
  });

  describe('messages that come back', () => {
    it('are read together, not one by one', async () => {
      const queue = listening('kept', true);
      const attachment = queue.attach(new Collector(1000));
      await publishing(0, 1000);
      const stored = partition();
      const read = stored.readRun.bind(stored);
      let reads = 0;
      stored.readRun = (offset, bytesMax) => {
        reads++;
        return read(offset, bytesMax);
      };
      attachment.detach();
      const next = new Collector();
      queue.attach(next);
      await next.count(1000);
      assert.deepEqual(next.values, numbers(0, 1000));
      assert.ok(reads < 10, `${reads} reads`);
    });
  });
});
