import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  addressOfText,
  flatAddress,
  Message,
  originOf,
  plainDotSpelling,
  SERVER_PRINCIPAL,
  slashPattern,
  slashSpelling,
  textHeader,
} from '#broker';
import { defaults } from '#kit';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { TestClient } from './client.fixture.ts';
import { type Table, textEntry } from './field-table.ts';
import { options } from './options.ts';
import { type Properties, propertyBytes } from './properties.ts';
import { AmqpServer } from './server.ts';

let host: TestHost;
let server: AmqpServer;

before(async () => {
  host = await openTestHost();
  server = new AmqpServer(host, defaults(options));
});
after(async () => {
  await server.close();
  await host.close();
});

const CONFIRM = { noWait: false };
const EVERYTHING: Properties = {
  contentType: 'text/plain',
  contentEncoding: 'identity',
  headers: [
    textEntry('text', 'ü'),
    { name: 'number', type: 'l', value: 5n },
    { name: 'table', type: 'F', value: [{ name: 'flag', type: 't', value: true }] },
    { name: 'list', type: 'A', value: [{ type: 'x', value: Buffer.of(0, 255) }] },
    { name: 'nothing', type: 'V', value: null },
  ],
  deliveryMode: 2,
  priority: 3,
  correlationId: Buffer.from('c-1'),
  replyTo: 'answers',
  messageId: 'm-1',
  timestamp: 1_700_000_000,
  type: 't',
  userId: 'guest',
  appId: 'a',
};

test('an AMQP reader gets the exact properties, exchange and key of the publisher A42 X61', async () => {
  const client = await TestClient.open(server);
  await client.declareExchange('exact', 'topic');
  await client.declare('exact-q', { durable: true });
  await client.bind('exact-q', 'exact', 'a.#');
  client.publish('exact', 'a.%2F.c', 'body', EVERYTHING);
  const got = await client.get('exact-q');
  assert.deepEqual(propertyBytes(got.properties), propertyBytes(EVERYTHING));
  assert.deepEqual([got.fields.exchange, got.fields.routingKey], ['exact', 'a.%2F.c']);
  client.wire.close();
});

test('mandatory: what reaches nobody is returned with 312 before its confirm A27 A34', async () => {
  const client = await TestClient.open(server);
  await client.call(1, 'confirm.select', CONFIRM, 'confirm.select-ok');
  await client.declareExchange('nobody', 'direct');
  client.publish('nobody', 'k', 'lost', EVERYTHING, { mandatory: true });
  await client.next('basic.ack');
  const [returned] = client.seen;
  assert.equal(returned?.name, 'basic.return');
  assert.deepEqual([returned?.fields.replyCode, returned?.fields.replyText], [312, 'NO_ROUTE']);
  assert.equal(returned?.body.toString(), 'lost');
  client.wire.close();
});

test('confirms come for every message, several at once where they were committed together A34', async () => {
  const client = await TestClient.open(server);
  await client.declare('confirmed', { durable: true });
  await client.call(1, 'confirm.select', CONFIRM, 'confirm.select-ok');
  for (let count = 0; count < 100; count++) client.publish('', 'confirmed', `${count}`);
  let told = 0;
  let frames = 0;
  while (told < 100) {
    const { fields } = await client.next('basic.ack');
    assert.ok(fields.multiple || fields.deliveryTag === told + 1);
    told = fields.deliveryTag;
    frames++;
  }
  assert.ok(frames < 50, `${frames} frames for 100 messages`);
  client.wire.close();
});

test('prefetch holds back, per consumer and with global for the channel A24', async () => {
  const client = await TestClient.open(server);
  await client.declare('credit', { exclusive: true });
  for (let count = 0; count < 5; count++) client.publish('', 'credit', `${count}`);
  const qos = { prefetchSize: 0, prefetchCount: 2, global: false };
  await client.call(1, 'basic.qos', qos, 'basic.qos-ok');
  await client.consume('credit', { consumerTag: 'one' });
  const first = await client.next('basic.deliver');
  await client.next('basic.deliver');
  assert.equal(
    (await client.declare('credit', { passive: true, exclusive: true })).fields.messageCount,
    3,
  );
  client.send(1, 'basic.ack', { deliveryTag: first.fields.deliveryTag, multiple: false });
  assert.equal((await client.next('basic.deliver')).body.toString(), '2');
  await client.call(1, 'basic.qos', { ...qos, prefetchCount: 3, global: true }, 'basic.qos-ok');
  await client.consume('credit', { consumerTag: 'two' });
  assert.equal((await client.next('basic.deliver')).fields.consumerTag, 'two');
  assert.equal((await client.declare('credit', { passive: true })).fields.messageCount, 1);
  client.wire.close();
});

test('nack, reject and recover put messages back in their places, redelivered A31 A32 A33', async () => {
  const client = await TestClient.open(server);
  await client.declare('places', { exclusive: true });
  for (const body of ['a', 'b', 'c', 'd']) client.publish('', 'places', body);
  for (let count = 0; count < 3; count++) await client.get('places', false);
  client.send(1, 'basic.nack', { deliveryTag: 2, multiple: true, requeue: true });
  await client.call(1, 'basic.recover', { requeue: true }, 'basic.recover-ok');
  const order: [string, boolean][] = [];
  for (let count = 0; count < 4; count++) {
    const { body, fields } = await client.get('places');
    order.push([body.toString(), fields.redelivered]);
  }
  assert.deepEqual(order, [
    ['a', true],
    ['b', true],
    ['c', true],
    ['d', false],
  ]);
  client.wire.close();
});

test('a cancelled consumer keeps what it has not acknowledged until its channel closes A26', async () => {
  const client = await TestClient.open(server);
  await client.declare('kept');
  client.publish('', 'kept', 'one');
  await client.consume('kept', { consumerTag: 'c' });
  const { fields } = await client.next('basic.deliver');
  await client.call(1, 'basic.cancel', { consumerTag: 'c', noWait: false }, 'basic.cancel-ok');
  assert.equal((await client.get('kept')).name, 'basic.get-empty');
  client.send(1, 'basic.ack', { deliveryTag: fields.deliveryTag, multiple: false });
  const close = { replyCode: 200, replyText: '', classId: 0, methodId: 0 };
  await client.call(1, 'channel.close', close, 'channel.close-ok');
  await client.call(1, 'channel.open', { outOfBand: '' }, 'channel.open-ok');
  assert.equal((await client.get('kept')).name, 'basic.get-empty');
  client.wire.close();
});

test('consumers: a used tag 530, exclusive 403, cancel when the queue goes, priorities A25 A26 A37', async () => {
  const client = await TestClient.open(server);
  await client.declare('busy');
  await client.consume('busy', { exclusive: true, consumerTag: 'x' });
  const other = await TestClient.open(server);
  await assert.rejects(
    other.consume('busy'),
    /ACCESS_REFUSED - queue 'busy' in vhost '\/' in excl/,
  );
  const remove = { ticket: 0, queue: 'busy', ifUnused: false, ifEmpty: false, noWait: false };
  client.send(1, 'queue.delete', remove);
  assert.equal((await client.next('basic.cancel')).fields.consumerTag, 'x');
  assert.equal(client.seen[0]?.name, 'queue.delete-ok', 'answered before it is told');
  await client.declare('ranked', { exclusive: true });
  await client.consume('ranked', { consumerTag: 'low' });
  const high: Table = [{ name: 'x-priority', type: 'I', value: 10 }];
  await client.consume('ranked', { consumerTag: 'high', arguments: high });
  for (let count = 0; count < 3; count++) client.publish('', 'ranked', '');
  for (let count = 0; count < 3; count++) {
    assert.equal((await client.next('basic.deliver')).fields.consumerTag, 'high');
  }
  const again = { ticket: 0, queue: 'ranked', consumerTag: 'low', noLocal: false, noAck: false };
  client.send(1, 'basic.consume', { ...again, exclusive: false, noWait: false, arguments: [] });
  assert.equal((await client.next('connection.close')).fields.replyCode, 530);
  other.wire.close();
});

test('a transaction takes effect with its commit and leaves nothing after a rollback A35', async () => {
  const client = await TestClient.open(server);
  await client.declare('tx', { durable: true });
  await client.call(1, 'tx.select', {}, 'tx.select-ok');
  client.publish('', 'tx', 'gone');
  await client.call(1, 'tx.rollback', {}, 'tx.rollback-ok');
  client.publish('', 'tx', 'kept');
  assert.equal((await client.declare('tx', { passive: true })).fields.messageCount, 0);
  await client.call(1, 'tx.commit', {}, 'tx.commit-ok');
  const { fields } = await client.get('tx', false);
  client.send(1, 'basic.ack', { deliveryTag: fields.deliveryTag, multiple: false });
  await client.call(1, 'tx.rollback', {}, 'tx.rollback-ok');
  client.send(1, 'basic.ack', { deliveryTag: fields.deliveryTag, multiple: false });
  await client.call(1, 'tx.commit', {}, 'tx.commit-ok');
  client.send(1, 'confirm.select', CONFIRM);
  assert.match((await client.next('channel.close')).fields.replyText, /from tx to confirm mode/);
  client.wire.close();
});

test('direct replies reach the asking channel and nobody else, over connections A38', async () => {
  const asker = await TestClient.open(server);
  const answerer = await TestClient.open(server);
  await asker.consume('amq.rabbitmq.reply-to', { noAck: true, consumerTag: 'r' });
  await answerer.declare('work', { exclusive: true });
  await answerer.consume('work', { noAck: true });
  asker.publish('', 'work', 'question', { replyTo: 'amq.rabbitmq.reply-to' });
  const question = await answerer.next('basic.deliver');
  const to = question.properties.replyTo!;
  assert.match(to, /^amq\.rabbitmq\.reply-to\.[\w-]{22}$/);
  answerer.publish('', to, 'answer', {}, { mandatory: true });
  const answer = await asker.next('basic.deliver');
  assert.deepEqual([answer.body.toString(), answer.fields.consumerTag], ['answer', 'r']);
  asker.wire.close();
  await asker.wire.closed;
  answerer.publish('', to, 'late', {}, { mandatory: true });
  assert.equal((await answerer.next('basic.return')).body.toString(), 'late');
  answerer.wire.close();
});

test('CC and BCC add routing keys, BCC is not shown; user-id must be true A39 A41', async () => {
  const client = await TestClient.open(server);
  for (const name of ['to', 'cc', 'bcc']) await client.declare(name, { exclusive: true });
  const keys = (name: string) => ({
    name: name.toUpperCase(),
    type: 'A' as const,
    value: [{ type: 'S' as const, value: Buffer.from(name) }],
  });
  client.publish('', 'to', 'm', { headers: [keys('cc'), keys('bcc')] });
  for (const name of ['to', 'cc', 'bcc']) {
    const got = await client.get(name);
    assert.equal(got.body.toString(), 'm');
    assert.deepEqual(got.properties.headers, [keys('cc')]);
  }
  client.publish('', 'to', 'm', { userId: 'somebody' });
  const { fields } = await client.next('channel.close');
  assert.match(
    fields.replyText,
    /user_id property set to 'somebody' but authenticated user was 'guest'/,
  );
  client.wire.close();
});

function foreign(address: Message['address'], value: string | null): Message {
  const message = new Message(
    address,
    value === null ? null : Buffer.from(value),
    originOf('mqtt'),
  );
  message.principal = SERVER_PRINCIPAL;
  message.qos = 1;
  return message;
}

test('messages of other protocols are shown with properties, by name and by pattern X60', async () => {
  const client = await TestClient.open(server);
  const { broker } = host;
  await client.declare('sensors', { durable: true });
  await client.declare('topics', { exclusive: true });
  await client.bind('topics', 'amq.topic', 'sensors.*.temp');
  await client.consume('sensors', { noAck: true, consumerTag: 'flat' });
  await client.consume('topics', { noAck: true, consumerTag: 'topic' });
  const message = foreign(slashSpelling.parse('sensors/1/temp'), '20');
  message.key = Buffer.from('k');
  message.contentType = 'text/plain';
  message.replyTo = 'answers/1';
  message.correlation = Buffer.of(0xff);
  message.timestampMs = 1_700_000_000_123;
  message.headers = [
    textHeader('a', '1'),
    textHeader('a', '2'),
    { name: 'n', value: Buffer.from('7'), type: 'amqp:I' },
    { name: 'bytes', value: Buffer.of(0xfe) },
  ];
  broker.publish(message, broker.target(message.address, 'first-level'), null, 0);
  broker.publish(
    foreign(flatAddress('sensors'), null),
    broker.target(flatAddress('sensors'), 'first-level'),
    null,
    0,
  );
  const all = [];
  for (let count = 0; count < 3; count++) all.push(await client.next('basic.deliver'));
  const [flat, empty] = all.filter(({ fields }) => fields.consumerTag === 'flat');
  assert.ok(flat !== undefined && empty !== undefined);
  assert.deepEqual([flat.fields.exchange, flat.fields.routingKey], ['amq.topic', 'sensors.1.temp']);
  assert.deepEqual([empty.fields.exchange, empty.fields.routingKey], ['', 'sensors']);
  assert.deepEqual(flat.properties, {
    contentType: 'text/plain',
    deliveryMode: 2,
    replyTo: 'answers.1',
    timestamp: 1_700_000_000,
    headers: [
      textEntry('x-key', 'k'),
      {
        name: 'a',
        type: 'A',
        value: [
          { type: 'S', value: Buffer.from('1') },
          { type: 'S', value: Buffer.from('2') },
        ],
      },
      { name: 'n', type: 'I', value: 7 },
      { name: 'bytes', type: 'x', value: Buffer.of(0xfe) },
      { name: 'timestamp_in_ms', type: 'l', value: 1_700_000_000_123n },
      { name: 'x-correlation-id', type: 'x', value: Buffer.of(0xff) },
    ],
  });
  client.wire.close();
});

test('other protocols see the fields of an AMQP message, its typed headers as text X60', async () => {
  const client = await TestClient.open(server);
  const seen: Message[] = [];
  const subscriber = { receive: (message: Message) => void seen.push(message) };
  host.broker.subscribe({ pattern: slashPattern('plants/+/soil')!, subscriber });
  client.publish('amq.topic', 'plants.7.soil', 'wet', EVERYTHING);
  await client.declare('barrier');
  const [message] = seen;
  assert.equal(message?.address.text, 'plants/7/soil');
  assert.deepEqual(
    message?.headers.map(({ name, value, type }) => [name, value?.toString() ?? null, type]),
    [
      ['text', 'ü', undefined],
      ['number', '5', 'amqp:l'],
      ['table', '{"flag":true}', 'amqp:F'],
      ['list', '["AP8="]', 'amqp:A'],
      ['nothing', null, undefined],
    ],
  );
  assert.deepEqual(
    [message?.contentType, message?.messageId, message?.correlation?.toString(), message?.qos],
    ['text/plain', 'm-1', 'c-1', 1],
  );
  assert.equal(message?.timestampMs, 1_700_000_000_000);
  assert.equal(message?.replyTo, 'answers');
  client.wire.close();
});

test('what AMQP sends to one exchange does not reach the bindings of another A60', async () => {
  const client = await TestClient.open(server);
  await client.declare('all', { exclusive: true });
  await client.bind('all', 'amq.topic', '#');
  await client.declareExchange('elsewhere', 'direct');
  await client.declare('there', { durable: true });
  await client.bind('there', 'elsewhere', 'k');
  client.publish('elsewhere', 'k', 'm');
  client.publish('', 'there', 'm');
  client.publish('elsewhere', 'unbound', 'm', {}, { mandatory: true });
  assert.equal((await client.next('basic.return')).fields.routingKey, 'unbound');
  assert.equal((await client.declare('there', { durable: true })).fields.messageCount, 2);
  assert.equal((await client.get('all')).name, 'basic.get-empty');
  client.publish('amq.topic', 'k', 'm');
  assert.equal((await client.get('all')).fields.routingKey, 'k');
  client.wire.close();
});

test('an answer to the reply address of another protocol finds its way by dots X60', async () => {
  const client = await TestClient.open(server);
  const seen: string[] = [];
  const subscriber = { receive: (message: Message) => void seen.push(message.address.text) };
  host.broker.subscribe({ pattern: slashPattern('answers/to/1')!, subscriber });
  const shown = plainDotSpelling.show(addressOfText('answers/to/1'));
  client.publish('', shown, 'here', {}, { mandatory: true });
  await client.declare('barrier');
  assert.deepEqual(seen, ['answers/to/1']);
  assert.deepEqual(client.seen, []);
  client.wire.close();
});
