import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { flatAddress } from '../addresses/address.ts';
import { Rig } from '../broker.rig.ts';
import { type Message, textHeader } from '../records/message.ts';

/** All that a message says, but for where it lies. */
function said(message: Message): object {
  const { address, partition, principal, offset, appendTimeMs, source, origin, ...rest } = message;
  return { ...rest, address: address.text, principal: principal.id };
}

const repeated = (change: Partial<Message>): Partial<Message>[] =>
  Array.from({ length: 20 }, () => change);

describe('messages of a batch', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
    rig.broker.streams.create('t');
  });

  afterEach(() => rig.close());

  it('are what was published, whether their headers are like those before them or not', async () => {
    const expiresAtMs = rig.nowMs + 1000;
    const changes: Partial<Message>[] = [
      {},
      {},
      { messageId: 'a' },
      { messageId: 'a' },
      { messageId: 'b', priority: 3 },
      { headers: [textHeader('x', '1')] },
      { headers: [textHeader('x', '1')], timestampMs: 5 },
      { headers: [textHeader('x', '1')], timestampMs: 6, key: Buffer.from('k') },
      { headers: [textHeader('x', '1')], key: Buffer.from('l'), qos: 0 },
      { native: Buffer.alloc(200, 1), qos: 0 },
      { native: Buffer.alloc(200, 1), qos: 2, retain: true },
      { native: Buffer.alloc(200, 1), qos: 2, retain: true },
      { native: Buffer.alloc(200, 2), qos: 2, retain: true },
      { expiresAtMs, replyTo: 'r', correlation: Buffer.from('c'), producer: 'p' },
      { expiresAtMs, replyTo: 'r', correlation: Buffer.from('c'), producer: 'p' },
      { address: flatAddress('t/other'), contentType: 'text/plain', text: true },
      { address: flatAddress('t/other'), contentType: 'text/plain', text: true },
      {},
    ];
    const sent = await Promise.all(
      // Each change many times over: what differs often is not compared for a while.
      changes.flatMap(repeated).map((change, n) => {
        const target = rig.broker.target(flatAddress('t'), { stream: 't' });
        const message = Object.assign(rig.message('t', String(n % 3)), change);
        return new Promise<Message>((resolve, reject) => {
          const told = (_: number, error: unknown) => (error ? reject(error) : resolve(message));
          rig.broker.publish(message, target, { published: told }, 0);
        });
      }),
    );
    const partition = rig.broker.streams.get('t')!.partitions[0]!;
    partition.forget();
    const { messages } = await partition.readRun(0, 1 << 20);
    assert.deepEqual(messages.map(said), sent.map(said));
    // One object serves messages that say the same.
    const natives = messages.map(({ native }) => native).filter((native) => native !== null);
    const objects = new Set(natives);
    assert.ok(objects.size < natives.length / 2, `${objects.size} of ${natives.length}`);
  });
});
