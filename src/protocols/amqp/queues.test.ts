import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumeFields, declareFields, exchangeFields, TestClient } from './client.fixture.ts';
import { type Table, type TableEntry, textEntry } from './field-table.ts';
import { integerEntry, timedRoom } from './room.fixture.ts';

const room = timedRoom();
const { time } = room;

/** Sends what must fail and gives the reply code and text of the close that answers. */
async function refused(
  send: (client: TestClient) => void,
  close: 'channel.close' | 'connection.close' = 'channel.close',
): Promise<[number, string]> {
  const client = await TestClient.open(room.server);
  send(client);
  const { fields } = await client.next(close);
  client.wire.close();
  return [fields.replyCode, fields.replyText];
}

test('queues: server names, counts, passive, purge, delete, last declared as empty name A23', async () => {
  const client = await TestClient.open(room.server);
  const made = await client.declare('', { exclusive: true });
  assert.match(made.fields.queue, /^amq\.gen-[\w-]{22}$/);
  client.publish('', made.fields.queue, 'one');
  client.publish('', made.fields.queue, 'two');
  const again = await client.declare('', { passive: true });
  assert.deepEqual({ ...again.fields }, { ...made.fields, messageCount: 2 });
  const purge = { ticket: 0, queue: '', noWait: false };
  assert.equal(
    (await client.call(1, 'queue.purge', purge, 'queue.purge-ok')).fields.messageCount,
    2,
  );
  const remove = { ticket: 0, queue: '', ifUnused: true, ifEmpty: true, noWait: false };
  await client.call(1, 'queue.delete', remove, 'queue.delete-ok');
  // What is not there is deleted already.
  await client.call(1, 'queue.delete', { ...remove, queue: 'never' }, 'queue.delete-ok');
  client.wire.close();
});

test('a second declare must say the same: 406 with the difference in words A22 A23', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('same', { durable: true, arguments: [integerEntry('x-message-ttl', 1000)] });
  await client.declare('same', {
    durable: true,
    arguments: [{ name: 'x-message-ttl', type: 'l', value: 1000n }],
  });
  assert.deepEqual(await refused((c) => c.send(1, 'queue.declare', declareFields('same'))), [
    406,
    "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'same' in vhost '/': " +
      "received 'false' but current is 'true'",
  ]);
  const other = declareFields('same', { durable: true });
  const [, text] = await refused((c) => c.send(1, 'queue.declare', other));
  assert.match(text, /received none but current is the value '1000' of type 'signedint'$/);
  await client.declareExchange('same-x', 'direct');
  const type = exchangeFields('same-x', 'fanout');
  assert.match(
    (await refused((c) => c.send(1, 'exchange.declare', type)))[1],
    /inequivalent arg 'type' .*received 'fanout' but current is 'direct'/,
  );
  client.wire.close();
});

test('names, types and things that are not there are refused as RabbitMQ does A22 A23 A28', async () => {
  const publish = (exchange: string) => (c: TestClient) => c.publish(exchange, 'k');
  const cases: [(client: TestClient) => void, number, RegExp][] = [
    [
      (c) => c.send(1, 'queue.declare', declareFields('amq.mine')),
      403,
      /reserved prefix 'amq\.\*'/,
    ],
    [
      (c) => c.send(1, 'queue.declare', declareFields('no', { passive: true })),
      404,
      /no queue 'no'/,
    ],
    [(c) => c.send(1, 'exchange.declare', exchangeFields('x', 'odd')), 406, /exchange type 'odd'/],
    [(c) => c.send(1, 'exchange.declare', exchangeFields('', 'direct')), 403, /default exchange/],
    [(c) => c.send(1, 'exchange.declare', exchangeFields('amq.x', 'direct')), 403, /reserved/],
    [publish('missing'), 404, /^NOT_FOUND - no exchange 'missing' in vhost '\/'$/],
    [(c) => c.send(1, 'basic.consume', consumeFields('no')), 404, /no queue 'no' in vhost '\/'/],
    [
      (c) => c.send(1, 'basic.ack', { deliveryTag: 9, multiple: false }),
      406,
      /unknown delivery tag 9/,
    ],
    [
      (c) => c.send(1, 'queue.purge', { ticket: 0, queue: '', noWait: false }),
      404,
      /previously declared/,
    ],
  ];
  for (const [send, code, words] of cases) {
    const [replyCode, replyText] = await refused(send);
    assert.equal(replyCode, code, replyText);
    assert.match(replyText, words);
  }
  const immediate = await refused(
    (c) => c.publish('', 'q', '', {}, { immediate: true }),
    'connection.close',
  );
  assert.deepEqual(immediate, [540, 'NOT_IMPLEMENTED - immediate=true']);
});

test('an exclusive queue is 405 for others and goes with its connection A23 A72', async () => {
  const owner = await TestClient.open(room.server);
  await owner.declare('mine', { exclusive: true });
  for (const fields of [declareFields('mine'), declareFields('mine', { passive: true })]) {
    const [code, text] = await refused((c) => c.send(1, 'queue.declare', fields));
    assert.equal(code, 405);
    assert.match(text, /^RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine'/);
  }
  owner.wire.close();
  await owner.wire.closed;
  const other = await TestClient.open(room.server);
  await other.declare('mine', { exclusive: true });
  other.wire.close();
});

test('an auto-delete queue goes with its last consumer, x-expires with its last use A72', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('auto', { autoDelete: true });
  const { fields } = await client.consume('auto');
  const cancel = { consumerTag: fields.consumerTag, noWait: false };
  await client.call(1, 'basic.cancel', cancel, 'basic.cancel-ok');
  assert.equal(room.server.host.queues.has('auto'), false);
  await client.declare('brief', { arguments: [integerEntry('x-expires', 20)] });
  const queue = room.server.host.queues.get('brief')!.queue;
  let told = 0;
  queue.onRemoved(() => told++);
  time.pass(19);
  assert.equal(told, 0);
  time.pass(1);
  assert.equal(told, 1);
  assert.equal(room.server.host.queues.has('brief'), false);
  client.wire.close();
});

test('arguments that are not enforced, or not valid, are refused with their name A66', async () => {
  const cases: [TableEntry, RegExp][] = [
    [
      integerEntry('x-max-priority', 256),
      /invalid arg 'x-max-priority' .*\{value_out_of_range,256\}/,
    ],
    [integerEntry('x-max-length-bytes', -1), /x-max-length-bytes.*\{value_negative,-1\}/],
    [integerEntry('x-message-ttl', -1), /invalid arg 'x-message-ttl' .*\{value_negative,-1\}/],
    [textEntry('x-expires', 'soon'), /x-expires.*unacceptable_type,longstr/],
    [integerEntry('x-expires', 0), /x-expires.*value_zero/],
    [textEntry('x-queue-type', 'stream'), /x-queue-type.*not supported/],
    [textEntry('x-overflow', 'explode'), /x-overflow/],
    [textEntry('x-dead-letter-routing-key', 'k'), /routing_key_but_no_dlx_defined/],
  ];
  for (const [entry, words] of cases) {
    const fields = declareFields('args', { arguments: [entry] });
    const [code, text] = await refused((c) => c.send(1, 'queue.declare', fields));
    assert.equal(code, 406);
    assert.match(text, words);
  }
});

test('x-max-length drops the oldest, or rejects and nacks with reject-publish A34 A66', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('short', { arguments: [integerEntry('x-max-length', 2)] });
  for (const body of ['1', '2', '3']) client.publish('', 'short', body);
  assert.equal((await client.get('short')).body.toString(), '2');
  const reject: Table = [
    integerEntry('x-max-length', 1),
    textEntry('x-overflow', 'reject-publish'),
  ];
  await client.declare('full', { arguments: reject });
  await client.call(1, 'confirm.select', { noWait: false }, 'confirm.select-ok');
  client.publish('', 'full', '1');
  client.publish('', 'full', '2');
  assert.equal((await client.next('basic.nack')).fields.deliveryTag, 2);
  assert.equal((await client.next('basic.ack')).fields.deliveryTag, 1);
  assert.equal((await client.get('full')).body.toString(), '1');
  client.wire.close();
});

test('messages past their queue or own TTL are never delivered, and leave counts A40 A70', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('ages', { arguments: [integerEntry('x-message-ttl', 30)] });
  client.publish('', 'ages', 'old');
  assert.equal((await client.declare('ages', { passive: true })).fields.messageCount, 1);
  time.pass(29);
  assert.equal((await client.declare('ages', { passive: true })).fields.messageCount, 1);
  time.pass(1);
  assert.equal((await client.declare('ages', { passive: true })).fields.messageCount, 0);
  await client.declare('own');
  client.publish('', 'own', 'old', { expiration: '20' });
  client.publish('', 'own', 'new', { expiration: '60000' });
  await client.declare('own', { passive: true });
  time.pass(20);
  const got = await client.get('own');
  assert.deepEqual([got.body.toString(), got.properties.expiration], ['new', '60000']);
  const [code, text] = await refused((c) => c.publish('', 'own', '', { expiration: '1s' }));
  assert.deepEqual([code, /invalid expiration '1s'/.test(text)], [406, true]);
  client.wire.close();
});

test('rejected and expired messages go to the dead letter exchange with x-death A69', async () => {
  const client = await TestClient.open(room.server);
  await client.declareExchange('dead', 'topic');
  await client.declare('graves');
  await client.bind('graves', 'dead', '#');
  const to = [textEntry('x-dead-letter-exchange', 'dead')];
  await client.declare('doomed', { arguments: [...to, integerEntry('x-message-ttl', 20)] });
  const mine = { expiration: '10', headers: [textEntry('mine', 'x')] };
  for (const body of ['expires', 'with', 'it']) client.publish('', 'doomed', body, mine);
  await client.declare('doomed', { passive: true });
  time.pass(10);
  await client.consume('graves', { noAck: true });
  const expired = await client.next('basic.deliver');
  for (const body of ['with', 'it']) {
    assert.equal((await client.next('basic.deliver')).body.toString(), body);
  }
  assert.deepEqual(
    [expired.body.toString(), expired.fields.exchange, expired.fields.routingKey],
    ['expires', 'dead', 'doomed'],
  );
  assert.equal(expired.properties.expiration, undefined);
  const names = expired.properties.headers!.map(({ name }) => name);
  assert.deepEqual(names.slice(0, 3), ['mine', 'x-death', 'x-first-death-exchange']);
  await client.declare('choosy', {
    arguments: [...to, textEntry('x-dead-letter-routing-key', 'k')],
  });
  client.publish('', 'choosy', 'rejected');
  const { fields } = await client.get('choosy', false);
  client.send(1, 'basic.reject', { deliveryTag: fields.deliveryTag, requeue: false });
  const rejected = await client.next('basic.deliver');
  assert.equal(rejected.fields.routingKey, 'k');
  const deaths: unknown = rejected.properties.headers!.find(
    ({ name }) => name === 'x-death',
  )!.value;
  const [death] = deaths as { value: Table }[];
  const text = (name: string) => String(death!.value.find((entry) => entry.name === name)!.value);
  assert.deepEqual([text('reason'), text('queue'), text('count')], ['rejected', 'choosy', '1']);
  assert.equal((await client.declare('choosy', { passive: true })).fields.messageCount, 0);
  client.wire.close();
});

test('a quorum queue must be durable and gives up after its delivery limit A67', async () => {
  const client = await TestClient.open(room.server);
  const quorum: Table = [textEntry('x-queue-type', 'quorum'), integerEntry('x-delivery-limit', 1)];
  const wrong = declareFields('quorum', { arguments: quorum });
  assert.equal((await refused((c) => c.send(1, 'queue.declare', wrong)))[0], 406);
  await client.declare('quorum', { durable: true, arguments: quorum });
  client.publish('', 'quorum', 'again');
  for (const redelivered of [false, true]) {
    const { fields } = await client.get('quorum', false);
    assert.equal(fields.redelivered, redelivered);
    client.send(1, 'basic.reject', { deliveryTag: fields.deliveryTag, requeue: true });
  }
  assert.equal((await client.get('quorum')).name, 'basic.get-empty');
  client.wire.close();
});

test('an auto-delete exchange goes with its last binding, if-unused refuses before A22', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('bound', { exclusive: true });
  await client.declareExchange('passing', 'fanout', { autoDelete: true });
  await client.bind('bound', 'passing', '');
  const remove = { ticket: 0, exchange: 'passing', ifUnused: true, noWait: false };
  const [code, text] = await refused((c) => c.send(1, 'exchange.delete', remove));
  assert.deepEqual(
    [code, text],
    [406, "PRECONDITION_FAILED - exchange 'passing' in vhost '/' in use"],
  );
  const unbind = { ticket: 0, queue: 'bound', exchange: 'passing', routingKey: '', arguments: [] };
  await client.call(1, 'queue.unbind', unbind, 'queue.unbind-ok');
  assert.equal(room.server.host.exchanges.has('passing'), false);
  client.wire.close();
});
