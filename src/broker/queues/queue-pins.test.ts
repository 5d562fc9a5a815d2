import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Collector, Rig } from '../broker.rig.ts';
import { QueuePins } from './queue-pins.ts';

it('queues that are gone are not remembered beside one that stays', async () => {
  const rig = new Rig();
  await rig.open();
  const partition = rig.broker.streams.create('s').partitions[0]!;
  const pins = new QueuePins();
  const declare = (name: string) => {
    const queue = rig.broker.queues.declare(name, { durable: true, stream: 's' });
    pins.add(partition, queue);
    return queue;
  };
  declare('stays');
  for (const value of ['1', '2', '3']) await rig.publish('s', value);
  for (let n = 0; n < 200; n++) {
    const passing = declare(`passes ${n}`);
    assert.equal(pins.first(partition), 0);
    rig.broker.queues.remove(passing);
    assert.equal(pins.first(partition), 0);
  }
  assert.ok(pins.count(partition) <= 20, `${pins.count(partition)} are remembered`);
  await rig.close();
});

it('about how many bytes a queue pins is known, and none once it is finished X16', async () => {
  const rig = new Rig();
  await rig.open();
  rig.broker.streams.create('s');
  rig.broker.streams.create('t');
  const queue = rig.broker.queues.declare('q', { durable: true, stream: 's' });
  for (let n = 0; n < 10; n++) await rig.publish('s', 'x'.repeat(1000));
  const bytesOf = (name: string) => rig.broker.streams.get(name)!.partitions[0]!.stat().bytes;
  assert.equal(queue.lanes.pinnedBytes, bytesOf('s'));
  const consumer = new Collector(5);
  queue.attach(consumer);
  for (const { position } of consumer.got) queue.ack(position);
  await rig.engine.flushed();
  assert.equal(queue.lanes.pinnedBytes, Math.round(bytesOf('s') / 2));
  rig.broker.queues.holdReferences(queue);
  await rig.publish('t', 'y'.repeat(1000), {}, 'first-level', [queue]);
  assert.equal(queue.lanes.pinnedBytes, Math.round(bytesOf('s') / 2 + bytesOf('t')));
  queue.purge();
  for (const { position } of consumer.got) queue.ack(position);
  await rig.engine.flushed();
  assert.equal(queue.lanes.pinnedBytes, 0);
  await rig.close();
});
