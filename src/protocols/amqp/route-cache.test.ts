import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestClient } from './client.fixture.ts';
import { type TableEntry, textEntry } from './field-table.ts';
import { FRAME } from './frame-reader.ts';
import { writeMethod } from './methods.ts';
import { Output } from './output.ts';
import { propertyBytes } from './properties.ts';
import { timedRoom } from './room.fixture.ts';

const room = timedRoom();
const ANN = { user: 'ann', password: 'secret' };

/** A user who may do everything, until a rule says otherwise. */
async function asAnn(): Promise<TestClient> {
  const { principals } = room.host.broker;
  await principals.setUser(ANN.user, ANN.password, { superuser: false, loopbackOnly: false });
  const actions = ['publish', 'subscribe', 'create', 'remove', 'describe'] as const;
  principals.putRule({ id: 'ann', effect: 'allow', principal: 'ann', actions, pattern: '#' });
  return TestClient.open(room.server, ANN);
}

function deny(queue: string): void {
  room.host.broker.principals.putRule({
    ...{ id: queue, effect: 'deny', principal: 'ann', actions: ['publish'], pattern: queue },
  });
}

/** The frames of one publish: its method, and its content apart from it. */
function publishing(exchange: string, routingKey: string, body: string): readonly [Buffer, Buffer] {
  const parts: Buffer[] = [];
  const output = new Output((chunk) => parts.push(chunk));
  const flags = { mandatory: true, immediate: false };
  writeMethod(output, 1, 'basic.publish', { ticket: 0, exchange, routingKey, ...flags });
  output.flush();
  const method = Buffer.concat(parts.splice(0));
  output.beginFrame(FRAME.header, 1);
  output.short(60);
  output.short(0);
  output.longlong(body.length);
  output.bytes(propertyBytes({}));
  output.endFrame();
  output.frame(FRAME.body, 1, Buffer.from(body), 0, body.length);
  output.flush();
  return [method, Buffer.concat(parts)];
}

async function countOf(client: TestClient, queue: string): Promise<number> {
  return (await client.declare(queue, { passive: true })).fields.messageCount;
}

const NAMES = { ticket: 0, noWait: false };

test('a right that goes between a publish and its content counts: 403 A28 A76', async () => {
  const owner = await TestClient.open(room.server);
  await owner.declare('cut');
  const ann = await asAnn();
  ann.publish('', 'cut', 'allowed');
  await countOf(ann, 'cut');
  const [method, content] = publishing('', 'cut', 'late');
  ann.wire.send(method);
  deny('cut');
  ann.wire.send(content);
  const { fields } = await ann.next('channel.close');
  assert.deepEqual([fields.replyCode, await countOf(owner, 'cut')], [403, 1]);
  for (const client of [owner, ann]) client.wire.close();
});

test('a transaction of which one message may not go any more publishes none A35 A76', async () => {
  const owner = await TestClient.open(room.server);
  await owner.declare('tx.open');
  await owner.declare('tx.shut');
  const ann = await asAnn();
  await ann.call(1, 'tx.select', {}, 'tx.select-ok');
  ann.publish('', 'tx.open', '1');
  ann.publish('', 'tx.shut', '2');
  deny('tx.shut');
  ann.send(1, 'tx.commit', {});
  assert.equal((await ann.next('channel.close')).fields.replyCode, 403);
  // What was published before this one is counted with it.
  owner.publish('', 'tx.open', 'alone');
  assert.equal(await countOf(owner, 'tx.open'), 1);
  for (const client of [owner, ann]) client.wire.close();
});

test('CC and BCC reach no queue that the sender may not write to A41 A76', async () => {
  const owner = await TestClient.open(room.server);
  await owner.declare('to');
  await owner.declare('copy');
  deny('copy');
  for (const name of ['CC', 'BCC']) {
    const ann = await asAnn();
    const value: TableEntry['value'] = [{ type: 'S', value: Buffer.from('copy') }];
    ann.publish('', 'to', 'x', { headers: [{ name, type: 'A', value } as TableEntry] });
    assert.equal((await ann.next('channel.close')).fields.replyCode, 403);
    ann.wire.close();
  }
  assert.deepEqual([await countOf(owner, 'to'), await countOf(owner, 'copy')], [0, 0]);
  owner.wire.close();
});

test('bindings, alternates and queues that change between a publish and its content count A60 A62', async () => {
  const client = await TestClient.open(room.server);
  const other = await TestClient.open(room.server);
  const alternate = { arguments: [textEntry('alternate-exchange', 'spare')] };
  await client.declareExchange('spare', 'fanout');
  await client.declareExchange('main', 'direct', alternate);
  for (const queue of ['bound', 'rest']) await client.declare(queue);
  await client.bind('bound', 'main', 'k');
  await client.bind('rest', 'spare', '');
  const counts = async () => [await countOf(other, 'bound'), await countOf(other, 'rest')];
  const during = async (change: () => Promise<unknown>): Promise<void> => {
    const [method, content] = publishing('main', 'k', 'x');
    client.wire.send(method);
    await change();
    client.wire.send(content);
  };
  await during(() => Promise.resolve());
  assert.deepEqual(await counts(), [1, 0]);
  const binding = { queue: 'bound', exchange: 'main', routingKey: 'k', arguments: [] };
  await during(() => other.call(1, 'queue.unbind', { ticket: 0, ...binding }, 'queue.unbind-ok'));
  assert.deepEqual(await counts(), [1, 1]);
  await during(() => other.bind('bound', 'main', 'k'));
  assert.deepEqual(await counts(), [2, 1]);
  const removal = { ...NAMES, exchange: 'spare', ifUnused: false };
  await other.call(1, 'queue.unbind', { ticket: 0, ...binding }, 'queue.unbind-ok');
  await during(() => other.call(1, 'exchange.delete', removal, 'exchange.delete-ok'));
  assert.equal((await client.next('basic.return')).fields.replyCode, 312);
  assert.deepEqual(await counts(), [2, 1]);
  await during(async () => {
    await other.declareExchange('spare', 'fanout');
    await other.bind('rest', 'spare', '');
  });
  assert.deepEqual(await counts(), [2, 2]);
  const main = { ...NAMES, exchange: 'main', ifUnused: false };
  await during(() => other.call(1, 'exchange.delete', main, 'exchange.delete-ok'));
  assert.equal((await client.next('channel.close')).fields.replyCode, 404);
  for (const each of [client, other]) each.wire.close();
});
