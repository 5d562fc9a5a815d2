/**
 * A flipped bit in a data file: found by its checksum, reported by stream and offset, never served;
 * everything around it is.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { BrokerError } from '#kit';
import { type RunningServer, startServer } from '#server';

const STREAM = 'damaged';
const VALUES = ['first-value', 'second-value', 'third-value'];

let directory: string;
let server: RunningServer;

const start = (): Promise<RunningServer> =>
  startServer({ freePorts: true, set: { 'server.data-dir': directory } });

const sessionClient = (clean: boolean): Promise<mqtt.MqttClient> =>
  mqtt.connectAsync(`mqtt://127.0.0.1:${server.port('mqtt')}`, {
    clientId: 'durable',
    clean,
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 3600 },
    reconnectPeriod: 0,
  });

/** Flips one bit of every copy of `text` in the files below the folder. @returns how many */
function flip(text: string): number {
  let flipped = 0;
  for (const name of readdirSync(directory, { recursive: true }) as string[]) {
    const file = path.join(directory, name);
    if (!statSync(file).isFile() || name.includes('sqlite')) continue;
    const bytes = readFileSync(file);
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
      bytes[at + 3]! ^= 0x10;
      flipped++;
    }
    writeFileSync(file, bytes);
  }
  return flipped;
}

describe('a flipped bit in a data file R34', () => {
  before(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'damage-'));
    server = await start();
    const session = await sessionClient(false);
    await session.subscribeAsync(STREAM, { qos: 1 });
    await session.endAsync();
    const connection = await amqp.connect(`amqp://127.0.0.1:${server.port('amqp')}`);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(STREAM, { durable: true });
    // One by one, so that each is a batch and an entry of its own.
    for (const value of VALUES) {
      channel.sendToQueue(STREAM, Buffer.from(value), { persistent: true });
      await channel.waitForConfirms();
    }
    await connection.close();
    await server.close();
    assert.ok(flip(VALUES[1]!) >= 1);
    server = await start();
  });

  after(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });

  it('is an error of the read that meets it, which names the range', async () => {
    const partition = server.broker.streams.get(STREAM)!.partitions[0]!;
    await assert.rejects(
      async () => partition.readBatches(1, 1),
      (error) => {
        assert.ok(error instanceof BrokerError);
        assert.equal(error.code, 'damaged');
        assert.deepEqual([error.details['from'], error.details['to']], [1, 2]);
        return true;
      },
    );
  });

  it('does not keep a Kafka reader from what lies before and after it', async () => {
    const kafka = new Kafka({
      brokers: [`127.0.0.1:${server.port('kafka')}`],
      logLevel: logLevel.NOTHING,
    });
    const consumer = kafka.consumer({ groupId: 'after-damage', retry: { retries: 2 } });
    await consumer.connect();
    await consumer.subscribe({ topic: STREAM, fromBeginning: true });
    const values: string[] = [];
    let told = '';
    const { promise: crashed, resolve: crash } = Promise.withResolvers<void>();
    const { promise: third, resolve: gotThird } = Promise.withResolvers<void>();
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      told = String(payload.error);
      crash();
    });
    await consumer.run({
      eachMessage: async ({ message }) => {
        values.push(String(message.value));
        if (message.offset === '2') gotThird();
      },
    });
    await crashed;
    assert.match(told, /corrupt|crc|checksum/i);
    assert.deepEqual(values, [VALUES[0]]);
    await consumer.disconnect();
    const again = kafka.consumer({ groupId: 'past-damage' });
    await again.connect();
    await again.subscribe({ topic: STREAM, fromBeginning: true });
    await again.run({
      eachMessage: async ({ message }) => {
        if (message.offset === '2') gotThird();
      },
    });
    again.seek({ topic: STREAM, partition: 0, offset: '2' });
    await third;
    await again.disconnect();
  });

  it('is left out by a queue and a durable session, which go on', async () => {
    const connection = await amqp.connect(`amqp://127.0.0.1:${server.port('amqp')}`);
    const channel = await connection.createChannel();
    const fromQueue: string[] = [];
    const { promise: last, resolve } = Promise.withResolvers<void>();
    await channel.consume(STREAM, (delivery) => {
      fromQueue.push(String(delivery?.content));
      if (fromQueue.length === 2) resolve();
    });
    await last;
    assert.deepEqual(fromQueue, [VALUES[0], VALUES[2]]);
    await connection.close();

    const options = {
      clientId: 'durable',
      clean: false,
      protocolVersion: 5,
      properties: { sessionExpiryInterval: 3600 },
      reconnectPeriod: 0,
    } as const;
    const client = mqtt.connect(`mqtt://127.0.0.1:${server.port('mqtt')}`, options);
    const fromSession: string[] = [];
    await new Promise<void>((done) => {
      client.on('message', (_, payload) => {
        fromSession.push(String(payload));
        if (fromSession.length === 2) done();
      });
    });
    assert.deepEqual(fromSession, [VALUES[0], VALUES[2]]);
    await client.endAsync();
  });
});
