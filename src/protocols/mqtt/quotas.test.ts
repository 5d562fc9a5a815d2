/** Quotas of users hold here too: who owes for published bytes is not read. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { QuotaEntity } from '#broker';
import { Bench, publishBytes, type TestClient } from './client.fixture.ts';

const USER = { user: 'anonymous' };
const TOPIC = 'quota/one';
/** Counted are topic and payload: a thousand bytes. */
const PAYLOAD = 'x'.repeat(1000 - TOPIC.length);

describe('MQTT: quotas', () => {
  let bench: Bench;

  before(async () => {
    bench = await Bench.open();
  });
  afterEach(() => {
    const { quotas } = bench.host.broker;
    for (const { entity } of [...quotas.list()]) quotas.set(entity, {});
    // The debts of a test end with it.
    bench.pass(60_000);
  });
  after(() => bench.close());

  /** Shares of user and client identifier are those of one test. */
  const setRate = (rate: number, entity: QuotaEntity = USER): void =>
    bench.host.broker.quotas.set(entity, { 'publish-bytes': rate });

  function publish(client: TestClient, packetId: number): void {
    client.publish({ topic: TOPIC, payload: PAYLOAD, qos: 1, packetId });
  }

  const acked = async (client: TestClient): Promise<number | undefined> =>
    (await client.expect('PUBACK')).packetId;

  test('a publisher over its quota is not read until it is paid K79 X33', async () => {
    const client = await bench.connect('over');
    setRate(1000);
    publish(client, 1);
    assert.equal(await acked(client), 1);
    assert.ok(!client.wire.connection.paused, 'a second is there at once');
    publish(client, 2);
    assert.equal(await acked(client), 2, 'what was read is answered');
    assert.ok(client.wire.connection.paused);
    publish(client, 3);
    bench.pass(999);
    assert.deepEqual(await client.quiet(), []);
    bench.pass(1);
    assert.equal(await acked(client), 3);
    client.drop();
    await client.closed();
    assert.equal(bench.host.broker.quotas.waiting.size, 0);
  });

  test('a quota that is raised or removed frees who waits at once K79', async () => {
    const client = await bench.connect('raised');
    const own = { client: 'raised' };
    setRate(1, own);
    publish(client, 1);
    assert.equal(await acked(client), 1);
    assert.ok(client.wire.connection.paused);
    publish(client, 2);
    setRate(1_000_000, own);
    await turn();
    bench.pass(1);
    assert.equal(await acked(client), 2);
    bench.pass(1000);
    setRate(1, own);
    publish(client, 3);
    assert.equal(await acked(client), 3);
    assert.ok(client.wire.connection.paused);
    bench.host.broker.quotas.set(own, {});
    await turn();
    assert.ok(!client.wire.connection.paused);
    client.drop();
    await client.closed();
  });

  test('the user owes wherever it publishes; a subscriber is read all the time K79 X33', async () => {
    setRate(1000);
    const [client, reader] = [await bench.connect('sends'), await bench.connect('reads')];
    await reader.subscribed(TOPIC, { qos: 1 });
    for (let packetId = 1; packetId <= 4; packetId++) publish(client, packetId);
    assert.ok(client.wire.connection.paused);
    const elsewhere = bench.host.broker.quotas.enter(USER.user, 'of another protocol');
    assert.equal(elsewhere.debtMs('publish-bytes'), 1000);
    elsewhere.leave();
    const delivery = await reader.expect('PUBLISH');
    reader.puback(delivery.packetId!);
    assert.ok(!reader.wire.connection.paused);
    for (const one of [client, reader]) one.drop();
    await client.closed();
  });

  test('a quota of a client identifier is for that client K79', async () => {
    bench.host.broker.quotas.set({ client: 'named' }, { 'publish-bytes': 1 });
    const [named, other] = [await bench.connect('named'), await bench.connect('other')];
    for (const client of [named, other]) publish(client, 1);
    assert.ok(named.wire.connection.paused);
    assert.ok(!other.wire.connection.paused);
    for (const client of [named, other]) client.drop();
    await named.closed();
  });

  test('keep alive is not missed by who is not read [MQTT-3.1.2-22] K79', async () => {
    const client = await bench.connect('alive', { keepAliveSec: 10 });
    setRate(10, { client: 'alive' });
    publish(client, 1);
    assert.equal(await acked(client), 1);
    bench.pass(60_000);
    assert.ok(client.wire.connection.paused, 'a thousand bytes take longer');
    assert.ok(!client.wire.connection.isClosed);
    bench.pass(40_000);
    assert.ok(!client.wire.connection.paused);
    assert.ok(!client.wire.connection.isClosed, 'its time begins anew');
    bench.pass(16_000);
    assert.ok(client.wire.isClosed || client.wire.connection.isClosed);
  });

  test('messages that come in one piece with DISCONNECT are paid for K79', async () => {
    setRate(1000);
    const client = await bench.connect('leaves');
    const { quotas } = bench.host.broker;
    const message = publishBytes({ topic: TOPIC, payload: PAYLOAD }, 5);
    const disconnect = Buffer.of(0xe0, 0);
    client.wire.send(Buffer.concat([message, message, message, disconnect]));
    await client.closed();
    const debt = quotas.enter(USER.user, 'x');
    assert.equal(debt.debtMs('publish-bytes'), 2000);
    debt.leave();
  });

  test('messages that come in one piece with nonsense are paid for, and nothing waits then K79', async () => {
    setRate(1000);
    const client = await bench.connect('broken');
    const { quotas } = bench.host.broker;
    const message = publishBytes({ topic: TOPIC, payload: PAYLOAD }, 5);
    client.wire.send(Buffer.concat([message, message, message, Buffer.of(0xf7, 0xff)]));
    client.drop();
    await client.closed();
    assert.equal(quotas.waiting.size, 0);
    const debt = quotas.enter(USER.user, 'x');
    assert.equal(debt.debtMs('publish-bytes'), 2000);
    debt.leave();
  });
});
