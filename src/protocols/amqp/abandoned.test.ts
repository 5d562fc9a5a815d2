import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestClient } from './client.fixture.ts';
import { timedRoom } from './room.fixture.ts';

const room = timedRoom();
/** More than a queue keeps in memory beside its references. */
const COUNT = 1500;
const REMOVAL = { ticket: 0, ifUnused: false, ifEmpty: false, noWait: false };

async function countOf(client: TestClient, queue: string): Promise<number> {
  return (await client.declare(queue, { passive: true })).fields.messageCount;
}

/** Everything that is in a queue, in order. */
async function drained(client: TestClient, queue: string): Promise<string[]> {
  const count = await countOf(client, queue);
  await client.consume(queue, { noAck: true });
  const bodies: string[] = [];
  while (bodies.length < count) bodies.push(String((await client.next('basic.deliver')).body));
  return bodies;
}

const numbers = Array.from({ length: COUNT }, (_, n) => String(n));

for (const durable of [true, false]) {
  const kind = durable ? 'a durable queue' : 'a queue in memory';
  test(`${kind} keeps what came through an exchange that is deleted A22 A42`, async () => {
    const client = await TestClient.open(room.server);
    const [exchange, queue] = [`parted.${durable}`, `kept.${durable}`];
    const home = `amq.exchange.${exchange}`;
    await client.declareExchange(exchange, 'fanout', { durable: true });
    // Something durable gives the exchange its home.
    await client.declare('other', { durable: true });
    await client.bind('other', exchange, '');
    await client.declare(queue, durable ? { durable } : { autoDelete: true });
    await client.bind(queue, exchange, '');
    for (const body of numbers) client.publish(exchange, '', body, { deliveryMode: 2 });
    assert.equal(await countOf(client, queue), COUNT);
    const fields = { ...REMOVAL, exchange };
    await client.call(1, 'exchange.delete', fields, 'exchange.delete-ok');
    const gone = { ...REMOVAL, queue: 'other' };
    await client.call(1, 'queue.delete', gone, 'queue.delete-ok');
    assert.deepEqual(await drained(client, queue), numbers);
    // Its home goes when nobody needs it any more.
    assert.ok(room.host.broker.streams.get(home) !== undefined);
    await client.call(1, 'queue.delete', { ...REMOVAL, queue }, 'queue.delete-ok');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(room.host.broker.streams.get(home), undefined);
    client.wire.close();
  });
}

test('what lies in the stream of a deleted queue stays for the other queues that have it A23 A41', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('first', { durable: true });
  await client.declare('copied', { durable: true });
  const value = [{ type: 'S' as const, value: Buffer.from('copied') }];
  const headers = [{ name: 'CC', type: 'A' as const, value }];
  for (const body of numbers) client.publish('', 'first', body, { deliveryMode: 2, headers });
  assert.equal(await countOf(client, 'copied'), COUNT);
  await client.call(1, 'queue.delete', { ...REMOVAL, queue: 'first' }, 'queue.delete-ok');
  assert.deepEqual(await drained(client, 'copied'), numbers);
  await client.call(1, 'queue.delete', { ...REMOVAL, queue: 'copied' }, 'queue.delete-ok');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(room.host.broker.streams.get('first'), undefined);
  client.wire.close();
});

test('a queue that is made again before that starts empty, at the end of its stream A23', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('twice', { durable: true });
  await client.declare('holds', { durable: true });
  const value = [{ type: 'S' as const, value: Buffer.from('holds') }];
  const headers = [{ name: 'CC', type: 'A' as const, value }];
  client.publish('', 'twice', 'old', { deliveryMode: 2, headers });
  assert.equal(await countOf(client, 'holds'), 1);
  await client.call(1, 'queue.delete', { ...REMOVAL, queue: 'twice' }, 'queue.delete-ok');
  await client.declare('twice', { durable: true });
  assert.equal(await countOf(client, 'twice'), 0);
  client.publish('', 'twice', 'new', { deliveryMode: 2 });
  assert.equal(String((await client.get('twice')).body), 'new');
  assert.equal(String((await client.get('holds')).body), 'old');
  await client.call(1, 'queue.delete', { ...REMOVAL, queue: 'twice' }, 'queue.delete-ok');
  client.wire.close();
});

test('a restart keeps such a stream while it is needed, and removes it when it is not A22 A42', async () => {
  const home = 'amq.exchange.before';
  const stream = () => room.host.broker.streams.get(home);
  let client = await TestClient.open(room.server);
  await client.declareExchange('before', 'fanout', { durable: true });
  await client.declare('after', { durable: true });
  await client.bind('after', 'before', '');
  client.publish('before', '', 'kept', { deliveryMode: 2 });
  assert.equal(await countOf(client, 'after'), 1);
  await client.call(1, 'exchange.delete', { ...REMOVAL, exchange: 'before' }, 'exchange.delete-ok');
  const reopen = async (): Promise<void> => {
    client.wire.close();
    await room.restart();
    client = await TestClient.open(room.server);
  };
  await reopen();
  assert.ok(stream() !== undefined);
  assert.equal(String((await client.get('after')).body), 'kept');
  // Its end is on disk with what is written next.
  client.publish('', 'after', 'next', { deliveryMode: 2 });
  assert.equal(await countOf(client, 'after'), 1);
  await reopen();
  assert.equal(stream(), undefined);
  client.wire.close();
});
