/**
 * Rights across spellings: a deny on either form of a name denies it in every protocol, so that
 * what is refused in one cannot be had in another. Second part of the truth table of flat names.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { connect, type NatsConnection } from 'nats';
import { ADMIN, type Server, startServer } from '../clients/server.ts';

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

/** `queue` publishes through the default exchange; `amqp` on amq.topic. */
type Party = 'mqtt' | 'nats' | 'amqp' | 'queue' | 'kafka';

/** Canonical patterns, with slashes between levels; a name without one is flat. */
const DENIED = {
  publish: ['d1/b/c', 'd2.b.c', 'd3/#'],
  subscribe: ['s1/b/c', 's2.b.c', 's3/#'],
} as const;

const PUBLISHES: readonly (readonly [Party, string, 'denied' | 'accepted', string])[] = [
  ['mqtt', 'd1/b/c', 'denied', 'the same form'],
  ['mqtt', 'd1.b.c', 'denied', 'flat, shown as the levels'],
  ['nats', 'd1.b.c', 'denied', 'the same address'],
  ['amqp', 'd1.b.c', 'denied', 'the same address'],
  ['queue', 'd1.b.c', 'denied', 'flat, shown as the levels'],
  ['kafka', 'd1.b.c', 'denied', 'flat, shown as the levels'],
  ['mqtt', 'd1/b/x', 'accepted', 'another address'],
  ['nats', 'd1.b.x', 'accepted', 'another address'],
  ['mqtt', 'd2.b.c', 'denied', 'the same form'],
  ['nats', 'd2.b.c', 'denied', 'it would reach the flat name'],
  ['amqp', 'd2.b.c', 'denied', 'it would reach the flat name'],
  ['kafka', 'd2.b.c', 'denied', 'the same form'],
  ['queue', 'd2.b.c', 'denied', 'the same form'],
  ['nats', 'd3.x.y', 'denied', 'below the pattern'],
  ['mqtt', 'd3', 'denied', '# has its parent'],
  ['kafka', 'd3.x.y', 'denied', 'flat, shown as the levels'],
  ['kafka', 'd4.x.y', 'accepted', 'another name'],
  ['mqtt', '$SYS/broker/uptime', 'denied', 'only the server publishes there'],
  ['nats', '$SYS.broker.uptime', 'denied', 'only the server publishes there'],
  ['amqp', '$SYS.broker.uptime', 'denied', 'only the server publishes there'],
  ['nats', '$events.client_connected', 'denied', 'only the server publishes there'],
  ['amqp', '$events.client_connected', 'denied', 'only the server publishes there'],
];

const SUBSCRIPTIONS: readonly (readonly ['mqtt' | 'nats' | 'queue', string, boolean, string])[] = [
  ['mqtt', 's1/b/c', true, 'the same form'],
  ['mqtt', 's1.b.c', true, 'flat, shown as the levels'],
  ['nats', 's1.b.c', true, 'the same address'],
  ['mqtt', 's2.b.c', true, 'the same form'],
  ['nats', 's2.b.c', true, 'it would see the flat name'],
  ['queue', 's2.b.c', true, 'the same form'],
  ['mqtt', 's3/x/y', true, 'below the pattern'],
  ['nats', 's3.x.y', true, 'below the pattern'],
  ['mqtt', 's4/b/c', false, 'another name'],
  ['nats', 's4.b.c', false, 'another name'],
];

describe('deny rules across spellings', () => {
  let server: Server;

  before(async () => {
    server = await startServer();
    for (const [action, patterns] of Object.entries(DENIED)) {
      for (const [n, pattern] of patterns.entries()) {
        await putRule(`${action}-${n}`, {
          effect: 'deny',
          principal: 'anonymous',
          actions: [action],
          pattern,
        });
      }
    }
  });
  after(() => server[Symbol.asyncDispose]());

  async function putRule(id: string, rule: object): Promise<void> {
    const url = `http://${server.address('admin')}/api/v1/rules/${id}`;
    const authorization = `Basic ${btoa(`${ADMIN.user}:${ADMIN.password}`)}`;
    const headers = { authorization, 'content-type': 'application/json' };
    const answer = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(rule) });
    assert.equal(answer.status, 200, await answer.text());
  }

  const publish: Record<Party, (name: string) => Promise<boolean>> = {
    async mqtt(name) {
      const url = `mqtt://${server.address('mqtt')}`;
      const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
      client.on('error', () => {});
      try {
        return await refusedWith(client.publishAsync(name, 'x', { qos: 1 }), /0x87|135|authori/i);
      } finally {
        await client.endAsync(true);
      }
    },
    async nats(name) {
      const client = await connect({ servers: server.address('nats'), reconnect: false });
      client.publish(name, 'x');
      return natsRefuses(client, 'publish');
    },
    amqp: (name) => publishAmqp('amq.topic', name),
    queue: (name) => publishAmqp('', name),
    async kafka(topic) {
      const brokers = [server.address('kafka')];
      const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 0 } });
      const producer = kafka.producer({ allowAutoTopicCreation: true });
      await producer.connect();
      try {
        const sending = producer.send({ topic, messages: [{ value: 'x' }] });
        return await refusedWith(sending, /not authorized/i);
      } finally {
        await producer.disconnect();
      }
    },
  };

  async function publishAmqp(exchange: string, key: string): Promise<boolean> {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    connection.on('error', () => {});
    const channel = await connection.createConfirmChannel();
    const refused = new Promise<boolean>((resolve) => {
      channel.once('error', (error) => resolve(/403/.test(String(error))));
    });
    channel.publish(exchange, key, Buffer.from('x'));
    const accepted = channel.waitForConfirms().then(() => false);
    accepted.catch(() => {}); // The channel was closed: the error event says why.
    const outcome = await Promise.race([refused, accepted.catch(() => refused)]);
    await connection.close().catch(() => {});
    return outcome;
  }

  const subscribe: Record<'mqtt' | 'nats' | 'queue', (name: string) => Promise<boolean>> = {
    async mqtt(name) {
      const url = `mqtt://${server.address('mqtt')}`;
      const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
      client.on('error', () => {});
      try {
        return await refusedWith(client.subscribeAsync(name, { qos: 1 }), /0x87|135|authori/i);
      } finally {
        await client.endAsync(true);
      }
    },
    async nats(name) {
      const client = await connect({ servers: server.address('nats'), reconnect: false });
      client.subscribe(name, { callback: () => {} });
      return natsRefuses(client, 'subscription');
    },
    async queue(name) {
      const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
      connection.on('error', () => {});
      const channel = await connection.createChannel();
      channel.on('error', () => {});
      const consuming = async () => {
        await channel.assertQueue(name, { durable: true });
        await channel.consume(name, () => {});
      };
      try {
        return await refusedWith(consuming(), /403|ACCESS.REFUSED/);
      } finally {
        await connection.close().catch(() => {});
      }
    },
  };

  for (const [party, name, outcome, why] of PUBLISHES) {
    it(`publishing ${name} with ${party} is ${outcome} (${why}) X33 X65`, async () => {
      assert.equal((await publish[party](name)) ? 'denied' : 'accepted', outcome);
    });
  }

  for (const [party, name, denied, why] of SUBSCRIPTIONS) {
    it(`reading ${name} with ${party} is ${denied ? 'denied' : 'accepted'} (${why}) X33 X65`, async () => {
      assert.equal(await subscribe[party](name), denied);
    });
  }
});

/** True when it is refused for want of a right; another failure is a failure of the test. */
async function refusedWith(attempt: Promise<unknown>, sentence: RegExp): Promise<boolean> {
  try {
    await attempt;
    return false;
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    assert.match(`${code} ${message}`, sentence);
    return true;
  }
}

/** nats-server answers `-ERR 'Permissions Violation …'` and goes on; it comes before the PONG. */
async function natsRefuses(client: NatsConnection, operation: string): Promise<boolean> {
  let refused = false;
  // The iterator of the library does not end with its connection: nobody waits for it.
  void (async () => {
    for await (const status of client.status()) {
      const context = (status as { permissionContext?: { operation: string } }).permissionContext;
      if (context?.operation === operation) refused = true;
    }
  })();
  await client.flush();
  await client.flush();
  await client.close();
  return refused;
}
