import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { Client, fetchBody, newTopic, openRoom } from './client.fixture.ts';
import { fetch } from './messages/01-fetch.ts';
import { metadata } from './messages/03-metadata.ts';
import type { Room } from './room.ts';

const IDLE_MS = 10_000;

describe('idle connections', () => {
  const timers = new ManualTimers();
  let host: TestHost;
  let room: Room;
  before(async () => {
    host = await openTestHost({ timers, clock: timers.clock });
    room = openRoom(host, { idleTimeout: IDLE_MS });
  });
  after(async () => {
    const closing = room.close();
    timers.pass(IDLE_MS);
    await closing;
    await host.close();
  });

  const isOpen = (client: Client) => !client.memory.connection.isClosed;

  it('are closed after the time, counted from their last bytes K14', async () => {
    const [silent, speaking] = [new Client(room), new Client(room)];
    timers.pass(IDLE_MS - 1);
    await speaking.ask(metadata, 8, { topics: [] });
    assert.ok(isOpen(silent));
    timers.pass(1);
    await silent.memory.closed;
    timers.pass(IDLE_MS - 2);
    assert.ok(isOpen(speaking));
    timers.pass(1);
    await speaking.memory.closed;
  });

  it('are not those of clients that wait for an answer K14', async () => {
    const client = new Client(room);
    const { name } = await newTopic(client);
    client.send(fetch, 11, fetchBody(name, 0, { maxWaitMs: IDLE_MS }));
    timers.pass(IDLE_MS);
    await client.receive(fetch, 11);
    assert.ok(isOpen(client));
    await client.ask(metadata, 8, { topics: [] });
    timers.pass(IDLE_MS);
    await client.memory.closed;
  });
});
