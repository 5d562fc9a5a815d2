import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { BrokerError } from '#kit';
import { flatAddress, slashSpelling } from '../addresses/address.ts';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig } from '../broker.rig.ts';
import type { Message } from '../records/message.ts';
import { packBatch } from '../records/record-batch.fixture.ts';
import type { Partition } from './partition.ts';

const TRANSACTIONAL = 0x10;

describe('transactions in partitions', () => {
  let rig: Rig;
  let partition: Partition;
  let sequence = 0;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    partition = rig.broker.streams.create('orders').partitions[0]!;
    sequence = 0;
    rig.broker.resume();
  });

  afterEach(() => rig.close());

  /** Appends a producer's batch, in a transaction or (producer -1) in none. */
  function write(values: readonly string[], producerId = -1): Promise<void> {
    const inOne = producerId >= 0;
    const epoch = inOne ? 0 : -1;
    const baseSequence = inOne ? sequence : -1;
    const attributes = inOne ? TRANSACTIONAL : 0;
    if (inOne) sequence += values.length;
    const producer = { producerId, producerEpoch: epoch, baseSequence, attributes };
    const records = values.map((value) => ({ key: null, value, timeMs: rig.nowMs }));
    const bytes = packBatch(records, producer);
    const facts = {
      ...{ kind: 'data' as const, count: values.length, maxTimestampMs: rig.nowMs },
      ...{ serverPacked: false, origin: 2, principal: 0, ...producer },
    };
    return told((done) => {
      rig.broker.appendBatch(partition, bytes, facts, done);
    });
  }

  function end(producerId: number, isCommit: boolean): Promise<void> {
    const marker = { producerId, producerEpoch: 0, isCommit, coordinatorEpoch: 0 };
    return told((done) => rig.broker.transactions.end(partition, marker, done));
  }

  function told(begin: (done: (error: BrokerError | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) =>
      begin((error) => (error === null ? resolve() : reject(error))),
    );
  }

  function listener(): string[] {
    const got: string[] = [];
    const receive = (message: Message): void => void got.push(`${message.value}`);
    const pattern = plainDotPattern('orders');
    rig.broker.subscribe({ pattern, subscriber: { receive } });
    return got;
  }

  async function crash(): Promise<void> {
    await rig.crash();
    partition = rig.broker.streams.get('orders')!.partitions[0]!;
  }

  async function readable(): Promise<string[]> {
    const values: string[] = [];
    for (let offset = partition.startOffset; offset < partition.stableOffset; ) {
      const run = await partition.readRun(offset, 1 << 20);
      values.push(...run.messages.map(({ value }) => `${value}`));
      offset = run.next;
    }
    return values;
  }

  it('live readers get what was committed at the commit, in order, and nothing behind it before X30', async () => {
    const got = listener();
    await write(['a']);
    await write(['b', 'c'], 7);
    await write(['d']);
    await rig.publish('orders', 'e');
    assert.deepEqual(got, ['a']);
    assert.equal(partition.stableOffset, 1);
    assert.deepEqual(await readable(), ['a']);
    await end(7, true);
    assert.deepEqual(got, ['a', 'b', 'c', 'd', 'e']);
    assert.equal(partition.transactions, null);
    await write(['f']);
    assert.equal(got.at(-1), 'f');
    assert.deepEqual(await readable(), ['a', 'b', 'c', 'd', 'e', 'f']);
  });

  it('what was aborted is delivered to nobody, also not from the log after a crash X30', async () => {
    const got = listener();
    await write(['a', 'b'], 7);
    await rig.publish('orders', 'c');
    await end(7, false);
    assert.deepEqual(got, ['c']);
    await crash();
    assert.deepEqual(await readable(), ['c']);
    const { transactions } = rig.broker;
    assert.deepEqual(
      transactions.abortedBetween(partition, 0, 10).map((one) => ({ ...one })),
      [{ producerId: 7, firstOffset: 0 }],
    );
    assert.deepEqual(transactions.abortedBetween(partition, 4, 10), []);
  });

  it('of interleaved transactions each counts by its own end, and the earliest holds all back X30', async () => {
    const got = listener();
    await write(['a1'], 1);
    sequence = 0;
    await write(['b1'], 2);
    sequence = 1;
    await write(['a2'], 1);
    await end(2, true);
    assert.deepEqual(got, []);
    assert.equal(partition.stableOffset, 0);
    await end(1, false);
    assert.deepEqual(got, ['b1']);
    assert.deepEqual(await readable(), ['b1']);
  });

  it('a queue over the stream, and one that holds references, get it at the commit X30', async () => {
    const { broker } = rig;
    const [own, other] = [new Collector(), new Collector()];
    broker.queues.declare('own', { durable: true, stream: 'orders' }).attach(own);
    const bound = broker.queues.declare('bound', { durable: true });
    bound.attach(other);
    broker.subscribe({ pattern: plainDotPattern('orders'), queue: bound });
    await write(['a', 'b'], 7);
    await rig.publish('orders', 'c', { qos: 0 });
    await write(['d']);
    assert.deepEqual([own.values, other.values], [[], []]);
    await end(7, true);
    await Promise.all([own.count(4), other.count(4)]);
    assert.deepEqual(own.values, ['a', 'b', 'c', 'd']);
    assert.deepEqual(other.values, ['a', 'b', 'c', 'd']);
  });

  it('an open transaction survives a crash: its records are seen when it ends after it X30 K69', async () => {
    await rig.publish('orders', 'a');
    await write(['b'], 7);
    await rig.publish('orders', 'c');
    await crash();
    const got: string[] = [];
    const both = new Promise<void>((resolve) => {
      const receive = ({ value }: Message): void => {
        if (got.push(`${value}`) === 2) resolve();
      };
      rig.broker.subscribe({ pattern: plainDotPattern('orders'), subscriber: { receive } });
    });
    rig.broker.resume();
    assert.deepEqual(await readable(), ['a']);
    assert.deepEqual([...rig.broker.transactions.openIn(partition)].length, 1);
    await end(7, true);
    await both;
    assert.deepEqual(got, ['b', 'c']);
    assert.deepEqual(await readable(), ['a', 'b', 'c']);
  });

  it('a crash right after the marker loses no reference and doubles none X30 X62', async () => {
    const bind = (): Collector => {
      const collector = new Collector();
      const queue =
        rig.broker.queues.get('bound') ?? rig.broker.queues.declare('bound', { durable: true });
      rig.broker.subscribe({ pattern: plainDotPattern('orders'), queue });
      queue.attach(collector);
      return collector;
    };
    bind();
    await write(['a', 'b'], 7);
    await rig.publish('orders', 'c');
    // Told before the deliveries that it lets go are on disk.
    await end(7, true);
    await crash();
    const after = bind();
    rig.broker.resume();
    await after.count(3);
    await rig.publish('orders', 'd');
    await after.count(4);
    assert.deepEqual(after.values, ['a', 'b', 'c', 'd']);
  });

  it('messages keep their own addresses when they are delivered late X30', async () => {
    const got: string[] = [];
    const receive = (message: Message): void => void got.push(message.address.text);
    rig.broker.subscribe({ pattern: plainDotPattern('orders.#'), subscriber: { receive } });
    await write(['a'], 7);
    await rig.publish(slashSpelling.parse('orders/1'), 'b');
    await end(7, false);
    assert.deepEqual(got, ['orders/1']);
    assert.notEqual(flatAddress('orders').text, got[0]);
  });

  it('much that waits is delivered in many turns, all of it in order X30', async () => {
    const got: string[] = [];
    const last = new Promise<void>((resolve) => {
      const receive = ({ value }: Message): void => {
        got.push(`${value}`.slice(0, 4));
        if (`${value}`.startsWith('last')) resolve();
      };
      rig.broker.subscribe({ pattern: plainDotPattern('orders'), subscriber: { receive } });
    });
    await write(['open'], 7);
    const wanted = ['open'];
    for (let n = 100; n < 160; n++) {
      await rig.publish('orders', `${n} ${'x'.repeat(100_000)}`);
      wanted.push(`${n} `);
    }
    await end(7, true);
    assert.ok(got.length < 60);
    await rig.publish('orders', 'last');
    await last;
    assert.deepEqual(got, [...wanted, 'last']);
  });

  it('a stream is removed with a transaction open in it K81', async () => {
    listener();
    await write(['a'], 7);
    rig.broker.streams.remove(partition.stream);
    assert.equal(partition.transactions, null);
    rig.broker.streams.create('orders');
    // What lies in the state log may be lost: its stream is gone all the same.
    await rig.broker.streams.durable();
    await crash();
    rig.broker.resume();
    assert.equal(partition.transactions, null);
    await rig.publish('orders', 'b');
    assert.deepEqual(await readable(), ['b']);
  });

  it('compaction waits for what is open, and lets nothing aborted replace a record K40 X30', async () => {
    partition = rig.broker.streams.create('keys', { cleanup: 'compact' }).partitions[0]!;
    await write(['a']);
    await write(['b'], 1);
    sequence = 0;
    await write(['c'], 2);
    const compaction = partition.log.upkeep.compaction!;
    assert.equal(compaction.neededFrom(), 1);
    await end(1, true);
    await end(2, false);
    assert.equal(compaction.neededFrom(), Number.POSITIVE_INFINITY);
    const batches = await partition.readBatches(0, 1 << 20);
    // Plain, committed, aborted, and the two markers.
    assert.deepEqual(
      batches.map((batch) => compaction.open(batch, async () => {}) !== null),
      [true, true, false, false, false],
    );
  });

  it('the rows of a removed stream go with it, and those of trimmed transactions X30', async () => {
    for (let round = 0; round < 5; round++) {
      await write([`${round}`], 7);
      await end(7, false);
    }
    const kind = 'cold/transaction.aborted';
    assert.equal(rig.broker.state.count(kind), 5);
    partition.trim(8);
    await write(['x'], 7);
    await end(7, false);
    assert.equal(rig.broker.state.count(kind), 2);
    rig.broker.streams.remove(partition.stream);
    assert.equal(rig.broker.state.count(kind), 0);
  });
});
