/**
 * A message that its consumer cannot digest: refused again and again, or fatal to each consumer
 * that gets it. It turns in circles without holding up anyone else, and is neither lost nor
 * doubled.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import { size } from '../clients/tier.ts';
import { overloaded } from './overloaded.ts';
import { mqttConnect, mqttPublish, mqttSubscribe, RawClient } from './raw.ts';
import { watched } from './server.ts';

const MIB = 1 << 20;
const ROUNDS = size(5, 50);
const CRASHES = size(30, 300);
const GROWTH_BYTES_MAX = 48 * MIB;

describe('a poison message', () => {
  const besieged = overloaded();

  it('that AMQP consumers put back for ever holds up nobody R41', async () => {
    const connection = await amqp.connect(`amqp://${besieged.server.address('amqp')}`);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('poison', { durable: true });
    channel.sendToQueue('poison', Buffer.from('poison'), { persistent: true });
    await channel.waitForConfirms();
    let refusals = 0;
    const { consumerTag } = await channel.consume('poison', (message) => {
      if (message === null) return;
      refusals++;
      channel.nack(message, false, true);
    });
    const { mostBytes } = await watched(besieged.server, async () => {
      for (let round = 0; round < ROUNDS; round++) await besieged.witness.roundTrips();
    });
    assert.ok(refusals > ROUNDS, `${refusals} refusals`);
    assert.ok(mostBytes < GROWTH_BYTES_MAX, `${mostBytes} bytes more were alive`);
    await channel.cancel(consumerTag);
    await channel.recover();
    const left = await channel.get('poison', { noAck: true });
    assert.ok(left !== false && left.fields.redelivered, 'it is there, as one that came before');
    assert.equal(await channel.get('poison'), false, 'and there is one of it');
    await connection.close();
  });

  it('leaves a queue with a delivery limit for the dead letters R41', async () => {
    const connection = await amqp.connect(`amqp://${besieged.server.address('amqp')}`);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('dead-poison', { durable: true });
    await channel.assertQueue('limited', {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-delivery-limit': 3,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': 'dead-poison',
      },
    });
    let deliveries = 0;
    await channel.consume('limited', (message) => {
      if (message === null) return;
      deliveries++;
      channel.nack(message, false, true);
    });
    const dead = new Promise<amqp.ConsumeMessage>((resolve) => {
      void channel.consume('dead-poison', (message) => message && resolve(message));
    });
    channel.sendToQueue('limited', Buffer.from('poison'), { persistent: true });
    assert.equal(String((await dead).content), 'poison');
    assert.equal(deliveries, 4, 'the first one and three more');
    await connection.close();
    await besieged.witness.roundTrips();
  });

  it('that ends each AMQP consumer stays in its queue, once R41', async () => {
    const setup = await amqp.connect(`amqp://${besieged.server.address('amqp')}`);
    const channel = await setup.createConfirmChannel();
    await channel.assertQueue('fatal', { durable: true });
    channel.sendToQueue('fatal', Buffer.from('fatal'), { persistent: true });
    await channel.waitForConfirms();
    for (let crash = 0; crash < CRASHES; crash++) {
      const victim = await amqp.connect(`amqp://${besieged.server.address('amqp')}?heartbeat=0`);
      victim.on('error', () => {});
      const own = await victim.createChannel();
      await new Promise<void>((resolve) => {
        void own.consume('fatal', () => resolve());
      });
      const { stream } = (victim as unknown as { connection: { stream: RawClient['socket'] } })
        .connection;
      stream.destroy();
    }
    await besieged.witness.roundTrips();
    const last = await amqp.connect(`amqp://${besieged.server.address('amqp')}`);
    const end = await last.createChannel();
    const got = await new Promise<amqp.ConsumeMessage | null>((resolve) => {
      void end.consume('fatal', resolve, { noAck: true });
    });
    assert.ok(got?.fields.redelivered);
    assert.equal((await channel.checkQueue('fatal')).messageCount, 0, 'there was one of it');
    await last.close();
    await setup.close();
  });

  it('that ends each MQTT client comes again, once per connection R41', async () => {
    const publisher = await RawClient.open(besieged.server.port('mqtt'));
    await publisher.ask(mqttConnect('poisoner', true));
    const first = await RawClient.open(besieged.server.port('mqtt'));
    await first.ask(mqttConnect('victim', false));
    await first.ask(mqttSubscribe('poison-mqtt/x', 1));
    const packet = mqttPublish('poison-mqtt/x', Buffer.from('poison'), 7);
    const delivered = new Promise((resolve) => first.socket.once('data', resolve));
    await publisher.ask(packet);
    await delivered;
    first.destroy();
    for (let crash = 0; crash < CRASHES; crash++) {
      const victim = await RawClient.open(besieged.server.port('mqtt'));
      // CONNACK, and the message again; it is never acknowledged.
      await victim.send(mqttConnect('victim', false));
      const whole = 4 + packet.length;
      while (victim.received < whole) {
        await new Promise((resolve) => victim.socket.once('data', resolve));
      }
      assert.equal(victim.received, whole, 'one message came');
      victim.destroy();
      await victim.closed;
    }
    publisher.destroy();
    await besieged.witness.roundTrips();
  });

  it('that stops a Kafka group at its offset leaves other groups alone R41', async () => {
    const kafka = new Kafka({
      brokers: [besieged.server.address('kafka')],
      logLevel: logLevel.NOTHING,
    });
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({
      topic: 'poison-kafka',
      messages: [{ value: 'poison' }, { value: 'good' }],
    });
    await producer.disconnect();
    const read = async (groupId: string, eat: (value: string) => void, enough: () => boolean) => {
      const consumer = kafka.consumer({ groupId, retry: { retries: 1, initialRetryTime: 50 } });
      await consumer.connect();
      await consumer.subscribe({ topic: 'poison-kafka', fromBeginning: true });
      const { promise, resolve } = Promise.withResolvers<void>();
      consumer.on(consumer.events.CRASH, () => resolve());
      await consumer.run({
        eachMessage: async ({ message }) => {
          eat(String(message.value));
          if (enough()) resolve();
        },
      });
      await promise;
      await consumer.disconnect();
    };
    let failures = 0;
    const sick = read(
      'sick',
      () => {
        failures++;
        throw new Error('indigestible');
      },
      () => false,
    );
    const values: string[] = [];
    await read(
      'sound',
      (value) => values.push(value),
      () => values.length === 2,
    );
    assert.deepEqual(values, ['poison', 'good']);
    await sick;
    assert.ok(failures > 0);
    await besieged.witness.roundTrips();
  });
});
