import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { slashSpelling } from '../addresses/address.ts';
import { Rig } from '../broker.rig.ts';
import { SERVER_PRINCIPAL } from '../principals/principal.ts';
import { Message } from '../records/message.ts';
import { DelayedMessages } from './delayed-messages.ts';

async function committed(rig: Rig): Promise<void> {
  await new Promise<void>((resolve) => rig.broker.state.committed(() => resolve()));
}

async function quiet(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function messageTo(topic: string, value: string, change: Partial<Message> = {}): Message {
  const message = new Message(slashSpelling.parse(topic), Buffer.from(value), 1);
  message.principal = SERVER_PRINCIPAL;
  return Object.assign(message, { qos: 1, ...change });
}

const open = (rig: Rig): DelayedMessages => new DelayedMessages(rig.broker, 'd', () => rig.nowMs);

describe('delayed messages', () => {
  it('are published once, whenever the power goes X31 X69', async () => {
    const rig = new Rig();
    await rig.open();
    let delayed = open(rig);
    for (let n = 0; n < 20; n++) {
      delayed.add(messageTo('d/x', `${n}`), 'first-level', rig.nowMs + 1000 + n);
    }
    await committed(rig);
    await rig.crash();
    assert.equal(rig.broker.time.count('d'), 20);
    rig.nowMs += 1009;
    delayed = open(rig);
    await quiet();
    assert.equal(delayed.count, 10);
    await rig.crash();
    rig.nowMs += 60_000;
    delayed = open(rig);
    await quiet();
    assert.equal(delayed.count, 0);
    const wanted = Array.from({ length: 20 }, (_, n) => `${n}`);
    assert.deepEqual(await rig.stored('d'), wanted);
    await rig.close();
  });

  it('are whole messages again, and their expiry follows the time of publication X31', async () => {
    const rig = new Rig();
    await rig.open();
    const change: Partial<Message> = {
      ...{ contentType: 'text/plain', messageId: 'm', key: Buffer.from('k'), priority: 4 },
      expiresAtMs: rig.nowMs + 1000 + 5000,
    };
    open(rig).add(messageTo('d/x', 'v', change), 'first-level', rig.nowMs + 1000);
    await committed(rig);
    rig.nowMs += 3000;
    await rig.crash();
    open(rig);
    await quiet();
    const partition = rig.broker.streams.get('d')!.partitions[0]!;
    const [message] = await partition.readMessages(0, 1 << 20);
    assert.ok(message !== undefined);
    const { contentType, messageId, priority, expiresAtMs, address } = message;
    assert.deepEqual([contentType, messageId, priority], ['text/plain', 'm', 4]);
    assert.equal(address.text, 'd/x');
    assert.equal(message.key?.toString(), 'k');
    assert.equal(expiresAtMs, rig.nowMs + 5000);
    await rig.close();
  });

  it('of a user that is gone, or was made anew, are not published X31', async () => {
    const rig = new Rig();
    await rig.open();
    const { principals } = rig.broker;
    const settings = { superuser: true, loopbackOnly: false };
    await principals.setUser('u', 'secret', settings);
    const principal = await principals.authenticate({
      ...{ user: 'u', password: 'secret', loopback: true },
    });
    const delayed = open(rig);
    delayed.add(messageTo('d/x', 'v', { principal }), 'first-level', rig.nowMs + 10);
    await committed(rig);
    principals.removeUser('u');
    await principals.setUser('u', 'other', settings);
    rig.nowMs += 1000;
    await rig.crash();
    const again = open(rig);
    await quiet();
    assert.equal(again.count, 0);
    assert.equal(rig.broker.streams.get('d'), undefined);
    await rig.close();
  });

  it('can be hastened, cancelled and listed X69', async () => {
    const rig = new Rig();
    await rig.open();
    const delayed = open(rig);
    delayed.set('a', messageTo('d/a', '1'), 'first-level', rig.nowMs + 60_000);
    delayed.set('b', messageTo('d/b', '2'), 'first-level', rig.nowMs + 50_000);
    assert.deepEqual(
      [...delayed.list()].map(({ id, message }) => [id, message.address.text]),
      [
        ['b', 'd/b'],
        ['a', 'd/a'],
      ],
    );
    assert.equal(delayed.cancel('b'), true);
    assert.equal(delayed.hasten('b'), false);
    assert.equal(delayed.hasten('a'), true);
    await quiet();
    assert.deepEqual(await rig.stored('d'), ['1']);
    await rig.close();
  });
});
