import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { plainDotPattern } from '../addresses/pattern.ts';
import { Collector, Rig } from '../broker.rig.ts';
import type { Queue } from './queue.ts';
import type { QueueConsumer } from './queue-consumers.ts';

/** Finished + in flight + pending = appended. */
function checkCounts(queue: Queue): void {
  const { appended, pending, inFlight, acked, gone, dropped, expired, deadLettered } = queue.counts;
  const ended = acked + gone + dropped + expired + deadLettered;
  assert.equal(ended + inFlight + pending, appended);
}

describe('early deliveries beside others', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    rig.broker.streams.create('q');
    await rig.broker.streams.durable();
  });

  afterEach(() => rig.close());

  function reading(name: string): Queue {
    return rig.broker.queues.declare(name, { durable: true, stream: 'q' });
  }

  /** Messages without a home of their own reach it by reference, in memory only. */
  function listening(): Queue {
    const queue = rig.broker.queues.declare('memory', { durable: false });
    rig.broker.subscribe({ pattern: plainDotPattern('#'), queue });
    return queue;
  }

  /**
   * Two queues over one stream: the first one that is told of a commit wakes a consumer of the
   * second, which is not told yet. @param publish what comes in that moment
   */
  async function woken(publish: () => Promise<unknown>) {
    const first = reading('first');
    const second = reading('second');
    const finishing = new Collector();
    second.attach(finishing, { finishes: true });
    let awake = false;
    let later: Promise<unknown> | null = null;
    const manual = new Collector();
    const careful: QueueConsumer = {
      ready: () => awake && manual.got.length === 0,
      deliver: (delivery) => manual.deliver(delivery),
    };
    const attachment = second.attach(careful, { priority: 1 });
    const waking: QueueConsumer = {
      ready: () => true,
      deliver: () => {
        if (awake) return;
        awake = true;
        attachment.wake();
        later = publish();
      },
    };
    first.attach(waking);
    await Promise.all([
      rig.publish('q', 'early', { qos: 0 }),
      rig.publish('q', 'careful', { qos: 1 }),
    ]);
    await later;
    assert.deepEqual(manual.values, ['careful']);
    return { second, finishing, attachment };
  }

  it('who acknowledges keeps what it got between the commit and its telling', async () => {
    const { second, finishing, attachment } = await woken(() => Promise.resolve());
    assert.deepEqual(finishing.values, ['early']);
    assert.equal(second.unackedCount, 1);
    assert.equal(second.counts.acked, 1);
    checkCounts(second);
    attachment.detach();
    assert.deepEqual(finishing.values, ['early', 'careful']);
    assert.equal(finishing.got[1]!.redelivered, true);
    checkCounts(second);
  });

  it('and one that comes early behind it ends alone', async () => {
    const { second, finishing } = await woken(() => rig.publish('q', 'late', { qos: 0 }));
    assert.deepEqual(finishing.values, ['early', 'late']);
    assert.equal(second.unackedCount, 1);
    assert.equal(second.counts.acked, 2);
    checkCounts(second);
  });

  it('what waits behind early ones is at hand after their commit, without a read', async () => {
    const queue = reading('near');
    queue.attach(new Collector(), { finishes: true, credit: 2 });
    const partition = rig.broker.streams.get('q')!.partitions[0]!;
    const { log } = partition;
    let reads = 0;
    const read = log.read.bind(log);
    log.read = (...place) => {
      reads++;
      return read(...place);
    };
    await Promise.all(['1', '2', '3', '4'].map((value) => rig.publish('q', value, { qos: 0 })));
    const careful = new Collector();
    queue.attach(careful);
    assert.deepEqual(careful.values, ['3', '4']);
    assert.equal(reads, 0);
    // Those that were taken are not held in memory for anybody.
    await partition.readRun(0, 1000);
    assert.equal(reads, 1);
    checkCounts(queue);
  });

  it('who follows later reads what was not kept', async () => {
    const queue = reading('soon');
    queue.attach(new Collector(), { finishes: true });
    const early = rig.publish('q', '1', { qos: 0 });
    const late = rig.broker.queues.declare('late', { durable: true, stream: 'q', startOffset: 0 });
    const careful = new Collector();
    late.attach(careful);
    await Promise.all([early, rig.publish('q', '2', { qos: 0 })]);
    await careful.count(2);
    assert.deepEqual(careful.values, ['1', '2']);
    checkCounts(queue);
    checkCounts(late);
  });

  it('credit and turns of consumers count for what comes early', async () => {
    const queue = reading('turns');
    const [one, other] = [new Collector(), new Collector()];
    const attachment = queue.attach(one, { finishes: true, credit: 1 });
    queue.attach(other, { finishes: true, credit: 2 });
    const all = ['1', '2', '3', '4'].map((value) => rig.publish('q', value, { qos: 0 }));
    assert.deepEqual(one.values, ['1']);
    assert.deepEqual(other.values, ['2', '3']);
    await Promise.all(all);
    assert.equal(queue.readyCount, 1);
    attachment.grant(5);
    assert.deepEqual(one.values, ['1', '4']);
    checkCounts(queue);
  });

  it('nothing comes early before what was given back, or while one waits for its time', async () => {
    const queue = reading('back');
    await rig.publish('q', 'first');
    const taken = (await queue.get())!;
    queue.requeue(taken.position);
    const consumer = new Collector(0);
    const attachment = queue.attach(consumer, { finishes: true });
    consumer.credit = Number.POSITIVE_INFINITY;
    const published = rig.publish('q', 'second', { qos: 0 });
    assert.deepEqual(consumer.values, []);
    attachment.wake();
    assert.deepEqual(consumer.values, ['first']);
    await published;
    assert.deepEqual(consumer.values, ['first', 'second']);
    checkCounts(queue);
  });

  it('acknowledged early and lost with the append: the place belongs to the next message', async () => {
    const queue = listening();
    const consumer = new Collector();
    queue.attach(consumer);
    rig.broker.streams.create('t');
    await rig.publish('t', 'kept');
    rig.files.fault = (call, path) => {
      if (call === 'write' && path.includes('wal')) throw new Error('EIO');
    };
    const lost = rig.publish('t', 'lost');
    assert.deepEqual(consumer.values, ['kept', 'lost']);
    queue.ack(consumer.got[1]!.position);
    await assert.rejects(lost);
    rig.files.fault = null;
    checkCounts(queue);
    assert.equal(queue.counts.acked, 1);
    assert.equal(queue.unackedCount, 1);
    await rig.crash();
  });

  it('what was refused and comes back is not mistaken for what got its offset', async () => {
    const queue = listening();
    const consumer = new Collector();
    const attachment = queue.attach(consumer);
    rig.broker.streams.create('t', { messageBytesMax: 1 << 20 });
    const partition = rig.broker.streams.get('t')!.partitions[0]!;
    const append = partition.log.append.bind(partition.log);
    const failure = new BrokerError('storage-full');
    partition.log.append = () => {
      throw failure;
    };
    const refused = Array.from({ length: 300 }, (_, n) => rig.publish('t', `refused ${n}`));
    assert.equal(consumer.values.length, 300);
    await Promise.allSettled(refused);
    partition.log.append = append;
    await Promise.all(Array.from({ length: 300 }, (_, n) => rig.publish('t', `stored ${n}`)));
    attachment.detach();
    const next = new Collector();
    queue.attach(next);
    await next.count(300);
    const stored = next.values.filter((value) => value.startsWith('stored'));
    assert.equal(new Set(stored).size, stored.length);
    assert.equal(stored.length, 300);
    checkCounts(queue);
  });
});
