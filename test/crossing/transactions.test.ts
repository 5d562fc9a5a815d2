/**
 * Kafka transactions as other protocols see them (docs/decisions/0030-transactions.md): what was
 * committed, when it was, in the order of the log; never what was aborted.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { type Server, startServer } from '../clients/server.ts';
import { FlatParties, type Party } from './flat-parties.ts';

const READERS: readonly Party[] = ['mqtt', 'nats', 'amqp', 'queue', 'kafka'];

describe('Kafka transactions in other protocols', () => {
  let server: Server;
  let parties: FlatParties;
  let producer: Producer;

  before(async () => {
    server = await startServer();
    parties = await FlatParties.connect(server);
    const kafka = new Kafka({ brokers: [server.address('kafka')], logLevel: logLevel.NOTHING });
    producer = kafka.producer({ transactionalId: 'crossing', maxInFlightRequests: 1 });
    await producer.connect();
  });
  after(async () => {
    await producer?.disconnect();
    await parties?.close();
    await server[Symbol.asyncDispose]();
  });

  const messages = (...values: string[]) => values.map((value) => ({ value }));

  it('all get what was committed, in one order with what others publish, and nothing aborted X30', async () => {
    const name = 'orders';
    const readers = [];
    // Kafka's reader makes the topic, which then captures its name.
    for (const party of [...READERS].reverse()) {
      readers.push(await parties.read(party, name, 'orders-marker'));
    }
    await parties.publish('mqtt', name, 'before');
    const aborted = await producer.transaction();
    await aborted.send({ topic: name, messages: messages('lost 1', 'lost 2') });
    await parties.publish('mqtt', name, 'behind what is aborted');
    await aborted.abort();
    const committed = await producer.transaction();
    await committed.send({ topic: name, messages: messages('kept 1') });
    await parties.publish('nats', name, 'behind');
    await parties.publish('mqtt', name, 'behind too');
    await committed.send({ topic: name, messages: messages('kept 2') });
    await committed.commit();
    await parties.publish('mqtt', name, 'after');
    const wanted = [
      ...['before', 'behind what is aborted', 'kept 1', 'behind', 'behind too'],
      ...['kept 2', 'after'],
    ];
    for (const { inbox, end } of readers) {
      const got = await inbox.take(wanted.length);
      assert.deepEqual(
        got.map(({ body }) => body),
        wanted,
      );
      await end();
    }
  });

  it('what is open when the server is killed is aborted for all, what was committed is there X30 X62', async () => {
    const name = 'killed';
    await using server = await startServer();
    const parties = await FlatParties.connect(server);
    const first = new Kafka({ brokers: [server.address('kafka')], logLevel: logLevel.NOTHING });
    const producer = first.producer({ transactionalId: 'killed', maxInFlightRequests: 1 });
    await producer.connect();
    await (await parties.read('queue', name, 'killed-marker')).end();
    const kept = await producer.transaction();
    await kept.send({ topic: name, messages: messages('kept') });
    await kept.commit();
    const open = await producer.transaction();
    await open.send({ topic: name, messages: messages('open') });
    await parties.publish('mqtt', name, 'behind');
    await parties.close();
    await server.kill();
    await producer.disconnect();
    await server.start();
    const again = await FlatParties.connect(server);
    const kafka = new Kafka({ brokers: [server.address('kafka')], logLevel: logLevel.NOTHING });
    // Who takes the transactional id ends what was open.
    const next = kafka.producer({ transactionalId: 'killed', maxInFlightRequests: 1 });
    await next.connect();
    await (await next.transaction()).abort();
    await again.publish('mqtt', name, 'after');
    const reader = await again.read('queue', name, 'killed-marker');
    const bodies = (await reader.inbox.take(3)).map(({ body }) => body);
    assert.deepEqual(bodies, ['kept', 'behind', 'after']);
    await reader.end();
    await next.disconnect();
    await again.close();
  });
});
