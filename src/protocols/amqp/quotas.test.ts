/** Quotas of users hold here too: who owes for published bytes is not read. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type ClientOptions, TestClient } from './client.fixture.ts';
import { timedRoom } from './room.fixture.ts';

const USER = { user: 'anonymous' };
/** What is counted besides the body: the content header's fixed part and empty properties. */
const HEADER_BYTES = 14;

describe('AMQP: quotas', () => {
  const room = timedRoom();

  async function publisher(options: ClientOptions = {}): Promise<TestClient> {
    const client = await TestClient.open(room.server, options);
    await client.declare('quota');
    await client.call(1, 'confirm.select', { noWait: false }, 'confirm.select-ok');
    return client;
  }

  const setRate = (rate: number): void =>
    room.host.broker.quotas.set(USER, { 'publish-bytes': rate });

  test('a publisher over its quota is not read until it is paid K79 X33', async () => {
    const client = await publisher();
    setRate(1000);
    const body = Buffer.alloc(1000 - HEADER_BYTES);
    client.publish('', 'quota', body);
    await client.next('basic.ack');
    assert.ok(!client.wire.connection.paused, 'a second is there at once');
    // The header may come alone, and is a debt already.
    client.publish('', 'quota', body);
    assert.ok(client.wire.connection.paused);
    room.time.pass(HEADER_BYTES);
    await client.next('basic.ack');
    assert.ok(client.wire.connection.paused);
    client.publish('', 'quota', body);
    room.time.pass(1000 - HEADER_BYTES - 1);
    await turn();
    assert.equal(client.seen.length, 0);
    room.time.pass(1 + HEADER_BYTES);
    await client.next('basic.ack');
    room.host.broker.quotas.set(USER, {});
    await turn();
    client.wire.close();
    await client.wire.closed;
  });

  test('who owes is heard when the server closes A11 K79', async () => {
    const client = await publisher();
    setRate(1);
    client.publish('', 'quota', 'hello');
    assert.ok(client.wire.connection.paused);
    const restarted = room.restart();
    await client.next('connection.close');
    client.send(0, 'connection.close-ok', {});
    await restarted;
    await client.wire.closed;
    assert.equal(room.host.broker.quotas.waiting.size, 0);
    room.host.broker.quotas.set(USER, {});
  });

  test('a large message is paid for as it comes, and heartbeats are not missed meanwhile A9 K79', async () => {
    const client = await publisher({ heartbeat: 10, frameMax: 4096 });
    setRate(1000);
    client.publish('', 'quota', Buffer.alloc(100_000));
    assert.ok(client.wire.connection.paused);
    for (let second = 0; second < 60; second++) room.time.pass(1000);
    assert.ok(client.wire.connection.paused);
    assert.ok(!client.wire.connection.isClosed);
    room.host.broker.quotas.set(USER, {});
    await turn();
    await client.next('basic.ack');
    assert.ok(!client.wire.connection.paused);
    client.wire.close();
    await client.wire.closed;
    assert.equal(room.host.broker.quotas.waiting.size, 0);
  });
});
