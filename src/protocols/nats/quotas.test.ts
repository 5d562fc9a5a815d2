/** Quotas of users hold here too: who owes for published bytes is not read. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Instance } from '#contract';
import { defaults } from '#kit';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { ready, said } from './client.fixture.ts';
import { nats } from './index.ts';

const USER = { user: 'anonymous' };
const CONNECT = 'CONNECT {"verbose":false,"name":"app"}\r\n';
/** Counted are subject and payload: a thousand bytes. */
const MESSAGE = `PUB q 999\r\n${'x'.repeat(999)}\r\n`;

describe('NATS: quotas', () => {
  const time = new ManualTimers();
  let host: TestHost;
  let instance: Instance;

  before(async () => {
    host = await openTestHost({ clock: time.clock, timers: time, brokerTimers: time });
    instance = nats.open(host, defaults(nats.options));
  });
  after(async () => {
    await instance.close();
    await host.close();
  });

  test('a publisher over its quota is not read until it is paid; others are K79 X33', async () => {
    const { quotas } = host.broker;
    const [client, other] = [await ready(instance, CONNECT), await ready(instance)];
    quotas.set({ ...USER, client: 'app' }, { 'publish-bytes': 1000 });
    client.send(MESSAGE);
    assert.ok(!client.connection.paused, 'a second is there at once');
    client.send(MESSAGE.repeat(3));
    assert.ok(client.connection.paused);
    client.send('PING\r\n');
    other.send(`${MESSAGE.repeat(9)}PING\r\n`);
    assert.equal(await said(other), 'PONG\r\n');
    time.pass(2999);
    assert.equal(await said(client), '');
    time.pass(1);
    assert.equal(await said(client), 'PONG\r\n');
    assert.ok(!client.connection.paused);
    for (const one of [client, other]) one.close();
    await client.closed;
    quotas.set({ ...USER, client: 'app' }, {});
  });

  test('who is not read misses no PING, and a removed quota frees it at once N13 K79', async () => {
    const { quotas } = host.broker;
    const client = await ready(instance, CONNECT);
    quotas.set(USER, { 'publish-bytes': 1 });
    client.send(MESSAGE);
    assert.ok(client.connection.paused);
    const { pingInterval } = defaults(nats.options);
    quotas.set(USER, { 'publish-bytes': 0.001 });
    await turn();
    time.pass(pingInterval * 10);
    assert.ok(client.connection.paused);
    assert.ok(!client.connection.isClosed);
    quotas.set(USER, {});
    await turn();
    assert.ok(!client.connection.paused);
    client.take();
    client.send('PING\r\n');
    assert.equal(await said(client), 'PONG\r\n');
    client.close();
    await client.closed;
    assert.equal(quotas.waiting.size, 0);
  });
});
