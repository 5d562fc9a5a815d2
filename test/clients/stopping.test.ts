/**
 * Clients that are connected while the server stops, unmodified: what one of them had not finished
 * goes to no other one that is sent away as well, and only what was sent comes again as a repeat.
 */
import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { describe, it } from 'node:test';
import amqp, { type ChannelModel, type ConfirmChannel, type ConsumeMessage } from 'amqplib';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { Inbox } from './inbox.ts';
import { ADMIN, HOST, type Server, startServer } from './server.ts';

async function amqpConnection(server: Server): Promise<ChannelModel> {
  const made = await amqp.connect(`amqp://guest:guest@${server.address('amqp')}`);
  made.on('error', () => {});
  return made;
}

/** A consumer with a connection of its own that acknowledges nothing. */
async function holder(server: Server, queue: string, prefetch: number) {
  const connection = await amqpConnection(server);
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  await channel.prefetch(prefetch);
  const got: ConsumeMessage[] = [];
  const inbox = new Inbox<ConsumeMessage>();
  await channel.consume(queue, (message) => {
    if (message === null) return;
    got.push(message);
    inbox.put(message);
  });
  return { connection, got, inbox };
}

async function fill(channel: ConfirmChannel, queue: string, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    channel.sendToQueue(queue, Buffer.from(String(number)), { persistent: true });
  }
  await channel.waitForConfirms();
}

const body = (message: ConsumeMessage): number => Number(message.content.toString());

/** What is in the queue after a restart, and which of it says that it comes again. */
async function drained(server: Server, queue: string, count: number) {
  const { connection, inbox } = await holder(server, queue, 0);
  const all = await inbox.take(count);
  await connection.close();
  const again = all.filter(({ fields }) => fields.redelivered);
  return { all: all.map(body), again: again.map(body) };
}

describe('a server that stops', () => {
  it('gives AMQP consumers nothing of what the others had not finished A33 A67', async () => {
    await using server = await startServer();
    const writer = await amqpConnection(server);
    const channel = await writer.createConfirmChannel();
    // A message that comes back twice is given up.
    const limited = { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 };
    await channel.assertQueue('stop.held', { durable: true, arguments: limited });
    const narrow = await holder(server, 'stop.held', 4);
    await fill(channel, 'stop.held', 4);
    await narrow.inbox.take(4);
    const wide = await holder(server, 'stop.held', 0);
    const closed = once(wide.connection, 'close');
    assert.equal(await server.stop(), 0);
    await closed;
    assert.deepEqual(wide.got.map(body), []);
    await server.start();
    const { all, again } = await drained(server, 'stop.held', 4);
    assert.deepEqual(all, [0, 1, 2, 3]);
    assert.deepEqual(again, [0, 1, 2, 3]);
  });

  it('does so when it sends all away at once to be taken out of service A33', async () => {
    await using server = await startServer();
    const writer = await amqpConnection(server);
    const channel = await writer.createConfirmChannel();
    await channel.assertQueue('drain.held', { durable: true });
    const narrow = await holder(server, 'drain.held', 4);
    await fill(channel, 'drain.held', 4);
    await narrow.inbox.take(4);
    const wide = await holder(server, 'drain.held', 0);
    const closed = once(wide.connection, 'close');
    const credentials = Buffer.from(`${ADMIN.user}:${ADMIN.password}`).toString('base64');
    const headers = { authorization: `Basic ${credentials}`, 'content-type': 'application/json' };
    const order = { method: 'POST', headers, body: JSON.stringify({ perSecond: 0 }) };
    const answer = await fetch(`http://${HOST}:${server.ports.admin}/api/v1/drain`, order);
    assert.equal(answer.status, 200);
    await closed;
    assert.deepEqual(wide.got.map(body), []);
  });

  it('says redelivered only of what AMQP consumers have seen A33', async () => {
    await using server = await startServer();
    const writer = await amqpConnection(server);
    const channel = await writer.createConfirmChannel();
    await channel.assertQueue('stop.seen', { durable: true });
    const holders = [await holder(server, 'stop.seen', 3), await holder(server, 'stop.seen', 2)];
    await fill(channel, 'stop.seen', 20);
    await holders[0]!.inbox.take(3);
    await holders[1]!.inbox.take(2);
    const closed = holders.map(({ connection }) => once(connection, 'close'));
    assert.equal(await server.stop(), 0);
    await Promise.all(closed);
    const seen = holders.flatMap(({ got }) => got.map(body)).sort((a, b) => a - b);
    await server.start();
    const { all, again } = await drained(server, 'stop.seen', 20);
    assert.deepEqual(
      all,
      Array.from({ length: 20 }, (_, number) => number),
    );
    assert.deepEqual(again, seen);
  });
});

interface Member {
  readonly client: MqttClient;
  readonly got: IPublishPacket[];
  readonly inbox: Inbox<IPublishPacket>;
}

/** A client of MQTT.js; without acknowledging it reads its first message and no further. */
async function member(
  server: Server,
  clientId: string,
  acknowledges: boolean,
  options: IClientOptions = {},
): Promise<Member> {
  const client = mqtt.connect(`mqtt://${server.address('mqtt')}`, {
    ...{ protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 10_000, clientId },
    customHandleAcks: (_topic, _payload, _packet, done) => {
      if (acknowledges) done(0);
    },
    ...options,
  });
  client.on('error', () => {});
  const got: IPublishPacket[] = [];
  const inbox = new Inbox<IPublishPacket>();
  client.on('packetreceive', (packet) => {
    if (packet.cmd !== 'publish') return;
    got.push(packet);
    inbox.put(packet);
  });
  await once(client as unknown as EventEmitter, 'connect');
  return { client, got, inbox };
}

const text = ({ payload }: IPublishPacket): string => payload.toString();
const LASTING = { clean: false, properties: { sessionExpiryInterval: 3600 } } as const;

describe('a server that stops: MQTT', () => {
  it('sets DUP only for what an MQTT session was sent [MQTT-3.3.1-1] [MQTT-4.4.0-1]', async () => {
    await using server = await startServer();
    const properties = { ...LASTING.properties, receiveMaximum: 3 };
    const slow = await member(server, 'slow', false, { ...LASTING, properties });
    await slow.client.subscribeAsync('stop/#', { qos: 1 });
    const writer = await member(server, 'writer', true);
    for (let number = 0; number < 10; number++) {
      await writer.client.publishAsync('stop/a', String(number), { qos: 1 });
    }
    await slow.inbox.take(1);
    const closed = once(slow.client as unknown as EventEmitter, 'close');
    assert.equal(await server.stop(), 0);
    await closed;
    for (const { client } of [slow, writer]) await client.endAsync(true);
    await server.start();
    const back = await member(server, 'slow', true, LASTING);
    const all = await back.inbox.take(10);
    await back.client.endAsync(true);
    assert.deepEqual(all.filter(({ dup }) => dup).map(text), ['0', '1', '2']);
    assert.deepEqual(all.map(text).sort(), [...'0123456789']);
  });

  it('gives members of a shared subscription nothing of what the others had M124', async () => {
    await using server = await startServer();
    const filter = '$share/group/stop/#';
    const short = await member(server, 'short', false);
    await short.client.subscribeAsync(filter, { qos: 1 });
    const writer = await member(server, 'writer', true);
    for (let number = 0; number < 5; number++) {
      await writer.client.publishAsync('stop/a', String(number), { qos: 1 });
    }
    await short.inbox.take(1);
    const lasting = await member(server, 'lasting', false, LASTING);
    await lasting.client.subscribeAsync(filter, { qos: 1 });
    const closed = once(lasting.client as unknown as EventEmitter, 'close');
    assert.equal(await server.stop(), 0);
    await closed;
    assert.deepEqual(lasting.got.map(text), []);
    for (const { client } of [short, lasting, writer]) await client.endAsync(true);
  });
});
