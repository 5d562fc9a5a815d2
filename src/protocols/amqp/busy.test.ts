import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaults } from '#kit';
import { openTestHost } from '../../../test/contract/test-host.ts';
import { TestClient } from './client.fixture.ts';
import { options } from './options.ts';
import { AmqpServer } from './server.ts';

/**
 * One connection floods the broker until it is busy, and has `more` to send when there is room
 * again; another one sends its first message then. @returns the answer to that
 */
async function answerToFirst(more: number): Promise<string> {
  const host = await openTestHost({ owners: 1, limits: { inFlightBytesMax: 3 << 20 } });
  const server = new AmqpServer(host, defaults(options));
  const flooding = await TestClient.open(server);
  await flooding.declare('room', { durable: true });
  const first = await TestClient.open(server);
  await first.call(1, 'confirm.select', { noWait: false }, 'confirm.select-ok');
  const { broker } = host;
  const flood = (): void => flooding.publish('', 'room', Buffer.alloc(100_000));
  // In one turn of the event loop: nothing is committed meanwhile, so room only becomes less.
  for (let sent = 0; !broker.busy && sent < 100; sent++) flood();
  assert.ok(broker.busy);
  for (let sent = 0; sent < more; sent++) flood();
  // Method, header and body come in one chunk, the first one that publishes on this connection.
  first.publish('', 'room', 'mine');
  assert.equal(first.seen.length, 0);
  const answer = await Promise.race([first.next('basic.ack'), first.next('basic.nack')]);
  flooding.wire.close();
  first.wire.close();
  await server.close();
  await host.close();
  return answer.name;
}

test('the first message of a connection waits for room too: it is confirmed, never refused A34 X32', async () => {
  assert.equal(await answerToFirst(0), 'basic.ack');
});

test('a message that was begun waits again when another connection took the room A34 X32', async () => {
  assert.equal(await answerToFirst(100), 'basic.ack');
});
