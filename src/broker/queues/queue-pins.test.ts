import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Rig } from '../broker.rig.ts';
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
