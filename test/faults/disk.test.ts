/**
 * A disk that fails or fills under a running server: every protocol says so in its own way, what
 * was committed is still served, and nothing that was refused appears later.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { connect as connectNats } from 'nats';
import { realRandom } from '#kit';
import { type RunningServer, startServer } from '#server';
import { VirtualFiles } from '#storage';

const TOPIC = 'faults';
const WAL_BYTES = 4 << 20;

describe('disk', () => {
  let files: VirtualFiles;
  let server: RunningServer;
  let directory: string;
  let ends: (() => Promise<unknown>)[];

  beforeEach(async () => {
    files = new VirtualFiles({ random: realRandom });
    directory = mkdtempSync(path.join(tmpdir(), 'faults-'));
    server = await startServer({
      freePorts: true,
      files,
      set: {
        'server.data-dir': directory,
        'storage.wal-file-size': WAL_BYTES,
        'server.message-max': 1 << 20,
      },
    });
    ends = [];
  });

  afterEach(async () => {
    files.fault = null;
    files.capacityBytes = Number.POSITIVE_INFINITY;
    for (const end of ends.reverse()) await end();
    await server.close();
    rmSync(directory, { recursive: true });
  });

  async function mqttClient(): Promise<mqtt.MqttClient> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port('mqtt')}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
    });
    // The library hands a refused publish to its caller and to this event.
    client.on('error', () => {});
    ends.push(() => client.endAsync(true));
    return client;
  }

  function kafkaClient(): Kafka {
    return new Kafka({
      brokers: [`127.0.0.1:${server.port('kafka')}`],
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    });
  }

  async function kafkaSend(value: string): Promise<unknown> {
    const producer = kafkaClient().producer({ retry: { retries: 0 } });
    await producer.connect();
    try {
      return await producer.send({ topic: TOPIC, messages: [{ value }], acks: -1 });
    } finally {
      await producer.disconnect();
    }
  }

  /** All values that Kafka's readers get from the start of the topic. */
  async function kafkaRead(count: number): Promise<string[]> {
    const consumer = kafkaClient().consumer({ groupId: `g${Math.random()}` });
    const values: string[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      consumer
        .run({
          eachMessage: async ({ message }) => {
            values.push(String(message.value));
            if (values.length === count) resolve();
          },
        })
        .catch(reject);
    });
    await consumer.disconnect();
    return values;
  }

  async function amqpConfirm(value: string): Promise<amqp.ConfirmChannel> {
    const connection = await amqp.connect(`amqp://127.0.0.1:${server.port('amqp')}`);
    connection.on('error', () => {});
    ends.push(() => connection.close().catch(() => {}));
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    channel.sendToQueue(TOPIC, Buffer.from(value), { persistent: true });
    await channel.waitForConfirms();
    return channel;
  }

  /** Commits one message by each way in, into one stream. */
  async function commitByAll(): Promise<string[]> {
    const client = await mqttClient();
    await client.publishAsync(TOPIC, 'mqtt', { qos: 1 });
    await kafkaSend('kafka');
    const connection = await amqp.connect(`amqp://127.0.0.1:${server.port('amqp')}`);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(TOPIC, { durable: true });
    channel.sendToQueue(TOPIC, Buffer.from('amqp'), { persistent: true });
    await channel.waitForConfirms();
    await connection.close();
    return ['mqtt', 'kafka', 'amqp'];
  }

  describe('a failed sync', () => {
    it('is told on every protocol, committed data is served, health says so R31 X62', async () => {
      const committed = await commitByAll();
      const client = await mqttClient();
      files.fault = () => {
        throw Object.assign(new Error('input/output error'), { code: 'EIO' });
      };
      await assert.rejects(client.publishAsync(TOPIC, 'lost', { qos: 1 }));
      await assert.rejects(client.publishAsync(TOPIC, 'lost', { qos: 2 }));
      await assert.rejects(kafkaSend('lost'));
      await assert.rejects(amqpConfirm('lost'));
      const nats = await connectNats({ servers: `127.0.0.1:${server.port('nats')}` });
      ends.push(() => nats.close());
      const told = (async () => {
        for await (const status of nats.status()) {
          if (String(status.type) === 'error') return String(status.data);
        }
        return 'closed without a word';
      })();
      nats.publish(TOPIC, 'lost');
      assert.match(await told, /PERMISSIONS_VIOLATION|storage/i);
      assert.deepEqual(await kafkaRead(committed.length), committed);
      const health = await fetch(`http://127.0.0.1:${server.port('admin')}/health/ready`);
      assert.equal(health.status, 503);
      assert.match(await health.text(), /failed/);
      const live = await fetch(`http://127.0.0.1:${server.port('admin')}/health/live`);
      assert.equal(live.status, 200);
    });
  });

  describe('a full disk', () => {
    it('refuses on every protocol, serves reads, and goes on when space returns O18', async () => {
      const committed = await commitByAll();
      const client = await mqttClient();
      files.capacityBytes = 0;
      const filler = Buffer.alloc(500_000, 'x');
      let stored = 0;
      await assert.rejects(async () => {
        for (; stored < 100; stored++) await client.publishAsync('filler', filler, { qos: 1 });
      });
      await assert.rejects(client.publishAsync(TOPIC, 'refused', { qos: 1 }));
      await assert.rejects(kafkaSend('refused'));
      assert.deepEqual(await kafkaRead(committed.length), committed);
      const health = await fetch(`http://127.0.0.1:${server.port('admin')}/health/ready`);
      assert.equal(health.status, 503);
      const recovered = new Promise<void>((resolve) => {
        const end = server.broker.onHealth((state) => {
          if (state !== 'ok') return;
          end();
          resolve();
        });
      });
      files.capacityBytes = Number.POSITIVE_INFINITY;
      await recovered;
      const fresh = await mqttClient();
      await fresh.publishAsync(TOPIC, 'again', { qos: 1 });
      assert.deepEqual(await kafkaRead(committed.length + 1), [...committed, 'again']);
    });
  });
});
