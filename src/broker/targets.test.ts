import assert from 'node:assert/strict';
import { it } from 'node:test';
import { slashSpelling } from './addresses/address.ts';
import { slashPattern } from './addresses/pattern.ts';
import { Rig } from './broker.rig.ts';

it('a target lets go of subscribers, queues and streams that have ended', async () => {
  const rig = new Rig();
  const broker = await rig.open();
  const address = slashSpelling.parse('t/1');
  const pattern = slashPattern('t/#')!;
  const publish = () => rig.publish(address, 'x');
  const stream = broker.streams.create('t');
  const target = broker.target(address, 'first-level');
  const plan = () => target.plan;

  const subscription = broker.subscribe({ pattern, subscriber: { receive: () => {} } });
  await publish();
  assert.equal(plan()?.live.length, 1);
  assert.equal(target.home?.stream, stream);
  subscription.end();
  assert.equal(plan(), null);

  const queue = broker.queues.declare('q', { durable: true });
  const binding = broker.subscribe({ pattern, queue, group: 'g' });
  await publish();
  assert.equal(plan()?.groups.length, 1);
  binding.end();
  assert.equal(plan(), null);

  await publish();
  broker.streams.remove(stream);
  assert.equal(target.home, null);
  await publish();
  assert.notEqual(target.home, null, 'the stream was made again');
  await rig.close();
});
