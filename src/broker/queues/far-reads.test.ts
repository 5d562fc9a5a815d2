import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { BrokerError } from '#kit';
import type { ObjectStore } from '#storage';
import { Collector, Rig, RigTimers } from '../broker.rig.ts';

const MESSAGES = 64;
const MESSAGE_BYTES = 100_000;

/** A store that can go away: what is read then is refused, as a bucket's is. */
class Unsteady extends EventTarget implements ObjectStore {
  away = false;
  #local: ObjectStore | null = null;

  over(local: ObjectStore): Promise<ObjectStore> {
    this.#local = local;
    return Promise.resolve(this);
  }

  put(...given: Parameters<ObjectStore['put']>): Promise<void> {
    return this.#local!.put(...given).finally(() => this.dispatchEvent(new Event('put')));
  }

  async get(...given: Parameters<ObjectStore['get']>): Promise<Buffer> {
    if (!this.away) return this.#local!.get(...given);
    queueMicrotask(() => setImmediate(() => this.dispatchEvent(new Event('refused'))));
    throw new BrokerError('remote-unavailable', 'no route');
  }

  list(prefix: string): ReturnType<ObjectStore['list']> {
    return this.#local!.list(prefix);
  }

  deleteMany(names: readonly string[]): Promise<void> {
    return this.#local!.deleteMany(names);
  }

  close(): Promise<void> {
    return this.#local!.close();
  }
}

it('a consumer waits for an object store that is away, and goes on when it is back K49', async () => {
  const rig = new Rig();
  const store = new Unsteady();
  const objects = store.over.bind(store);
  rig.engineOptions = { objects, limits: { reorganiseDelayMs: 0, cacheBytes: 1 << 20 } };
  await rig.open();
  const { partitions } = rig.broker.streams.create('s');
  const written = once(store, 'put');
  const values = Array.from({ length: MESSAGES }, (_, n) => `${n} ${'x'.repeat(MESSAGE_BYTES)}`);
  for (const value of values) await rig.publish('s', value);
  await written;
  assert.equal(partitions[0]!.startOffset, 0);
  await rig.close();

  rig.timers = new RigTimers(() => rig.nowMs);
  await rig.open();
  const queue = rig.broker.queues.declare('q', { durable: true, stream: 's', startOffset: 0 });
  const consumer = new Collector();
  store.away = true;
  const refused = once(store, 'refused');
  queue.attach(consumer);
  await refused;
  assert.equal(consumer.got.length, 0);
  assert.equal(queue.consumerCount, 1, 'it is not the fault of the consumer');
  const again = once(store, 'refused');
  rig.pass(5_000);
  await again;
  assert.equal(consumer.got.length, 0);
  store.away = false;
  rig.broker.queues.readAgain();
  await consumer.count(MESSAGES);
  assert.deepEqual(consumer.values, values);
  await rig.close();
});
