import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFields, type Seen, TestClient } from './client.fixture.ts';
import { flagEntry, type Table, textEntry, textOf } from './field-table.ts';
import { integerEntry, timedRoom } from './room.fixture.ts';

const room = timedRoom();
const { time } = room;

/** The newest entry of x-death. */
function lastDeath({ properties }: Seen): Table {
  const header = properties.headers!.find(({ name }) => name === 'x-death');
  return (header!.value as unknown as { value: Table }[])[0]!.value;
}

function deathCount(seen: Seen): bigint {
  return lastDeath(seen).find(({ name }) => name === 'count')!.value as bigint;
}

async function countOf(client: TestClient, queue: string): Promise<number> {
  return (await client.declare(queue, { passive: true })).fields.messageCount;
}

async function bodies(client: TestClient, queue: string, count: number): Promise<string[]> {
  const got: string[] = [];
  for (let n = 0; n < count; n++) got.push(String((await client.get(queue)).body));
  return got;
}

test('priorities: higher ones first, in order inside one, more than the maximum is the maximum A71 X17', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('ranks', { durable: true, arguments: [integerEntry('x-max-priority', 5)] });
  for (const priority of [1, 5, 3, 9, 1]) {
    client.publish('', 'ranks', `p${priority}`, { priority, deliveryMode: 2 });
  }
  client.publish('', 'ranks', 'none');
  assert.equal(await countOf(client, 'ranks'), 6);
  assert.deepEqual(await bodies(client, 'ranks', 6), ['p5', 'p9', 'p3', 'p1', 'p1', 'none']);
  // What comes back goes to its place, before later ones of its priority.
  client.publish('', 'ranks', 'a', { priority: 2 });
  client.publish('', 'ranks', 'b', { priority: 2 });
  const { fields } = await client.get('ranks', false);
  client.publish('', 'ranks', 'high', { priority: 4 });
  client.send(1, 'basic.nack', { deliveryTag: fields.deliveryTag, multiple: false, requeue: true });
  assert.deepEqual(await bodies(client, 'ranks', 3), ['high', 'a', 'b']);
  client.wire.close();
});

test('x-max-length-bytes drops the oldest; with a dead letter exchange they go there as maxlen A66 A69', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('overflow');
  const bytes: Table = [
    integerEntry('x-max-length-bytes', 25),
    textEntry('x-dead-letter-exchange', ''),
    textEntry('x-dead-letter-routing-key', 'overflow'),
  ];
  await client.declare('sized', { durable: true, arguments: bytes });
  for (const body of ['a'.repeat(10), 'b'.repeat(10), 'c'.repeat(10)]) {
    client.publish('', 'sized', body);
    await countOf(client, 'sized');
  }
  assert.deepEqual(await bodies(client, 'sized', 2), ['b'.repeat(10), 'c'.repeat(10)]);
  await client.consume('overflow', { noAck: true });
  const dead = await client.next('basic.deliver');
  assert.equal(String(dead.body), 'a'.repeat(10));
  assert.deepEqual(
    [textOf(lastDeath(dead), 'reason'), textOf(lastDeath(dead), 'queue')],
    ['maxlen', 'sized'],
  );
  client.wire.close();
});

test('reject-publish-dlx nacks what does not fit and hands it to the dead letter exchange A34 A66 A69', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('refused');
  const limits: Table = [
    integerEntry('x-max-length', 1),
    textEntry('x-overflow', 'reject-publish-dlx'),
    textEntry('x-dead-letter-exchange', ''),
    textEntry('x-dead-letter-routing-key', 'refused'),
  ];
  await client.declare('one', { arguments: limits });
  await client.call(1, 'confirm.select', { noWait: false }, 'confirm.select-ok');
  client.publish('', 'one', 'fits');
  client.publish('', 'one', 'does not');
  assert.equal((await client.next('basic.nack')).fields.deliveryTag, 2);
  await client.next('basic.ack');
  await client.consume('refused', { noAck: true });
  const dead = await client.next('basic.deliver');
  assert.deepEqual([String(dead.body), textOf(lastDeath(dead), 'reason')], ['does not', 'maxlen']);
  client.wire.close();
});

test('a single active consumer gets all, and the next takes over when it goes A37', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('single', { arguments: [flagEntry('x-single-active-consumer', true)] });
  await client.consume('single', { consumerTag: 'first', noAck: true });
  await client.consume('single', { consumerTag: 'second', noAck: true });
  for (const body of ['1', '2', '3']) client.publish('', 'single', body);
  for (let n = 0; n < 3; n++) {
    assert.equal((await client.next('basic.deliver')).fields.consumerTag, 'first');
  }
  const cancel = { consumerTag: 'first', noWait: false };
  await client.call(1, 'basic.cancel', cancel, 'basic.cancel-ok');
  client.publish('', 'single', '4');
  assert.equal((await client.next('basic.deliver')).fields.consumerTag, 'second');
  client.wire.close();
});

test('returns over the delivery limit end as dead letters, counted per queue and reason A67 A69', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('poison');
  const quorum: Table = [
    textEntry('x-queue-type', 'quorum'),
    integerEntry('x-delivery-limit', 1),
    textEntry('x-dead-letter-exchange', ''),
    textEntry('x-dead-letter-routing-key', 'poison'),
  ];
  await client.declare('limited', { durable: true, arguments: quorum });
  await client.consume('poison', { consumerTag: 'poison', noAck: true });
  client.publish('', 'limited', 'again', { headers: [textEntry('mine', 'x')] });
  for (let count = 1n; count <= 2n; count++) {
    for (let delivery = 0; delivery < 2; delivery++) {
      const { fields } = await client.get('limited', false);
      client.send(1, 'basic.reject', { deliveryTag: fields.deliveryTag, requeue: true });
    }
    const dead = await client.next('basic.deliver');
    assert.deepEqual([textOf(lastDeath(dead), 'reason'), deathCount(dead)], ['delivery_limit', 1n]);
    // Published again by a client: RabbitMQ 4 trusts no x-death that comes from outside.
    client.publish('', 'limited', 'again', { headers: [textEntry('mine', 'x')] });
  }
  client.wire.close();
});

test('the smaller of both times to live ends a message at its moment, with nobody there A40 A70', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('late');
  const ages: Table = [
    integerEntry('x-message-ttl', 100),
    textEntry('x-dead-letter-exchange', ''),
    textEntry('x-dead-letter-routing-key', 'late'),
  ];
  await client.declare('aging', { durable: true, arguments: ages });
  client.publish('', 'aging', 'short', { expiration: '40' });
  client.publish('', 'aging', 'long', { expiration: '90000' });
  assert.equal(await countOf(client, 'aging'), 2);
  time.pass(39);
  assert.equal(await countOf(client, 'aging'), 2);
  time.pass(1);
  await client.consume('late', { noAck: true });
  const short = await client.next('basic.deliver');
  assert.deepEqual(
    [String(short.body), textOf(lastDeath(short), 'original-expiration')],
    ['short', '40'],
  );
  assert.equal(await countOf(client, 'aging'), 1);
  time.pass(60);
  assert.equal(String((await client.next('basic.deliver')).body), 'long');
  assert.equal(await countOf(client, 'aging'), 0);
  client.wire.close();
});

test('an automatic death that would lead back to the same queue ends the message A69', async () => {
  const client = await TestClient.open(room.server);
  const circle = [integerEntry('x-message-ttl', 10), textEntry('x-dead-letter-exchange', '')];
  await client.declare('circle', { arguments: circle });
  client.publish('', 'circle', 'round');
  assert.equal(await countOf(client, 'circle'), 1);
  time.pass(10);
  assert.equal(await countOf(client, 'circle'), 0);
  client.wire.close();
});

test('a message that ends at the head of its queue is not counted, though nobody consumes A40 A70', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('unwatched', { durable: true });
  client.publish('', 'unwatched', 'short', { expiration: '400' });
  client.publish('', 'unwatched', 'shorter', { expiration: '100' });
  client.publish('', 'unwatched', 'long', { expiration: '90000' });
  assert.equal(await countOf(client, 'unwatched'), 3);
  // Behind the first one it is counted until that one goes.
  time.pass(200);
  assert.equal(await countOf(client, 'unwatched'), 3);
  time.pass(200);
  assert.equal(await countOf(client, 'unwatched'), 1);
  client.wire.close();
});

test('a durable queue with x-expires goes after a restart too, but not while it is used A72', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('brief', { durable: true, arguments: [integerEntry('x-expires', 1000)] });
  time.pass(600);
  await client.declare('brief', { passive: true });
  time.pass(600);
  assert.ok(room.server.host.queues.has('brief'));
  client.wire.close();
  await room.restart();
  assert.ok(room.server.host.queues.has('brief'));
  time.pass(1000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(room.server.host.queues.has('brief'), false);
});

test('x-delayed-message keeps a message over a restart and routes it at its time A64', async () => {
  const client = await TestClient.open(room.server);
  const wrong = await TestClient.open(room.server);
  const bad = [textEntry('x-delayed-type', 'odd')];
  wrong.send(1, 'exchange.declare', exchangeFields('no', 'x-delayed-message', { arguments: bad }));
  assert.equal((await wrong.next('channel.close')).fields.replyCode, 406);
  wrong.wire.close();
  await client.declareExchange('later', 'x-delayed-message', {
    durable: true,
    arguments: [textEntry('x-delayed-type', 'topic')],
  });
  await client.declare('arrivals', { durable: true });
  await client.bind('arrivals', 'later', 'a.#');
  await client.call(1, 'confirm.select', { noWait: false }, 'confirm.select-ok');
  client.publish('later', 'a.b', 'waits', {
    headers: [integerEntry('x-delay', 500)],
    deliveryMode: 2,
  });
  client.publish('later', 'a.b', 'comes at once');
  await client.next('basic.ack');
  assert.deepEqual(await bodies(client, 'arrivals', 1), ['comes at once']);
  client.wire.close();
  await room.restart();
  const again = await TestClient.open(room.server);
  time.pass(499);
  assert.equal(await countOf(again, 'arrivals'), 0);
  time.pass(101);
  await again.consume('arrivals', { noAck: true });
  const got = await again.next('basic.deliver');
  assert.deepEqual(
    [String(got.body), got.fields.exchange, got.fields.routingKey],
    ['waits', 'later', 'a.b'],
  );
  const delay = got.properties.headers!.find(({ name }) => name === 'x-delay');
  assert.equal(Number(delay!.value), -500);
  again.wire.close();
});

test('the rights count when a delayed message is sent, and again when it is routed A64 X31', async () => {
  const { principals } = room.host.broker;
  await principals.setUser('ann', 'secret', { superuser: false, loopbackOnly: false });
  const rule = { effect: 'allow', principal: 'ann', actions: ['publish'] } as const;
  principals.putRule({ ...rule, id: 'ann', pattern: '#' });
  const owner = await TestClient.open(room.server);
  await owner.declareExchange('held', 'x-delayed-message', {
    durable: true,
    arguments: [textEntry('x-delayed-type', 'fanout')],
  });
  await owner.declare('ends', { durable: true });
  await owner.bind('ends', 'held', '');
  const ann = await TestClient.open(room.server, { user: 'ann', password: 'secret' });
  await ann.call(1, 'confirm.select', { noWait: false }, 'confirm.select-ok');
  const send = async (delayMs: number, body: string): Promise<void> => {
    ann.publish('held', 'k', body, { headers: [integerEntry('x-delay', delayMs)] });
    await ann.next('basic.ack');
  };
  await send(500, 'still allowed');
  await send(2000, 'not allowed any more');
  await send(4000, 'its user is gone');
  time.pass(1000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await bodies(owner, 'ends', 1), ['still allowed']);
  principals.putRule({ ...rule, id: 'no', effect: 'deny', pattern: 'held/#' });
  time.pass(2000);
  await new Promise((resolve) => setImmediate(resolve));
  principals.removeRule('no');
  principals.removeUser('ann');
  time.pass(2000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await countOf(owner, 'ends'), 0);
  for (const client of [owner, ann]) client.wire.close();
});
