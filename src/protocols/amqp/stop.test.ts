import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Address,
  flatAddress,
  Message,
  originOf,
  SERVER_PRINCIPAL,
  slashSpelling,
} from '#broker';
import { defaults } from '#kit';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { TestClient } from './client.fixture.ts';
import { options } from './options.ts';
import { AmqpServer } from './server.ts';

/** What another protocol publishes, whose clients are still there. Resolves when it is stored. */
function publish({ broker }: TestHost, address: Address, value: string): Promise<void> {
  const message = new Message(address, Buffer.from(value), originOf('mqtt'));
  message.principal = SERVER_PRINCIPAL;
  message.qos = 1;
  return new Promise((resolve, reject) => {
    const published = (_token: number, error: Error | null) =>
      error === null ? resolve() : reject(error);
    broker.publish(message, broker.target(address, 'first-level'), { published }, 0);
  });
}

test('what others publish while the server stops comes to durable queues, by name and by pattern A23', async () => {
  const host = await openTestHost();
  // More than one partition: the queue holds references.
  host.broker.streams.create('payments', { partitions: 2 });
  const first = new AmqpServer(host, defaults(options));
  const client = await TestClient.open(first);
  await client.declare('payments', { durable: true });
  await client.declare('temps', { durable: true });
  await client.bind('temps', 'amq.topic', 'sensors.#');
  client.wire.close();
  await client.wire.closed;
  await first.close();
  await publish(host, flatAddress('payments'), 'paid');
  await publish(host, slashSpelling.parse('sensors/1/temp'), '20');

  const second = new AmqpServer(host, defaults(options));
  const again = await TestClient.open(second);
  assert.equal((await again.get('payments')).body.toString(), 'paid');
  assert.equal((await again.get('temps')).body.toString(), '20');
  assert.equal((await again.get('payments')).name, 'basic.get-empty');
  assert.equal((await again.get('temps')).name, 'basic.get-empty');
  again.wire.close();
  await again.wire.closed;
  await second.close();
  await host.close();
});
