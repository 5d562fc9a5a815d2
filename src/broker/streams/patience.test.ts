import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Rig, RigTimers } from '../broker.rig.ts';
import type { Partition } from './partition.ts';

/** One turn of the event loop: what was woken is handed to the disk. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('messages that nobody waits for', () => {
  let rig: Rig;
  let partition: Partition;

  beforeEach(async () => {
    rig = new Rig();
    rig.timers = new RigTimers(() => rig.nowMs);
    await rig.open();
    partition = rig.broker.streams.create('s', {}).partitions[0]!;
    await rig.broker.streams.durable();
  });

  afterEach(() => rig.close());

  function offer(value: string): void {
    const message = rig.message('s', value);
    message.qos = 0;
    partition.add(message, null, null, 0);
  }

  const committed = () => rig.engine.flushed();

  it('are sealed together after some turns, in one batch K20', async () => {
    for (const value of ['a', 'b', 'c']) {
      offer(value);
      await turn();
      await turn();
    }
    assert.equal(partition.log.endOffset, 0, 'still open');
    rig.pass(5);
    await turn();
    assert.equal(partition.log.endOffset, 3);
    await committed();
    assert.deepEqual(partition.log.stat().batches, 1);
  });

  it('do not wait longer when a publisher waits for its own', async () => {
    offer('a');
    const told = rig.publish('s', 'b');
    await told;
    assert.equal(partition.highWatermark, 2);
    assert.equal(partition.log.stat().batches, 1);
  });

  it('do not wait when a reader does, whoever came first', async () => {
    offer('a');
    await new Promise<void>((resolve) => {
      const end = partition.tail(() => resolve(end()));
    });
    assert.equal(partition.highWatermark, 1);
    await new Promise<void>((resolve) => {
      const end = partition.tail(() => resolve(end()));
      offer('b');
    });
    assert.equal(partition.highWatermark, 2);
  });

  it('are written at once when they are many', async () => {
    const large = 'x'.repeat(64 << 10);
    for (let count = 0; count < 5; count++) offer(large);
    await turn();
    assert.equal(partition.log.endOffset, 5);
    await committed();
  });

  it('are written when the broker stops', async () => {
    offer('a');
    await rig.close();
    await rig.open();
    assert.equal(rig.broker.streams.get('s')!.partitions[0]!.highWatermark, 1);
  });
});
