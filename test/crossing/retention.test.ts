/** What is kept, and for whom: the retention rules of docs/mapping.md, seen with real clients. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import amqp, { type ChannelModel, type ConfirmChannel } from 'amqplib';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { type Server, startServer } from '../clients/server.ts';
import { readStored } from './stored.ts';

const DAY_MS = 86_400_000;
const GIB = 1024 ** 3;
const TOPIC_RESOURCE = 2;

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

describe('retention', () => {
  let server: Server;
  let kafka: Kafka;
  let admin: Admin;
  let connection: ChannelModel;
  let channel: ConfirmChannel;

  before(async () => {
    server = await startServer();
    kafka = new Kafka({ brokers: [server.address('kafka')], logLevel: logLevel.NOTHING });
    admin = kafka.admin();
    await admin.connect();
    connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    channel = await connection.createConfirmChannel();
  });
  after(async () => {
    await connection?.close();
    await admin?.disconnect();
    await server[Symbol.asyncDispose]();
  });

  async function settings(topic: string): Promise<Record<string, string>> {
    const resources = [{ type: TOPIC_RESOURCE, name: topic }];
    const answer = await admin.describeConfigs({ resources, includeSynonyms: false });
    const entries = answer.resources[0]?.configEntries ?? [];
    return Object.fromEntries(
      entries.map(({ configName, configValue }) => [configName, configValue]),
    );
  }

  async function publishMqtt(topic: string, bodies: readonly string[]): Promise<void> {
    const client = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`);
    for (const body of bodies) await client.publishAsync(topic, body, { qos: 1 });
    await client.endAsync();
  }

  /** Takes and acknowledges what the queue has. */
  async function consumeAll(queue: string): Promise<string[]> {
    const bodies: string[] = [];
    for (;;) {
      const message = await channel.get(queue);
      if (message === false) return bodies;
      bodies.push(String(message.content));
      channel.ack(message);
    }
  }

  it('a stream that its first message made keeps 7 days and 1 GiB X16', async () => {
    await publishMqtt('kept-auto', ['x']);
    const { 'retention.ms': ms, 'retention.bytes': bytes } = await settings('kept-auto');
    assert.deepEqual([Number(ms), Number(bytes)], [7 * DAY_MS, GIB]);
  });

  it('a message that an AMQP consumer acknowledged is still read by Kafka afterwards X16', async () => {
    await channel.assertQueue('kept-queue', { durable: true });
    for (const body of ['one', 'two', 'three'])
      channel.sendToQueue('kept-queue', Buffer.from(body));
    await channel.waitForConfirms();
    assert.deepEqual(await consumeAll('kept-queue'), ['one', 'two', 'three']);
    assert.deepEqual(await readStored(server, 'kept-queue', 'g1'), ['one', 'two', 'three']);
  });

  it('a queue over a stream with history starts at its end, and its acks free nothing X16', async () => {
    await publishMqtt('kept-history', ['old 1', 'old 2']);
    await channel.assertQueue('kept-history', { durable: true });
    await publishMqtt('kept-history', ['new']);
    assert.deepEqual(await consumeAll('kept-history'), ['new']);
    const stored = await readStored(server, 'kept-history', 'g2');
    assert.deepEqual(stored, ['old 1', 'old 2', 'new']);
  });

  it('what came to a queue by a binding is not in the stream of its name X16', async () => {
    await channel.assertQueue('kept-bound', { durable: true });
    await channel.bindQueue('kept-bound', 'amq.topic', 'kept.by.binding');
    channel.publish('amq.topic', 'kept.by.binding', Buffer.from('bound'));
    channel.sendToQueue('kept-bound', Buffer.from('direct'));
    await channel.waitForConfirms();
    assert.deepEqual(await consumeAll('kept-bound'), ['bound', 'direct']);
    assert.deepEqual(await readStored(server, 'kept-bound', 'g3'), ['direct']);
  });

  it('an unroutable publish is not stored A27', async () => {
    channel.sendToQueue('kept-nowhere', Buffer.from('lost'));
    await channel.waitForConfirms();
    assert.ok(!(await admin.listTopics()).includes('kept-nowhere'));
  });

  it('purging a queue leaves the stream to other readers X14', async () => {
    await channel.assertQueue('kept-purged', { durable: true });
    channel.sendToQueue('kept-purged', Buffer.from('before the purge'));
    await channel.waitForConfirms();
    assert.equal((await channel.purgeQueue('kept-purged')).messageCount, 1);
    assert.deepEqual(await readStored(server, 'kept-purged', 'g4'), ['before the purge']);
  });
});
