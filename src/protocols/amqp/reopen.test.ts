import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaults } from '#kit';
import { openTestHost } from '../../../test/contract/test-host.ts';
import { TestClient } from './client.fixture.ts';
import { textEntry } from './field-table.ts';
import { options } from './options.ts';
import { AmqpServer } from './server.ts';

test('durable exchanges, queues, bindings come back as they were, others do not A22 A23', async () => {
  const host = await openTestHost();
  const first = new AmqpServer(host, defaults(options));
  const client = await TestClient.open(first);
  const header = [textEntry('x-match', 'any'), textEntry('a', '1')];
  await client.declareExchange('kept-x', 'headers', { durable: true });
  await client.declareExchange('lost-x', 'fanout');
  await client.declare('kept-q', { durable: true, arguments: [textEntry('x-queue-mode', 'lazy')] });
  await client.declare('lost-q');
  await client.bind('kept-q', 'kept-x', 'k', header);
  await client.bind('kept-q', 'lost-x', '');
  await client.bind('kept-q', 'amq.topic', 'a.#');
  client.wire.close();
  await client.wire.closed;
  await first.close();

  const second = new AmqpServer(host, defaults(options));
  const again = await TestClient.open(second);
  await again.declareExchange('kept-x', 'headers', { durable: true });
  await again.declare('kept-q', { durable: true, arguments: [textEntry('x-queue-mode', 'lazy')] });
  assert.equal(second.host.exchanges.has('lost-x'), false);
  again.publish('kept-x', '', 'by header', { headers: [textEntry('a', '1')] });
  again.publish('amq.topic', 'a.b', 'by topic');
  assert.equal((await again.get('kept-q')).body.toString(), 'by header');
  assert.equal((await again.get('kept-q')).body.toString(), 'by topic');
  assert.equal((await again.get('kept-q')).name, 'basic.get-empty');
  again.wire.close();
  await again.wire.closed;
  await second.close();
  await host.close();
});

test('a server that stops tells its clients with 320 and waits for them A11 A14', async () => {
  const host = await openTestHost();
  const server = new AmqpServer(host, defaults(options));
  const client = await TestClient.open(server);
  const closing = server.close();
  const { fields } = await client.next('connection.close');
  assert.equal(fields.replyCode, 320);
  assert.match(fields.replyText, /^CONNECTION_FORCED - broker forced connection closure/);
  client.send(0, 'connection.close-ok', {});
  await closing;
  await host.close();
});
