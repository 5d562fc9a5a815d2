import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFields, TestClient } from './client.fixture.ts';
import { flagEntry, type Table, textEntry } from './field-table.ts';
import { integerEntry, timedRoom } from './room.fixture.ts';

const room = timedRoom();
const ONCE: Table = [flagEntry('x-message-deduplication', true), integerEntry('x-cache-size', 3)];

/** A client with confirms, an exchange of that name and a queue that gets all of it. */
async function open(exchange: string, table: Table, type = 'fanout'): Promise<TestClient> {
  const client = await TestClient.open(room.server);
  await client.call(1, 'confirm.select', { noWait: false }, 'confirm.select-ok');
  await client.declareExchange(exchange, type, { durable: true, arguments: table });
  await client.declare(`${exchange}-queue`, { durable: true });
  await client.bind(`${exchange}-queue`, exchange, '');
  return client;
}

async function send(client: TestClient, exchange: string, headers: Table): Promise<void> {
  client.publish(exchange, '', 'x', { headers });
  await client.next('basic.ack');
}

async function countOf(client: TestClient, queue: string): Promise<number> {
  const fields = { queue, noWait: false };
  const { fields: answer } = await client.call(
    1,
    'queue.purge',
    { ticket: 0, ...fields },
    'queue.purge-ok',
  );
  return answer.messageCount;
}

const named = (id: string): Table => [textEntry('x-deduplication-header', id)];

test('an exchange takes a message once, and confirms its repeats A75 X67', async () => {
  const client = await open('once', ONCE);
  for (const id of ['a', 'b', 'a', 'a', 'b']) await send(client, 'once', named(id));
  await send(client, 'once', []);
  await send(client, 'once', []);
  assert.equal(await countOf(client, 'once-queue'), 4, 'a, b, and those without an id');
  client.wire.close();
});

test('what it remembers is bounded, survives a restart and goes with its time A75 X67', async () => {
  const client = await open('brief', [...ONCE, integerEntry('x-cache-ttl', 60_000)]);
  for (const id of ['1', '2', '3', '4', '1']) await send(client, 'brief', named(id));
  assert.equal(await countOf(client, 'brief-queue'), 5, 'the oldest id was forgotten');
  client.wire.close();
  await room.restart();
  const again = await open('brief', [...ONCE, integerEntry('x-cache-ttl', 60_000)]);
  await send(again, 'brief', named('4'));
  assert.equal(await countOf(again, 'brief-queue'), 0);
  room.time.pass(60_001);
  await send(again, 'brief', named('4'));
  await send(again, 'brief', [...named('5'), integerEntry('x-cache-ttl', 1_000)]);
  room.time.pass(1_001);
  await send(again, 'brief', named('4'));
  await send(again, 'brief', named('5'));
  assert.equal(await countOf(again, 'brief-queue'), 3);
  again.wire.close();
});

test('an exchange that is made anew remembers nothing; ids may be of any type A75', async () => {
  const table = [...ONCE, textEntry('x-deduplication-header', 'order')];
  const client = await open('anew', table);
  await send(client, 'anew', [integerEntry('order', 7)]);
  await send(client, 'anew', [integerEntry('order', 7)]);
  await send(client, 'anew', [textEntry('order', 'y'.repeat(4000))]);
  await send(client, 'anew', [textEntry('order', 'y'.repeat(4000))]);
  assert.equal(await countOf(client, 'anew-queue'), 2);
  const removal = { ticket: 0, exchange: 'anew', ifUnused: false, noWait: false };
  await client.call(1, 'exchange.delete', removal, 'exchange.delete-ok');
  client.wire.close();
  const again = await open('anew', table);
  await send(again, 'anew', [integerEntry('order', 7)]);
  assert.equal(await countOf(again, 'anew-queue'), 1);
  again.wire.close();
});

test('what reached nobody may come again; a delayed message is no repeat of itself A75 A64', async () => {
  const table = [...ONCE, textEntry('x-delayed-type', 'fanout')];
  const client = await open('later', table, 'x-delayed-message');
  const binding = { ticket: 0, queue: 'later-queue', exchange: 'later', routingKey: '' };
  await client.call(1, 'queue.unbind', { ...binding, arguments: [] }, 'queue.unbind-ok');
  await send(client, 'later', named('a'));
  await client.bind('later-queue', 'later', '');
  await send(client, 'later', [...named('a'), integerEntry('x-delay', 500)]);
  await send(client, 'later', named('a'));
  assert.equal(await countOf(client, 'later-queue'), 0);
  room.time.pass(1000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await countOf(client, 'later-queue'), 1);
  client.wire.close();
});

test('arguments that say nothing useful are refused A75', async () => {
  const on = flagEntry('x-message-deduplication', true);
  const wrong: Table[] = [
    [on],
    [on, integerEntry('x-cache-size', 0)],
    [...ONCE, integerEntry('x-cache-ttl', 0)],
    [...ONCE, integerEntry('x-deduplication-header', 1)],
    [textEntry('x-message-deduplication', 'yes')],
  ];
  for (const table of wrong) {
    const client = await TestClient.open(room.server);
    client.send(1, 'exchange.declare', exchangeFields('no', 'fanout', { arguments: table }));
    assert.equal((await client.next('channel.close')).fields.replyCode, 406);
    client.wire.close();
  }
  const client = await TestClient.open(room.server);
  const fields = { ticket: 0, queue: 'no', passive: false, durable: true, exclusive: false };
  const more = { autoDelete: false, noWait: false, arguments: [on] };
  client.send(1, 'queue.declare', { ...fields, ...more });
  assert.equal((await client.next('channel.close')).fields.replyCode, 406);
  client.wire.close();
});
