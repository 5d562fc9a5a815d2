import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Collector, Rig, RigTimers } from '../broker.rig.ts';
import type { Partition } from './partition.ts';
import type { StreamSettings } from './stream.ts';

describe('retention', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
  });

  afterEach(() => rig.close());

  function make(settings: Partial<StreamSettings>): Partition {
    return rig.broker.streams.create('s', settings).partitions[0]!;
  }

  describe('retention', () => {
    it('drops what is older than the stream keeps, and nothing younger K39', async () => {
      const partition = make({ retentionMs: 1000 });
      await rig.publish('s', 'old');
      rig.nowMs += 900;
      await rig.publish('s', 'young');
      await rig.broker.retention.run();
      assert.deepEqual(await rig.stored('s'), ['old', 'young']);
      rig.nowMs += 200;
      await rig.broker.retention.run();
      assert.deepEqual(await rig.stored('s'), ['young']);
      assert.equal(partition.startOffset, 1);
      rig.nowMs += 1000;
      await rig.broker.retention.run();
      assert.equal(partition.startOffset, partition.highWatermark);
    });

    it('drops the oldest over the size that the stream keeps K39', async () => {
      const partition = make({ retentionMs: -1, retentionBytes: 10_000 });
      for (let n = 0; n < 20; n++) await rig.publish('s', 'x'.repeat(1000));
      await rig.broker.retention.run();
      const { bytes } = partition.stat();
      assert.ok(bytes <= 10_000 && bytes > 7_000, `${bytes} bytes are kept`);
      assert.equal((await rig.stored('s')).length, partition.highWatermark - partition.startOffset);
    });

    it('keeps everything without limits', async () => {
      const partition = make({ retentionMs: -1, retentionBytes: -1 });
      await rig.publish('s', 'x');
      rig.nowMs += 10 ** 12;
      await rig.broker.retention.run();
      assert.equal(partition.startOffset, 0);
    });

    it('a durable queue pins what it still needs, one that does not survive pins nothing X16', async () => {
      const partition = make({ retentionMs: 1000 });
      const queue = rig.broker.queues.declare('s', { durable: true, stream: 's' });
      rig.broker.queues.declare('other', { durable: false, stream: 's' });
      for (const value of ['1', '2', '3']) await rig.publish('s', value);
      const consumer = new Collector(1);
      queue.attach(consumer);
      queue.ack(consumer.got[0]!.position);
      await rig.engine.flushed();
      rig.nowMs += 5000;
      await rig.broker.retention.run();
      assert.deepEqual(await rig.stored('s'), ['2', '3']);
      rig.broker.queues.remove(queue);
      await rig.broker.retention.run();
      assert.equal(partition.startOffset, 3);
    });

    it('references in a durable queue pin the records of other streams X16', async () => {
      const partition = make({ retentionMs: 1000 });
      const queue = rig.broker.queues.declare('q', { durable: true });
      await rig.publish('s', 'not routed');
      await rig.publish('s', 'routed', {}, { stream: 's' }, [queue]);
      rig.nowMs += 5000;
      await rig.broker.retention.run();
      assert.equal(partition.startOffset, 1);
      const consumer = new Collector();
      queue.attach(consumer);
      assert.deepEqual(consumer.values, ['routed']);
      queue.ack(consumer.got[0]!.position);
      await rig.engine.flushed();
      await rig.broker.retention.run();
      assert.equal(partition.startOffset, 2);
    });

    it('a stream made for a queue frees what was acknowledged some time ago X16', async () => {
      const partition = make({ retentionMs: -1, retentionAckedMs: 1000 });
      const queue = rig.broker.queues.declare('s', { durable: true, stream: 's' });
      for (const value of ['1', '2']) await rig.publish('s', value);
      const consumer = new Collector(1);
      queue.attach(consumer);
      queue.ack(consumer.got[0]!.position);
      await rig.engine.flushed();
      await rig.broker.retention.run();
      assert.equal(partition.startOffset, 0, 'other views can still read it');
      rig.nowMs += 1000;
      await rig.broker.retention.run();
      assert.deepEqual(await rig.stored('s'), ['2']);
    });

    it('what was dropped stays dropped after a crash X63', async () => {
      make({ retentionMs: 1000 });
      await rig.publish('s', 'old');
      rig.nowMs += 2000;
      await rig.broker.retention.run();
      await rig.publish('s', 'new');
      await rig.crash();
      assert.deepEqual(await rig.stored('s'), ['new']);
    });
  });

  describe('the deadline of a stream', () => {
    /** Time passes; resolves when retention has done what that made due. */
    async function pass(ms: number): Promise<void> {
      rig.pass(ms);
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }

    beforeEach(async () => {
      await rig.close();
      rig = new Rig();
      rig.timers = new RigTimers(() => rig.nowMs);
      await rig.open();
    });

    it('lets records go when they are too old, without being asked K39', async () => {
      const partition = make({ retentionMs: 60_000 });
      await rig.publish('s', 'old');
      await pass(30_000);
      await rig.publish('s', 'young');
      await pass(29_000);
      assert.equal(partition.startOffset, 0, 'nothing is old enough');
      await pass(2_000);
      assert.deepEqual(await rig.stored('s'), ['young']);
      await pass(30_000);
      assert.equal(partition.startOffset, 2);
    });

    it('comes soon when a stream has grown over its size K39', async () => {
      const partition = make({ retentionMs: -1, retentionBytes: 10_000 });
      await rig.publish('s', 'x');
      await pass(20_000);
      for (let n = 0; n < 20; n++) await rig.publish('s', 'x'.repeat(1000));
      assert.equal(partition.startOffset, 0);
      await pass(5_000);
      assert.ok(partition.startOffset > 0);
      assert.ok(partition.stat().bytes <= 10_000);
    });

    it('looks again at a stream that a queue held on to K39 X16', async () => {
      const partition = make({ retentionMs: 1_000 });
      const queue = rig.broker.queues.declare('s', { durable: true, stream: 's' });
      await rig.publish('s', 'old');
      await pass(40_000);
      assert.equal(partition.startOffset, 0, 'the queue needs it');
      const consumer = new Collector();
      queue.attach(consumer);
      queue.ack(consumer.got[0]!.position);
      rig.engine.wake();
      await rig.engine.flushed();
      await pass(20_000);
      assert.equal(partition.startOffset, 1);
    });

    it('is kept after a restart, for streams to which nothing is written any more K39', async () => {
      make({ retentionMs: 60_000 });
      await rig.publish('s', 'old');
      await rig.close();
      await rig.open();
      await pass(59_000);
      assert.deepEqual(await rig.stored('s'), ['old']);
      await pass(2_000);
      assert.deepEqual(await rig.stored('s'), []);
    });
  });
});
