/**
 * One set of users and rules for all protocols: user x action x protocol, with real clients. What
 * is refused in one way is refused in every other, whichever way the rule was made.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import amqp from 'amqplib';
import kafkajs, { type Kafka as KafkaClient } from 'kafkajs';
import mqtt from 'mqtt';
import { connect, type NatsConnection } from 'nats';
import { ADMIN, type Server, startServer } from '../clients/server.ts';

const {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} = kafkajs;
process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

const USER = { user: 'joe', password: 'of joe' } as const;
const PROTOCOLS = ['mqtt', 'kafka', 'nats', 'amqp'] as const;
type Protocol = (typeof PROTOCOLS)[number];
type Action = 'publish' | 'subscribe';

let server: Server;

async function admin(method: string, path: string, body?: object): Promise<void> {
  const url = `http://${server.address('admin')}/api/v1${path}`;
  const authorization = `Basic ${btoa(`${ADMIN.user}:${ADMIN.password}`)}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const answer = await fetch(url, init);
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
}

function kafkaOf({ user: username, password }: { user: string; password: string }): KafkaClient {
  return new Kafka({
    brokers: [server.address('kafka')],
    sasl: { mechanism: 'scram-sha-256', username, password },
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
  });
}

/** True when it was done, false when the right was missing; anything else fails the test. */
async function outcome(attempt: Promise<unknown>, refusal: RegExp): Promise<boolean> {
  try {
    await attempt;
    return true;
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    assert.match(`${code} ${message}`, refusal);
    return false;
  }
}

async function byMqtt(action: Action, name: string): Promise<boolean> {
  const client = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, {
    ...{ protocolVersion: 5, reconnectPeriod: 0, username: USER.user, password: USER.password },
  });
  client.on('error', () => {});
  const attempt =
    action === 'publish'
      ? client.publishAsync(name, 'x', { qos: 1 })
      : client.subscribeAsync(`${name}/#`, { qos: 1 });
  try {
    return await outcome(attempt, /0x87|135|authori/i);
  } finally {
    await client.endAsync(true);
  }
}

async function byKafka(action: Action, topic: string): Promise<boolean> {
  const kafka = kafkaOf(USER);
  if (action === 'publish') {
    const producer = kafka.producer();
    await producer.connect();
    const sending = producer.send({ topic, messages: [{ value: 'x' }] });
    try {
      return await outcome(sending, /not authorized/i);
    } finally {
      await producer.disconnect();
    }
  }
  const consumer = kafka.consumer({ groupId: 'crew' });
  await consumer.connect();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  const reading = async (): Promise<void> => {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: async () => resolve() });
    await promise;
  };
  try {
    return await outcome(reading(), /not authorized/i);
  } finally {
    await consumer.disconnect();
  }
}

async function byNats(action: Action, subject: string): Promise<boolean> {
  const client = await connect({
    ...{ servers: server.address('nats'), reconnect: false, user: USER.user, pass: USER.password },
  });
  const operation = action === 'publish' ? 'publish' : 'subscription';
  const refused = watched(client, operation);
  if (action === 'publish') client.publish(subject, 'x');
  else client.subscribe(subject, { callback: () => {} });
  await client.flush();
  await client.flush();
  await client.close();
  return !refused.seen;
}

function watched(client: NatsConnection, operation: string): { seen: boolean } {
  const refused = { seen: false };
  // The iterator of the library does not end with its connection: nobody waits for it.
  void (async () => {
    for await (const status of client.status()) {
      const context = (status as { permissionContext?: { operation: string } }).permissionContext;
      if (context?.operation === operation) refused.seen = true;
    }
  })();
  return refused;
}

async function byAmqp(action: Action, queue: string): Promise<boolean> {
  const { user, password } = USER;
  const url = `amqp://${user}:${encodeURIComponent(password)}@${server.address('amqp')}`;
  const connection = await amqp.connect(url);
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  const refused = new Promise<never>((_, reject) => void channel.once('error', reject));
  refused.catch(() => {}); // Told by the race below.
  const attempt = async (): Promise<void> => {
    if (action === 'subscribe') {
      await channel.checkQueue(queue);
      await channel.consume(queue, () => {});
      return;
    }
    channel.publish('', queue, Buffer.from('x'));
    // The channel was closed: the error event says why.
    await channel.waitForConfirms().catch(() => refused);
  };
  try {
    return await outcome(Promise.race([attempt(), refused]), /403|ACCESS.REFUSED/);
  } finally {
    await connection.close().catch(() => {});
  }
}

const WAYS: Readonly<Record<Protocol, (action: Action, name: string) => Promise<boolean>>> = {
  mqtt: byMqtt,
  kafka: byKafka,
  nats: byNats,
  amqp: byAmqp,
};

/** What the user may do in each way: publish, then read. */
async function rights(name: string): Promise<Record<Protocol, string>> {
  const found: Partial<Record<Protocol, string>> = {};
  for (const protocol of PROTOCOLS) {
    const writes = await WAYS[protocol]('publish', name);
    const reads = await WAYS[protocol]('subscribe', name);
    found[protocol] = `${writes ? 'w' : '-'}${reads ? 'r' : '-'}`;
  }
  return found as Record<Protocol, string>;
}

const everywhere = (what: string) => ({ mqtt: what, kafka: what, nats: what, amqp: what });

describe('users and rules over all protocols', () => {
  before(async () => {
    server = await startServer();
    await admin('POST', '/users', { name: USER.user, password: USER.password });
    const connection = await amqp.connect(
      `amqp://${ADMIN.user}:${ADMIN.password}@${server.address('amqp')}`,
    );
    const channel = await connection.createConfirmChannel();
    for (const name of ['mine', 'theirs', 'shown']) {
      await channel.assertQueue(name, { durable: true });
      channel.sendToQueue(name, Buffer.from('first'));
    }
    await channel.waitForConfirms();
    await connection.close();
    const rule = { effect: 'allow', principal: USER.user };
    const stream = { ...rule, kind: 'stream' };
    await admin('PUT', '/rules/mine', { ...stream, actions: ['all'], pattern: 'mine' });
    await admin('PUT', '/rules/shown', { ...stream, actions: ['subscribe'], pattern: 'shown' });
    await admin('PUT', '/rules/crew', { ...rule, kind: 'group', actions: ['all'], pattern: '*' });
  });
  after(() => server[Symbol.asyncDispose]());

  it('what is allowed is allowed in every way, what is not in none X33 X65 M174 N46 A76 K78', async () => {
    assert.deepEqual(await rights('mine'), everywhere('wr'));
    assert.deepEqual(await rights('shown'), everywhere('-r'));
    assert.deepEqual(await rights('theirs'), everywhere('--'));
  });

  it('an ACL that Kafka tools make holds in every way at once, and ends so X33 K78', async () => {
    const kafka = kafkaOf(ADMIN).admin();
    await kafka.connect();
    const acl = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: 'mine',
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: `User:${USER.user}`,
      host: '*',
      operation: AclOperationTypes.WRITE,
      permissionType: AclPermissionTypes.DENY,
    };
    await kafka.createAcls({ acl: [acl] });
    const { resources } = await kafka.describeAcls({ ...acl });
    assert.equal(resources.length, 1);
    assert.deepEqual(await rights('mine'), everywhere('-r'));
    await kafka.deleteAcls({ filters: [acl] });
    assert.deepEqual(await rights('mine'), everywhere('wr'));
    await kafka.disconnect();
  });

  it('a part that may not be read closes the whole in every way X33', async () => {
    const rule = { effect: 'deny', principal: USER.user, actions: ['subscribe'] };
    await admin('PUT', '/rules/part', { ...rule, pattern: 'mine/secret/#' });
    const { nats, ...whole } = await rights('mine');
    assert.deepEqual(whole, { mqtt: 'w-', kafka: 'w-', amqp: 'w-' });
    // The subject is one address, and not the part that is denied.
    assert.equal(nats, 'wr');
    await admin('DELETE', '/rules/part');
  });

  it('a user that is removed is out of every protocol at once M177 X34', async () => {
    const { user: username, password } = USER;
    const client = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, {
      ...{ protocolVersion: 5, reconnectPeriod: 0, username, password },
    });
    client.on('error', () => {});
    const nats = await connect({
      ...{ servers: server.address('nats'), reconnect: false, user: username, pass: password },
    });
    const url = `amqp://${username}:${encodeURIComponent(password)}@${server.address('amqp')}`;
    const connection = await amqp.connect(url);
    connection.on('error', () => {});
    const gone = Promise.all([
      new Promise((resolve) => client.once('close', () => resolve(null))),
      nats.closed(),
      new Promise((resolve) => connection.once('close', () => resolve(null))),
    ]);
    await admin('DELETE', `/users/${username}`);
    await gone;
    await assert.rejects(amqp.connect(url));
    const login = kafkaOf(USER).admin();
    await assert.rejects(login.connect(), /authentication/i);
  });
});
