import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BrokerError } from '#kit';
import type { BatchFacts } from '#storage';
import { slashSpelling } from '../addresses/address.ts';
import { slashPattern } from '../addresses/pattern.ts';
import { Rig } from '../broker.rig.ts';
import { wholeOf } from '../principals/place.ts';
import { type ProducedRecord, packBatch } from '../records/record-batch.fixture.ts';
import { LAST_VALUES } from '../streams/last-values-stream.ts';
import type { Partition } from '../streams/partition.ts';

const KAFKA = 2;

describe('last values that producers set', () => {
  let rig: Rig;
  let partition: Partition;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    partition = rig.broker.streams.create(LAST_VALUES).partitions[0]!;
  });
  afterEach(() => rig.close());

  function append(
    records: readonly (readonly [key: string | null, value: string | null])[],
    more: Partial<BatchFacts> = {},
    headers: ProducedRecord['headers'] = [],
  ): Promise<number> {
    const timeMs = rig.nowMs;
    const packed = records.map(([key, value]) => ({ key, value, timeMs, headers }));
    const facts: BatchFacts = {
      ...{ kind: 'data', count: records.length, maxTimestampMs: timeMs, serverPacked: false },
      ...{ origin: KAFKA, principal: 0, producerId: -1, producerEpoch: -1, baseSequence: -1 },
      attributes: 0,
      ...more,
    };
    return new Promise((resolve, reject) => {
      const { baseOffset } = rig.broker.appendBatch(
        partition,
        packBatch(packed, facts),
        facts,
        (error) => {
          if (error === null) resolve(baseOffset);
          else reject(error);
        },
      );
    });
  }

  function kept(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const message of rig.broker.lastValues.match(slashPattern('#')!)) {
      if (message !== null) found[message.address.text] = message.value!.toString();
    }
    return found;
  }

  it('become those of the addresses in their keys, in order, and are there after a crash X5', async () => {
    await append([
      ['a/1', 'one'],
      ['a/2', 'two'],
      ['a/1', 'newer'],
      ['a/2', null],
    ]);
    await append([['a/3', '']]);
    await append([['a/4', 'four']], {}, [['content-type', 'text/plain']]);
    assert.deepEqual(kept(), { 'a/1': 'newer', 'a/4': 'four' });
    const message = rig.broker.lastValues.get(slashSpelling.parse('a/4'))!;
    assert.deepEqual([message.contentType, message.retain, message.qos], ['text/plain', true, 1]);
    await rig.crash();
    assert.deepEqual(kept(), { 'a/1': 'newer', 'a/4': 'four' });
    await rig.engine.checkpoint();
    await rig.crash();
    assert.deepEqual(kept(), { 'a/1': 'newer', 'a/4': 'four' });
    assert.equal(rig.broker.lastValues.count, 2);
  });

  it('reach who subscribed to the address, once, and queues find them again under it X5', async () => {
    const live: string[] = [];
    const pattern = slashPattern('a/+')!;
    rig.broker.subscribe({
      pattern,
      subscriber: { receive: ({ address, value }) => void live.push(`${address.text}=${value}`) },
    });
    const queue = rig.broker.queues.declare('q', { durable: true });
    rig.broker.subscribe({ pattern, queue });
    await append([
      ['a/1', 'one'],
      ['b/1', 'other'],
    ]);
    assert.deepEqual(live, ['a/1=one']);
    assert.equal(queue.readyCount, 1);
    partition.forget();
    const [first] = await partition.readMessages(0, 1);
    assert.deepEqual([first!.address.text, first!.retain], ['a/1', true]);
  });

  it('are taken once when a producer repeats itself X5 K28', async () => {
    const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0 };
    assert.equal(await append([['a', '1']], producer), 0);
    await append([['a', '2']], { ...producer, baseSequence: 1 });
    assert.equal(await append([['a', '1']], producer), 0, 'the place of the first time');
    assert.deepEqual(kept(), { a: '2' });
  });

  it('are refused as a whole batch for a wrong key, in a transaction, or beyond a limit X5 M119', async () => {
    const refuses = (code: string) => (error: unknown) =>
      error instanceof BrokerError && error.code === code;
    const good = ['a/1', '1'] as const;
    for (const key of ['a/+', 'a/#', '$a', '', 'a\0b']) {
      await assert.rejects(
        async () => append([good, [key, '2']]),
        refuses('invalid-argument'),
        key,
      );
    }
    await assert.rejects(async () => append([good, [null, '2']]), refuses('invalid-argument'));
    const transactional = { attributes: 0x10, producerId: 7, producerEpoch: 0, baseSequence: 0 };
    await assert.rejects(async () => append([good], transactional), refuses('invalid-argument'));
    rig.broker.lastValues.limits = {
      countMax: 2,
      bytesMax: 1000,
      valueBytesMax: 100,
      expiryMs: -1,
    };
    const large = async () => append([['a/1', 'x'.repeat(101)]]);
    await assert.rejects(large, refuses('message-too-large'));
    const three = async () => append([good, ['a/2', '2'], ['a/3', '3']]);
    await assert.rejects(three, refuses('limit-reached'));
    assert.deepEqual(kept(), {});
    assert.equal(partition.endOffset, 0);
    await append([good, ['a/2', '2']]);
    await append([
      ['a/1', '3'],
      ['a/2', null],
    ]);
    assert.deepEqual(kept(), { 'a/1': '3' });
  });

  it('expire at the time in their header, by a tombstone X5 M117', async () => {
    await append([['a/1', '1']], {}, [['expires-at', String(rig.nowMs + 5000)]]);
    assert.equal(
      rig.broker.lastValues.get(slashSpelling.parse('a/1'))!.expiresAtMs,
      rig.nowMs + 5000,
    );
    assert.equal(rig.broker.time.count('last-value'), 1);
    await append([['a/1', '2']]);
    assert.equal(rig.broker.time.count('last-value'), 0);
  });

  it('what the disk does not take is taken back X5 M116', async () => {
    await append([
      ['a/1', 'old'],
      ['a/2', 'old'],
    ]);
    rig.files.fault = () => {
      throw new Error('the disk is gone');
    };
    const { lastValues } = rig.broker;
    const outcomes = [
      append([['a/1', 'new']]),
      append([['a/3', 'new']]),
      append([['a/1', 'newer']]),
    ];
    const message = rig.message(slashSpelling.parse('a/2'), 'new');
    const last = lastValues.keep(message);
    assert.deepEqual(kept(), { 'a/1': 'newer', 'a/2': 'new', 'a/3': 'new' });
    const error = await new Promise<BrokerError | null>((resolve) => {
      lastValues.settled(last, resolve);
    });
    assert.equal(error?.code, 'storage-failed');
    for (const outcome of outcomes) await assert.rejects(outcome);
    assert.deepEqual(kept(), { 'a/1': 'old', 'a/2': 'old' });
    assert.equal(lastValues.count, 2);
    rig.files.fault = null;
  });

  describe('thousands in one batch', () => {
    const COUNT = 3_000;
    const all = Array.from({ length: COUNT }, (_, n) => [`many/${n}`, 'batch'] as const);

    function keep(name: string, value: string | null): void {
      rig.broker.lastValues.keep(rig.message(slashSpelling.parse(name), value));
    }

    it('give way to others, and are all there when their producer is told X5 M118', async () => {
      const { lastValues } = rig.broker;
      const told = append(all);
      assert.ok(lastValues.count > 0 && lastValues.count < COUNT / 4, `${lastValues.count}`);
      assert.ok(lastValues.isBehind(COUNT) && !lastValues.isBehind(1));
      const small = append([['many/7', 'later']]);
      assert.equal(await Promise.race([small.then(() => 'small'), told.then(() => 'all')]), 'all');
      await small;
      assert.equal(lastValues.count, COUNT);
      assert.ok(!lastValues.isBehind(lastValues.endOffset));
      const wanted = { ...Object.fromEntries(all), 'many/7': 'later' };
      assert.deepEqual(kept(), wanted);
      await rig.crash();
      assert.deepEqual(kept(), wanted);
      partition = rig.broker.streams.get(LAST_VALUES)!.partitions[0]!;
    });

    it('come before what others set behind them X5 M116', async () => {
      const told = [append(all), append([['many/1', 'second batch']])];
      keep('many/2999', 'by another');
      keep('many/2998', null);
      told.push(append([['many/2997', 'third batch']]));
      const wanted = {
        ...Object.fromEntries(all.slice(0, -2)),
        ...{ 'many/1': 'second batch', 'many/2997': 'third batch', 'many/2999': 'by another' },
      };
      assert.deepEqual(kept(), wanted, 'from the first change on');
      await Promise.all(told);
      assert.deepEqual(kept(), wanted);
      await rig.engine.checkpoint();
      assert.deepEqual(kept(), wanted);
      await rig.crash();
      assert.deepEqual(kept(), wanted);
      partition = rig.broker.streams.get(LAST_VALUES)!.partitions[0]!;
    });

    it('are counted before others are, where there is a limit X5 M119', async () => {
      const { lastValues } = rig.broker;
      lastValues.limits = { countMax: COUNT + 1, bytesMax: -1, valueBytesMax: -1, expiryMs: -1 };
      const told = append(all);
      assert.equal(lastValues.offer(rig.message(slashSpelling.parse('more/1'), 'x')), true);
      assert.equal(lastValues.offer(rig.message(slashSpelling.parse('more/2'), 'x')), false);
      await told;
      await assert.rejects(append([['more/3', 'x']]), { code: 'limit-reached' });
    });

    it('are none when the disk is gone X5 M116', async () => {
      await append([['many/5', 'old']]);
      rig.files.fault = () => {
        throw new Error('the disk is gone');
      };
      const outcomes = [append(all), append([['many/6', 'new']]), append(all)];
      for (const outcome of outcomes) await assert.rejects(outcome, { code: 'storage-failed' });
      assert.deepEqual(kept(), { 'many/5': 'old' });
      rig.files.fault = null;
    });

    it('are whole after a stop, with a copy of the index X5 M116', async () => {
      const told = append(all);
      await rig.close();
      await told;
      const head = await rig.meta.get('last-values-index', '');
      assert.equal(JSON.parse(head!.toString()).mark, COUNT);
      await rig.open();
      assert.deepEqual(kept(), Object.fromEntries(all));
    });
  });

  it('a disk that is gone is told before a message is taken, and to all of a full batch X5 M116', async () => {
    rig.files.fault = () => {
      throw new Error('the disk is gone');
    };
    const { lastValues } = rig.broker;
    lastValues.checkRoom();
    const fates = Array.from({ length: 7 }, (_, n) => {
      const message = rig.message(slashSpelling.parse(`a/${n}`), 'x'.repeat(400_000));
      const offset = lastValues.keep(message);
      return new Promise<BrokerError | null>((resolve) => lastValues.settled(offset, resolve));
    });
    for (const fate of fates) assert.equal((await fate)?.code, 'storage-failed');
    assert.equal(lastValues.count, 0);
    assert.throws(() => lastValues.checkRoom(), { code: 'storage-failed' });
    rig.files.fault = null;
  });

  it('belong to the server: no route, queue or publish leads there, and it stays X5', async () => {
    const { broker } = rig;
    const target = broker.target(slashSpelling.parse(LAST_VALUES), 'first-level');
    broker.publish(rig.message(LAST_VALUES, 'x'), target, null, 0);
    assert.equal(partition.endOffset, 0);
    const own = broker.target(slashSpelling.parse('x'), { stream: LAST_VALUES });
    assert.throws(() => broker.publish(rig.message('x', 'x'), own, null, 0), {
      code: 'not-authorized',
    });
    const route = { name: 'r', pattern: 'x/#', stream: LAST_VALUES, key: 'none' } as const;
    assert.throws(() => broker.routes.put(route), { code: 'invalid-argument' });
    const stream = partition.stream;
    assert.throws(() => broker.streams.remove(stream), { code: 'precondition-failed' });
    assert.throws(() => broker.streams.addPartitions(stream, 2), { code: 'invalid-argument' });
    const deletes = () => broker.streams.change(stream, { cleanup: 'delete' });
    assert.throws(deletes, { code: 'invalid-argument' });
    broker.streams.change(stream, { headMs: 5 });
  });

  it('are all readable by who may read everything, and by nobody else X5 X33', async () => {
    const { principals, routes } = rig.broker;
    await principals.setUser('joe', 'secret', { superuser: false });
    const joe = await principals.authenticate({ user: 'joe', password: 'secret', loopback: true });
    const may = (name: string): boolean =>
      rig.broker.authorize(joe, 'subscribe', wholeOf(routes, name));
    assert.equal(may(LAST_VALUES), true);
    const base = { effect: 'deny', principal: '*', actions: ['all'] } as const;
    principals.putRule({ ...base, id: 'deny', pattern: 'secret/#' });
    assert.equal(may(LAST_VALUES), false);
    assert.equal(may('other'), true);
  });
});
