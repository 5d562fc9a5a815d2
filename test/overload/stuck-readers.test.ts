/**
 * A client of each protocol that stops reading while others publish to it at full speed: what waits
 * for it is bounded, and well-behaved clients of all protocols go on.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import { deadline } from '../clients/program.ts';
import { size } from '../clients/tier.ts';
import { overloaded } from './overloaded.ts';
import { kafkaFetch, mqttConnect, mqttPublish, mqttSubscribe, type RawClient } from './raw.ts';
import { watched } from './server.ts';

const MIB = 1 << 20;
const MESSAGE = Buffer.alloc(64 << 10, 'x');
/** Far more than any bound of the server, so that a missing one shows. */
const VOLUME_BYTES = size(144, 640) * MIB;
const MESSAGES = VOLUME_BYTES / MESSAGE.length;
/** What may be alive beyond the start: open batches (32 MiB) and the bounds above, and garbage. */
const GROWTH_BYTES_MAX = 112 * MIB;
/** The witness makes its round after so many messages. */
const ROUND = MESSAGES / 4;
const CLOSE_TIMEOUT_MS = 30_000;

describe('a stuck reader', () => {
  const besieged = overloaded();

  /** Publishes all, with rounds of the witness between, and says how much memory that took. */
  async function flood(publish: (index: number) => Promise<unknown>): Promise<void> {
    const { mostBytes, looks } = await watched(besieged.server, async () => {
      for (let index = 0; index < MESSAGES; index++) {
        await publish(index);
        if (index % ROUND === 0) await besieged.witness.roundTrips();
      }
    });
    assert.ok(looks > 0);
    assert.ok(mostBytes < GROWTH_BYTES_MAX, `${mostBytes} bytes more were alive`);
  }

  it('of NATS holds its publishers up and is closed as a slow consumer R41 X32 N15', async () => {
    const reader = await besieged.open('nats');
    await reader.ask('CONNECT {"verbose":false}\r\nSUB stuck.nats 1\r\nPING\r\n');
    reader.stick();
    const publisher = await besieged.open('nats');
    await publisher.ask('CONNECT {"verbose":false}\r\nPING\r\n');
    const line = Buffer.from(`PUB stuck.nats ${MESSAGE.length}\r\n`);
    const frame = Buffer.concat([line, MESSAGE, Buffer.from('\r\n')]);
    await flood(() => publisher.send(frame));
    assert.match(String(await publisher.ask('PING\r\n')), /PONG/, 'the publisher was not cut off');
    reader.socket.resume();
    await deadline(reader.closed, CLOSE_TIMEOUT_MS, () => 'the slow consumer is still there');
    assert.equal(await besieged.server.counter('robustmq_nats_slow_consumers_total'), 1);
  });

  it('of MQTT loses what is QoS 0 beyond its bound, and keeps its connection R41 X32', async () => {
    const reader = await besieged.open('mqtt');
    await reader.ask(mqttConnect('stuck-0', true));
    await reader.ask(mqttSubscribe('stuck/mqtt', 0));
    reader.stick();
    const publisher = await besieged.open('mqtt');
    await publisher.ask(mqttConnect('flood-0', true));
    const packet = mqttPublish('stuck/mqtt', MESSAGE);
    await flood(() => publisher.send(packet));
    await publisher.ask(Buffer.of(0xc0, 0));
    assert.ok(
      (await besieged.server.counter('robustmq_mqtt_messages_dropped_total')) > 0,
      'drops are told',
    );
    reader.socket.resume();
    await reader.ask(Buffer.of(0xc0, 0));
    assert.equal(reader.socket.destroyed, false);
    assert.ok(reader.received < VOLUME_BYTES, `${reader.received} bytes came`);
  });

  it('of MQTT with QoS 1 stays within its window and loses nothing R41 X32', async () => {
    const reader = await besieged.open('mqtt');
    await reader.ask(mqttConnect('stuck-1', false));
    await reader.ask(mqttSubscribe('stuck-kept/topic', 1));
    reader.stick();
    const publisher = await besieged.open('mqtt');
    await publisher.ask(mqttConnect('flood-1', true));
    const acks = { bytes: 0 };
    publisher.socket.on('data', (chunk: Buffer) => {
      acks.bytes += chunk.length;
    });
    await flood((index) => publisher.send(mqttPublish('stuck-kept/topic', MESSAGE, index + 1)));
    await publisher.ask(Buffer.of(0xc0, 0));
    while (acks.bytes < 4 * MESSAGES) {
      await new Promise((resolve) => publisher.socket.once('data', resolve));
    }
    assert.equal(
      (await besieged.server.ask({}, 'stuck-kept')).stored,
      MESSAGES,
      'everything is stored once',
    );
  });

  it('of AMQP leaves the messages in its queue R41 X32', async () => {
    const connection = await amqp.connect(`amqp://${besieged.server.address('amqp')}`);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('stuck-amqp');
    const stuck = await amqp.connect(`amqp://${besieged.server.address('amqp')}?heartbeat=0`);
    stuck.on('error', () => {});
    const consumer = await stuck.createChannel();
    await consumer.consume('stuck-amqp', () => {}, { noAck: true });
    const { stream } = (stuck as unknown as { connection: { stream: RawClient['socket'] } })
      .connection;
    // The library reads when its stream is readable; nobody tells it any more.
    stream.removeAllListeners('readable');
    await flood(async (index) => {
      channel.sendToQueue('stuck-amqp', MESSAGE, { persistent: true });
      if (index % 16 === 15) await channel.waitForConfirms();
    });
    await channel.waitForConfirms();
    const { messageCount } = await channel.checkQueue('stuck-amqp');
    assert.ok(messageCount > MESSAGES / 2, `${messageCount} wait in the queue`);
    stream.destroy();
    await channel.deleteQueue('stuck-amqp');
    await connection.close();
  });

  it('of Kafka gets no answer prepared that it does not take R41 X32', async () => {
    const kafka = new Kafka({
      brokers: [besieged.server.address('kafka')],
      logLevel: logLevel.NOTHING,
    });
    const producer = kafka.producer();
    await producer.connect();
    const messages = Array.from({ length: 16 }, () => ({ value: MESSAGE }));
    for (let batch = 0; batch < 32; batch++)
      await producer.send({ topic: 'stuck-kafka', messages });
    await producer.disconnect();
    const reader = await besieged.open('kafka');
    reader.stick();
    await flood(async (index) => {
      // More and more requests, each for the most that a fetch gives.
      if (index < 400) reader.socket.write(kafkaFetch('stuck-kafka', index, 16 * MIB));
    });
  });
});
