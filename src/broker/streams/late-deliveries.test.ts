import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { it } from 'node:test';
import { BrokerError } from '#kit';
import { LOG_IDS_PER_SLOT, type ObjectStore } from '#storage';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig, RigTimers } from '../broker.rig.ts';
import { packBatch } from '../records/record-batch.fixture.ts';
import type { Partition } from './partition.ts';

const TRANSACTIONAL = 0x10;
const PRODUCER = { producerId: 7, producerEpoch: 0, baseSequence: 0, attributes: TRANSACTIONAL };
const MESSAGES = 24;
const MESSAGE_BYTES = 100_000;

const NO_PRODUCER = { producerId: -1, producerEpoch: -1, baseSequence: -1, attributes: 0 };

/** Appends one record; by default it opens a transaction. */
function write(rig: Rig, partition: Partition, value: string, by = PRODUCER): Promise<void> {
  const bytes = packBatch([{ key: null, value, timeMs: rig.nowMs }], by);
  const facts = {
    ...{ kind: 'data' as const, count: 1, maxTimestampMs: rig.nowMs },
    ...{ serverPacked: false, origin: 2, principal: 0, ...by },
  };
  return told((done) => rig.broker.appendBatch(partition, bytes, facts, done));
}

function commit(rig: Rig, partition: Partition): Promise<void> {
  const marker = { producerId: 7, producerEpoch: 0, isCommit: true, coordinatorEpoch: 0 };
  return told((done) => rig.broker.transactions.end(partition, marker, done));
}

function told(start: (done: (error: BrokerError | null) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null ? resolve() : reject(error)));
  });
}

function bind(rig: Rig, name: string): Collector {
  const collector = new Collector();
  const queue = rig.broker.queues.get(name) ?? rig.broker.queues.declare(name, { durable: true });
  rig.broker.subscribe({ pattern: plainDotPattern('orders'), queue });
  queue.attach(collector);
  return collector;
}

for (const [what, failure] of [
  ['an object store that is away', new BrokerError('remote-unavailable', 'no route')],
  ['a disk that cannot read now', Object.assign(new Error('EMFILE'), { code: 'EMFILE' })],
] as const) {
  it(`deliveries behind a transaction wait for ${what}, in order and without loss X30`, async () => {
    const rig = new Rig();
    const events = new EventEmitter();
    let isAway = false;
    const objects = async (local: ObjectStore): Promise<ObjectStore> => ({
      put: (...given) => local.put(...given).finally(() => events.emit('put')),
      get: async (...given) => {
        if (!isAway) return local.get(...given);
        setImmediate(() => setImmediate(() => events.emit('refused')));
        throw failure;
      },
      list: (prefix) => local.list(prefix),
      deleteMany: (names) => local.deleteMany(names),
      close: () => local.close(),
    });
    rig.engineOptions = { objects, limits: { reorganiseDelayMs: 0, cacheBytes: 1 << 20 } };
    await rig.open();
    const written = once(events, 'put');
    await write(rig, rig.broker.streams.create('orders').partitions[0]!, 'open');
    const values = ['open'];
    for (let n = 0; n < MESSAGES; n++) {
      values.push(`${n} ${'x'.repeat(MESSAGE_BYTES)}`);
      await rig.publish('orders', values.at(-1)!);
    }
    await written;
    await rig.close();

    rig.timers = new RigTimers(() => rig.nowMs);
    await rig.open();
    const partition = rig.broker.streams.get('orders')!.partitions[0]!;
    const got = bind(rig, 'bound');
    rig.broker.resume();
    isAway = true;
    const refused = once(events, 'refused');
    await commit(rig, partition);
    await refused;
    await rig.publish('orders', 'behind');
    const again = once(events, 'refused');
    rig.pass(5_000);
    await again;
    assert.deepEqual(got.values, [], 'nothing is passed over');
    isAway = false;
    rig.broker.transactions.readAgain();
    await got.count(MESSAGES + 2);
    await rig.publish('orders', 'last');
    await got.count(MESSAGES + 3);
    assert.deepEqual(got.values, [...values, 'behind', 'last']);
    assert.equal(partition.transactions, null, 'messages go their direct way again');
    await rig.close();
  });
}

it('a place is not kept as delivered when the disk of a queue fails before its references are stored X30', async () => {
  const rig = new Rig();
  rig.owners = 2;
  await rig.open();
  const partition = rig.broker.streams.create('orders').partitions[0]!;
  rig.broker.resume();
  const names = Array.from({ length: 64 }, (_, n) => `queue-${n}`);
  const name = names.find((one) => {
    const { id } = rig.broker.queues.declare(one, { durable: true });
    return !rig.engine.sameOwner(id, partition.log.id);
  })!;
  bind(rig, name);
  await write(rig, partition, 'a');
  await rig.publish('orders', 'b');
  await rig.engine.flushed();
  const owner = Math.floor(rig.broker.queues.get(name)!.id / LOG_IDS_PER_SLOT) % 2;
  const failed = new Promise<void>((resolve) => {
    rig.broker.onHealth((health) => {
      if (health === 'failed') resolve();
    });
  });
  rig.files.fault = (call, path) => {
    if (call === 'write' && path.startsWith(`data${owner}/`)) throw new Error('a bad disk');
  };
  await commit(rig, partition);
  await failed;
  // What the owner of the partition still writes is on its disk.
  await write(rig, partition, 'c', NO_PRODUCER);
  rig.files.fault = null;
  await rig.crash();
  const after = bind(rig, name);
  rig.broker.resume();
  await after.count(3);
  assert.deepEqual(after.values, ['a', 'b', 'c']);
  await rig.close();
});
