import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Collector, Rig } from '../broker.rig.ts';
import type { Queue } from './queue.ts';
import type { Attachment } from './queue-consumers.ts';

describe('early deliveries', () => {
  let rig: Rig;
  let queue: Queue;
  let consumer: Collector;
  let attachment: Attachment;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    rig.broker.streams.create('q');
    await rig.broker.streams.durable();
    queue = rig.broker.queues.declare('q', { durable: true, stream: 'q' });
    consumer = new Collector();
    attachment = queue.attach(consumer, { finishes: true });
  });

  afterEach(() => rig.close());

  /** Finished + in flight + pending = appended. */
  function checkCounts(): void {
    const { appended, pending, inFlight, acked, gone, dropped } = queue.counts;
    assert.equal(acked + gone + dropped + inFlight + pending, appended);
  }

  it('a message sent at most once is with a consumer that finishes it before its commit', async () => {
    const published = rig.publish('q', '1', { qos: 0 });
    assert.deepEqual(consumer.values, ['1']);
    assert.equal(queue.unackedCount, 1);
    checkCounts();
    await published;
    assert.equal(queue.unackedCount, 0);
    assert.equal(queue.counts.acked, 1);
    checkCounts();
    assert.deepEqual(await rig.stored('q'), ['1']);
  });

  it('order holds: behind a message that waits for its commit others wait as well', async () => {
    const all = ['1', '2', '3', '4', '5'].map((value) =>
      rig.publish('q', value, { qos: value === '3' ? 1 : 0 }),
    );
    assert.deepEqual(consumer.values, ['1', '2']);
    checkCounts();
    await Promise.all(all);
    assert.deepEqual(consumer.values, ['1', '2', '3', '4', '5']);
    checkCounts();
    assert.equal(queue.counts.acked, 5);
  });

  it('a backlog comes first, and who acknowledges gets what is committed', async () => {
    attachment.detach();
    await rig.publish('q', 'kept', { qos: 0 });
    const slow = new Collector();
    queue.attach(slow);
    const published = rig.publish('q', 'next', { qos: 0 });
    assert.deepEqual(slow.values, ['kept']);
    await published;
    assert.deepEqual(slow.values, ['kept', 'next']);
    assert.equal(queue.unackedCount, 2);
  });

  it('what was delivered early and is on disk does not come again after a crash', async () => {
    await rig.publish('q', '1', { qos: 0 });
    await rig.publish('other', 'carries what is finished');
    await rig.crash();
    queue = rig.broker.queues.declare('q', { durable: true, stream: 'q' });
    assert.equal(queue.readyCount, 0);
    assert.equal(queue.counts.acked, 1);
  });

  it('what was delivered early and lost by a crash leaves its place to the next message', async () => {
    void rig.publish('q', 'lost', { qos: 0 }).catch(() => undefined);
    assert.deepEqual(consumer.values, ['lost']);
    await rig.crash();
    queue = rig.broker.queues.declare('q', { durable: true, stream: 'q' });
    consumer = new Collector();
    queue.attach(consumer, { finishes: true });
    await rig.publish('q', 'after', { qos: 0 });
    assert.deepEqual(consumer.values, ['after']);
    assert.deepEqual(await rig.stored('q'), ['after']);
    checkCounts();
  });

  it('an append that fails takes the place back', async () => {
    await rig.publish('q', '1', { qos: 0 });
    rig.files.fault = (call, path) => {
      if (call === 'write' && path.includes('wal')) throw new Error('EIO');
    };
    await assert.rejects(rig.publish('q', '2', { qos: 0 }));
    rig.files.fault = null;
    assert.deepEqual(consumer.values, ['1', '2']);
    assert.equal(queue.unackedCount, 0);
    assert.equal(queue.counts.acked, 1);
    checkCounts();
    await rig.crash();
  });
});
