import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Collector, Rig } from '../broker.rig.ts';
import type { Queue } from './queue.ts';

describe('queues of a server that takes leave of its clients', () => {
  let rig: Rig;
  let queue: Queue;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    rig.broker.streams.create('q');
    queue = rig.broker.queues.declare('q', { durable: true, stream: 'q' });
  });

  afterEach(() => rig.close());

  it('what one consumer gives back goes to no other, and is not counted for it', async () => {
    const leaving = queue.attach(new Collector());
    await Promise.all(['1', '2'].map((value) => rig.publish('q', value)));
    const other = new Collector();
    queue.attach(other);
    rig.broker.queues.stop();
    leaving.detach();
    assert.deepEqual(other.values, []);
    assert.equal(await queue.get(), null);
    assert.equal(queue.readyCount, 2);
    await rig.publish('other', 'carries the state of the queue');
    await rig.crash();
    queue = rig.broker.queues.declare('q', { durable: true, stream: 'q' });
    const next = new Collector();
    queue.attach(next);
    await next.count(2);
    assert.deepEqual(
      next.got.map(({ deliveryCount, redelivered }) => [deliveryCount, redelivered]),
      [
        [2, true],
        [2, true],
      ],
    );
  });

  it('what comes meanwhile is stored and waits, as never delivered', async () => {
    const early = new Collector();
    queue.attach(early, { finishes: true });
    rig.broker.queues.stop();
    await rig.publish('q', 'late', { qos: 0 });
    assert.deepEqual(early.values, []);
    await rig.crash();
    queue = rig.broker.queues.declare('q', { durable: true, stream: 'q' });
    const next = new Collector();
    queue.attach(next);
    await next.count(1);
    assert.equal(next.got[0]!.redelivered, false);
  });
});
