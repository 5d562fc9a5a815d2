import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestClient } from './client.fixture.ts';
import { integerEntry, timedRoom } from './room.fixture.ts';

const room = timedRoom();

/** Publishes numbered messages whose confirms nobody waits for. */
function publish(client: TestClient, queue: string, priorities: readonly number[]): void {
  for (const priority of priorities) {
    client.publish('', queue, `p${priority}`, { priority, deliveryMode: 2 });
  }
}

/** One message that waits in the queue: whoever attaches too early gets it first. */
async function stored(client: TestClient, queue: string): Promise<void> {
  publish(client, queue, [1]);
  const { fields } = await client.declare(queue, { passive: true });
  assert.equal(fields.messageCount, 1);
}

async function delivered(client: TestClient, count: number, channel = 1): Promise<string[]> {
  const bodies: string[] = [];
  while (bodies.length < count) {
    bodies.push(String((await client.next('basic.deliver', channel)).body));
  }
  return bodies;
}

test('a consumer that attaches after unconfirmed publishes gets the highest priority first A23 A71', async () => {
  const client = await TestClient.open(room.server);
  const ranks = { durable: true, arguments: [integerEntry('x-max-priority', 9)] };
  await client.declare('ahead', ranks);
  await stored(client, 'ahead');
  publish(client, 'ahead', [9, 5, 0]);
  await client.consume('ahead', { noAck: true });
  assert.deepEqual(await delivered(client, 4), ['p9', 'p5', 'p1', 'p0']);
  client.wire.close();
});

test('the same holds for a consumer on another channel of the connection A23 A71', async () => {
  const client = await TestClient.open(room.server);
  await client.call(2, 'channel.open', { outOfBand: '' }, 'channel.open-ok');
  const ranks = { durable: true, arguments: [integerEntry('x-max-priority', 9)] };
  await client.declare('beside', ranks);
  await stored(client, 'beside');
  publish(client, 'beside', [0, 3, 9]);
  await client.consume('beside', {}, 2);
  assert.deepEqual(await delivered(client, 4, 2), ['p9', 'p3', 'p1', 'p0']);
  client.wire.close();
});

test('get, passive declare and purge see all that was published before them A23 A30', async () => {
  const client = await TestClient.open(room.server);
  await client.declare('seen', { durable: true });
  publish(client, 'seen', [1, 2, 3]);
  const { fields } = await client.declare('seen', { durable: true, passive: true });
  assert.equal(fields.messageCount, 3);
  publish(client, 'seen', [4]);
  assert.equal((await client.get('seen')).fields.messageCount, 3);
  publish(client, 'seen', [5]);
  const purge = { ticket: 0, queue: 'seen', noWait: false };
  const purged = await client.call(1, 'queue.purge', purge, 'queue.purge-ok');
  assert.equal(purged.fields.messageCount, 4);
  client.wire.close();
});
