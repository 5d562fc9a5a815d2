import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { slashSpelling } from '../addresses/address.ts';
import { slashPattern } from '../addresses/pattern.ts';
import { Collector, Rig, RigTimers } from '../broker.rig.ts';
import { packBatch } from '../records/record-batch.fixture.ts';
import type { Partition } from '../streams/partition.ts';

const subscriptions = [{ pattern: slashPattern('a/#')!, options: 1 }];

describe('a queue that is not in memory', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    rig.timers = new RigTimers(() => rig.nowMs);
    await open();
  });
  afterEach(() => rig.close());

  async function open(): Promise<void> {
    await rig.open();
    prepare();
    rig.broker.cold.cool('q', subscriptions, false);
  }

  function prepare(): void {
    rig.broker.cold.policy = {
      settings: { durable: true },
      wants: ({ qos }) => qos > 0,
      ...{ newestMax: Number.POSITIVE_INFINITY, dropped: () => {}, meta: (options) => options },
    };
  }

  const publish = (topic: string, value: string): Promise<unknown> =>
    rig.publish(slashSpelling.parse(topic), value, {}, { stream: 's' });

  const publishFlat = (value: string): Promise<unknown> =>
    rig.publish(slashSpelling.parse('a'), value, {}, { stream: 'a' });

  async function settled(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      await rig.engine.flushed();
      await new Promise((resolve) => setImmediate(resolve));
      rig.pass(30);
    }
  }

  const partition = (): Partition => rig.broker.streams.get('s')!.partitions[0]!;

  const brief = (): { expiresAtMs: number } => ({ expiresAtMs: rig.nowMs + 1000 });

  /** The consumer comes back. */
  async function values(count: number): Promise<string[]> {
    const queue = rig.broker.cold.warm('q')!;
    const consumer = new Collector();
    queue.attach(consumer);
    rig.pass(30);
    await consumer.count(count);
    return consumer.values;
  }

  it('has one message after a crash when one waited M198', async () => {
    rig.broker.streams.create('s');
    await publish('a/b', '1');
    await rig.crash();
    prepare();
    assert.equal(rig.broker.cold.length('q'), 1);
    rig.broker.cold.cool('q', subscriptions, false);
    await publish('a', '2');
    assert.deepEqual(await values(2), ['1', '2']);
  });

  it('keeps what it needs from retention, and lets it go M198', async () => {
    rig.broker.streams.create('s');
    for (let n = 0; n < 1500; n++) await publish('x', 'not for it');
    assert.equal(rig.broker.queues.firstOffset(partition()), Number.POSITIVE_INFINITY);
    await publish('a/b', 'wanted');
    const needed = (): number => rig.broker.queues.firstOffset(partition());
    assert.ok(needed() <= 1500 && needed() > 0, `${needed()}`);
    await rig.crash();
    prepare();
    rig.broker.cold.cool('q', subscriptions, false);
    assert.ok(needed() <= 1500, `${needed()}`);
    rig.broker.cold.warm('q');
    assert.equal(needed(), 1500);
    rig.broker.cold.cool('q', subscriptions, false);
    await settled();
    assert.equal(rig.broker.queues.get('q'), undefined);
    assert.ok(needed() <= 1500, `${needed()}`);
    rig.broker.queues.remove(rig.broker.cold.warm('q')!);
    assert.equal(needed(), Number.POSITIVE_INFINITY);
  });

  it('has nothing of a message that the full disk refused M198', async () => {
    rig.broker.streams.create('s');
    await publish('a/b', '1');
    rig.files.capacityBytes = rig.files.usedBytes + 1_500_000;
    let taken = 0;
    let refused = 0;
    for (let round = 0; refused === 0; round++) {
      assert.ok(round < 100);
      const tries = Array.from({ length: 5 }, () => publish('a/b', 'x'.repeat(20_000)));
      for (const { status } of await Promise.allSettled(tries)) {
        if (status === 'fulfilled') taken++;
        else refused++;
      }
    }
    assert.equal(rig.engine.health, 'full');
    assert.equal(rig.broker.cold.length('q'), 1 + taken);
    rig.files.capacityBytes = Number.POSITIVE_INFINITY;
    for (let turn = 0; rig.engine.health === 'full' && turn < 100; turn++) {
      rig.pass(1000);
      await settled();
    }
    await publish('a/b', '2');
    const got = await values(taken + 2);
    assert.deepEqual([got[0], got.at(-1)], ['1', '2']);
    assert.equal(got.length, taken + 2);
  });

  it('costs a publisher of other topics no row and no queue M198', async () => {
    rig.broker.streams.create('s');
    for (const topic of ['b', 'b/a', '$a/b', 'a']) await publish(topic, topic);
    assert.equal(rig.broker.cold.length('q'), 1);
    assert.equal([...rig.broker.queues.list()].length, 0);
    assert.equal(rig.broker.state.count('cold/queue.waiting'), 1);
  });

  it('loses what expired while the server was away, when its protocol is there M198', async () => {
    rig.broker.streams.create('a');
    const expires = { expiresAtMs: rig.nowMs + 1000 };
    await rig.publish(slashSpelling.parse('a'), 'brief', expires, { stream: 'a' });
    await publishFlat('lasting');
    await rig.crash();
    rig.pass(2000);
    await settled();
    assert.equal(rig.broker.cold.length('q'), 2);
    prepare();
    rig.broker.cold.cool('q', subscriptions, false);
    rig.pass(1);
    await settled();
    assert.equal(rig.broker.cold.length('q'), 1);
    assert.deepEqual(await values(1), ['lasting']);
  });

  it('loses at its time what a line brought, back in memory without a consumer M66 M198', async () => {
    await rig.close();
    await rig.open({ coldLineMembers: 1 });
    prepare();
    rig.broker.streams.create('s');
    rig.broker.cold.cool('q', subscriptions, false);
    await rig.publish(slashSpelling.parse('a/b'), 'brief', brief(), { stream: 's' });
    assert.equal(rig.broker.state.count('cold/queue.line'), 1);
    const queue = rig.broker.cold.warm('q')!;
    await settled();
    assert.equal(queue.readyCount, 1);
    rig.pass(1000);
    await settled();
    assert.equal(queue.readyCount, 0);
  });

  it('gets records of a batch that was appended as it came M198', async () => {
    rig.broker.streams.create('a');
    await publishFlat('before');
    const records = ['1', '2'].map((value) => ({ key: null, value, timeMs: rig.nowMs }));
    const facts = {
      ...{ kind: 'data' as const, count: 2, maxTimestampMs: rig.nowMs, serverPacked: false },
      ...{ origin: 2, principal: 0, producerId: -1, producerEpoch: -1, baseSequence: -1 },
      attributes: 0,
    };
    const stream = rig.broker.streams.get('a')!.partitions[0]!;
    await new Promise<void>((resolve, reject) => {
      rig.broker.appendBatch(stream, packBatch(records), facts, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    await rig.crash();
    prepare();
    rig.broker.cold.cool('q', subscriptions, false);
    assert.equal(rig.broker.cold.messages, 3);
    assert.deepEqual(await values(3), ['before', '1', '2']);
  });

  it('takes messages of other owners of slots itself, in order X64', async () => {
    await rig.close();
    rig = new Rig();
    rig.timers = new RigTimers(() => rig.nowMs);
    rig.owners = 3;
    await open();
    const names = Array.from({ length: 12 }, (_, n) => `s${n}`);
    for (const name of names) rig.broker.streams.create(name);
    await rig.broker.streams.durable();
    const waiting = names.map((stream, n) =>
      rig.publish(slashSpelling.parse('a/b'), String(n), {}, { stream }),
    );
    await Promise.all(waiting);
    await settled();
    assert.deepEqual(
      await values(12),
      names.map((_, n) => String(n)),
    );
  });
});
