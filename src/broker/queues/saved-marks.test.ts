/** What a queue says of itself only when it is on disk, and what it says before a crash. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig } from '../broker.rig.ts';

it('a delivery that was not answered before a crash is marked when it comes again X17', async () => {
  const rig = new Rig();
  await rig.open();
  const begin = (): Collector => {
    const { queues } = rig.broker;
    const queue = queues.get('q') ?? queues.declare('q', { durable: true });
    rig.broker.subscribe({ pattern: plainDotPattern('orders'), queue });
    const collector = new Collector();
    queue.attach(collector);
    return collector;
  };
  const first = begin();
  await rig.publish('orders', 'a');
  await first.count(1);
  assert.equal(first.got[0]!.redelivered, false);
  await rig.engine.flushed();
  await rig.crash();
  const again = begin();
  await again.count(1);
  assert.deepEqual(again.values, ['a']);
  assert.equal(again.got[0]!.redelivered, true);
  await rig.close();
});

it('retention waits until what was finished is finished on disk as well X16 X62', async () => {
  const rig = new Rig();
  await rig.open();
  const partition = rig.broker.streams.create('orders').partitions[0]!;
  const queue = rig.broker.queues.declare('q', { durable: true, stream: 'orders' });
  const consumer = new Collector();
  const attachment = queue.attach(consumer);
  await rig.publish('orders', 'a');
  await rig.publish('orders', 'b');
  await consumer.count(2);
  const { position } = consumer.got[0]!;
  queue.ack(position, attachment);
  assert.equal(rig.broker.queues.firstOffset(partition), 0, 'a crash now would bring it back');
  await rig.engine.flushed();
  assert.equal(rig.broker.queues.firstOffset(partition), 1);
  await rig.close();
});
