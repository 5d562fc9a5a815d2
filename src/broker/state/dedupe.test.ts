import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BrokerError } from '#kit';
import { flatAddress } from '../addresses/address.ts';
import { Rig } from '../broker.rig.ts';
import { SERVER_PRINCIPAL } from '../principals/principal.ts';
import { Message } from '../records/message.ts';
import type { WindowLimits } from './dedupe.ts';
import { type PublishedOnce, publishOnce } from './publish-once.ts';

const LIMITS: WindowLimits = { timeMs: 60_000, idsMax: 100 };

interface Answer {
  readonly outcome: PublishedOnce;
  readonly told: Promise<BrokerError | null>;
}

function publish(rig: Rig, id: string, value = id, limits = LIMITS): Answer {
  const { broker } = rig;
  const address = flatAddress('s');
  const message = new Message(address, Buffer.from(value), 1);
  message.qos = 1;
  message.principal = SERVER_PRINCIPAL;
  const target = broker.target(address, 'first-level');
  const { promise: told, resolve } = Promise.withResolvers<BrokerError | null>();
  const sink = { published: (_: number, error: BrokerError | null): void => resolve(error) };
  const window = broker.dedupe.window('s', limits);
  return { outcome: publishOnce(broker, window, id, message, target, sink, 0), told };
}

describe('deduplication', () => {
  it('answers a repeat with the outcome of the first, after a crash too X67', async () => {
    const rig = new Rig();
    await rig.open();
    await publish(rig, 'other').told;
    const first = publish(rig, 'a');
    assert.deepEqual([first.outcome.duplicate, first.outcome.offset], [false, 1]);
    assert.equal(await first.told, null);
    await rig.crash();
    const again = publish(rig, 'a', 'changed');
    assert.deepEqual(again.outcome, { duplicate: true, partition: 0, offset: 1, taken: 0 });
    assert.equal(await again.told, null);
    assert.deepEqual(await rig.stored('s'), ['other', 'a']);
    await rig.close();
  });

  it('lets a repeat of an append in flight wait for it X67', async () => {
    const rig = new Rig();
    await rig.open();
    const order: string[] = [];
    const first = publish(rig, 'a');
    const again = publish(rig, 'a');
    void again.told.then(() => order.push('again'));
    void first.told.then(() => order.push('first'));
    assert.equal(again.outcome.duplicate, true);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assert.deepEqual(order, [], 'not before the commit');
    await Promise.all([first.told, again.told]);
    assert.equal(order.length, 2);
    assert.deepEqual(await rig.stored('s'), ['a']);
    await rig.close();
  });

  it('keeps both the message and its id, or neither, when the power goes X67', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const rig = new Rig();
      await rig.open();
      await publish(rig, 'before').told;
      for (let n = 0; n < 10; n++) publish(rig, `id${n}`);
      for (let turn = 0; turn < seed % 5; turn++) await Promise.resolve();
      await rig.crash();
      const stored = await rig.stored('s');
      for (let n = 0; n < 10; n++) {
        const { duplicate } = publish(rig, `id${n}`).outcome;
        assert.equal(duplicate, stored.includes(`id${n}`), `seed ${seed}, id${n}`);
      }
      await rig.close();
    }
  });

  it('forgets an id when its time is over X67', async () => {
    const rig = new Rig();
    await rig.open();
    await publish(rig, 'a').told;
    rig.nowMs += 59_999;
    assert.equal(publish(rig, 'a').outcome.duplicate, true);
    rig.nowMs += 1;
    assert.equal(publish(rig, 'a').outcome.duplicate, false);
    await rig.close();
  });

  it('forgets the oldest ids when there are more than it may remember X67', async () => {
    const rig = new Rig();
    await rig.open();
    for (let n = 0; n < 250; n++) {
      publish(rig, `id${n}`);
      rig.nowMs++;
    }
    const window = rig.broker.dedupe.window('s', LIMITS);
    assert.equal(window.count, 100);
    assert.equal(publish(rig, 'id150').outcome.duplicate, true);
    assert.equal(publish(rig, 'id149').outcome.duplicate, false);
    await rig.close();
  });

  it('takes an id again whose append failed X67', async () => {
    const rig = new Rig();
    await rig.open();
    const window = rig.broker.dedupe.window('s', LIMITS);
    const failure = new Error('full') as BrokerError;
    let told: BrokerError | null | undefined;
    assert.equal(
      window.repeat('a', () => {}),
      null,
    );
    window.add('a', Buffer.from('1'));
    assert.equal(
      window
        .repeat('a', (error) => {
          told = error;
        })
        ?.toString(),
      '1',
    );
    window.settled('a', failure);
    assert.equal(told, failure);
    assert.equal(
      window.repeat('a', () => {}),
      null,
    );
    assert.equal(window.count, 0);
    await rig.close();
  });

  it('keeps windows apart, and lets ids of an unused window expire X67', async () => {
    const rig = new Rig();
    await rig.open();
    await publish(rig, 'a').told;
    const other = rig.broker.dedupe.window('other', LIMITS);
    assert.equal(
      other.repeat('a', () => {}),
      null,
    );
    rig.nowMs += 100_000;
    await rig.crash();
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(rig.broker.time.count('dedupe/s'), 0);
    await rig.close();
  });
});
