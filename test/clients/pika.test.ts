/** pika, unmodified. The scenarios are in programs/python/pika_scenarios.py. */
import { after, before, describe, it } from 'node:test';
import { pythonClient, runPython } from './python-scenarios.ts';
import { HOST, type Server, startServer } from './server.ts';
import { python, ready } from './toolchains/index.ts';

const PROGRAM = 'pika_scenarios.py';

await pythonClient('pika', PROGRAM, 'amqp', {
  default_exchange: 'bodies of 0 to 512000 bytes pass through the default exchange A29',
  confirms: 'persistent mandatory messages are confirmed and kept in order A27 A42',
  mandatory: 'an unroutable mandatory message is returned with 312, others are dropped A27',
  properties: 'all 14 properties and typed headers come back as they were sent A3 A42',
  topic_exchange: 'a topic exchange matches * and # by words A60',
  direct_and_fanout: 'direct and fanout exchanges route, and an unbind ends it A60',
  acknowledgements: 'get, ack, nack with requeue, reject and multiple ack work A30 A31 A33',
  unacked_come_back:
    'unacknowledged messages return in order and redelivered when the connection closes A33',
  prefetch: 'no more than the prefetch count is unacknowledged at a consumer A24',
  queue_life: 'queues are declared, purged, deleted, exclusive to a connection and checked A23 A72',
  cancel_notify: 'a consumer hears of the deletion of its queue A26',
  errors: 'missing queues and exchanges close the channel with 404, others 403 and 406 A28',
  credentials: 'a wrong password gets 403 and an unknown vhost 530 A6 A10',
  priorities: 'higher priorities come first, in order inside one A71',
  dead_letters:
    'messages over a limit in bytes or of age are dead letters with x-death A66 A69 A70',
  many: '10 000 persistent messages are consumed in order with a prefetch of 200 A24 A102',
});

const { folder, missing } = await ready(python);

describe('pika over a restart', { skip: missing ?? false }, () => {
  let server: Server;
  before(async () => {
    server = await startServer();
  });
  after(() => server[Symbol.asyncDispose]());

  it('durable queues, bindings, messages and acknowledgements outlive a restart A22 A23 A42', async () => {
    const scenario = (name: string) =>
      runPython(folder ?? '', PROGRAM, [HOST, String(server.ports.amqp), name]);
    await scenario('publish_durable');
    await server.restart();
    await scenario('consume_durable');
  });
});
