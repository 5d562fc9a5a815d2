/** Publishers and readers of the truth table of flat names, one connection per protocol. */
import amqp, { type ChannelModel, type ConfirmChannel, type ConsumeMessage } from 'amqplib';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import mqtt, { type MqttClient } from 'mqtt';
import { connect, type NatsConnection } from 'nats';
import { Inbox } from '../clients/inbox.ts';
import type { Server } from '../clients/server.ts';

/** `amqp`: routing keys on amq.topic. `queue`: the default exchange and a queue of that name. */
export type Party = 'mqtt' | 'kafka' | 'nats' | 'amqp' | 'queue';

export interface Shown {
  readonly name: string;
  readonly body: string;
}

export interface Reader {
  readonly inbox: Inbox<Shown>;
  end(): Promise<unknown>;
}

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

export class FlatParties {
  readonly #server: Server;
  readonly #mqtt: MqttClient;
  readonly #nats: NatsConnection;
  readonly #amqp: ChannelModel;
  readonly #channel: ConfirmChannel;
  readonly #kafka: Kafka;
  readonly #producer: Producer;

  private constructor(
    server: Server,
    clients: [MqttClient, NatsConnection, ChannelModel, ConfirmChannel, Kafka, Producer],
  ) {
    this.#server = server;
    [this.#mqtt, this.#nats, this.#amqp, this.#channel, this.#kafka, this.#producer] = clients;
  }

  static async connect(server: Server): Promise<FlatParties> {
    const mqttClient = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`);
    const natsClient = await connect({ servers: server.address('nats') });
    const amqpClient = await amqp.connect(`amqp://${server.address('amqp')}`);
    const channel = await amqpClient.createConfirmChannel();
    const brokers = [server.address('kafka')];
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 3 } });
    const producer = kafka.producer();
    await producer.connect();
    return new FlatParties(server, [mqttClient, natsClient, amqpClient, channel, kafka, producer]);
  }

  /** A reader of `reads` and of the flat name `marker`, which listens when this resolves. */
  async read(party: Party, reads: string, marker: string): Promise<Reader> {
    const inbox = new Inbox<Shown>();
    switch (party) {
      case 'mqtt':
        return this.#readMqtt(inbox, [reads, marker]);
      case 'nats':
        return this.#readNats(inbox, [reads, marker]);
      case 'amqp':
      case 'queue':
        return this.#readAmqp(inbox, [reads, marker], party === 'queue');
      case 'kafka':
        return this.#readKafka(inbox, [reads, marker]);
    }
  }

  async publish(party: Party, name: string, body: string): Promise<void> {
    switch (party) {
      case 'mqtt':
        await this.#mqtt.publishAsync(name, body, { qos: 1 });
        return;
      case 'nats':
        this.#nats.publish(name, body);
        await this.#nats.flush();
        return;
      case 'kafka':
        await this.#producer.send({ topic: name, messages: [{ value: body }] });
        return;
      case 'amqp':
        this.#channel.publish('amq.topic', name, Buffer.from(body));
        await this.#channel.waitForConfirms();
        return;
      case 'queue':
        await this.#channel.assertQueue(name, { durable: true });
        this.#channel.sendToQueue(name, Buffer.from(body));
        await this.#channel.waitForConfirms();
    }
  }

  /** A marker has one level: the same place in every protocol, whoever publishes it. */
  async publishMarker(party: Party, marker: string): Promise<void> {
    await this.publish(party, marker, 'marker');
  }

  async close(): Promise<void> {
    await this.#mqtt.endAsync(true);
    await this.#nats.close();
    await this.#amqp.close();
    await this.#producer.disconnect();
  }

  /** A connection of its own: one client gets a message once for all its overlapping filters. */
  async #readMqtt(inbox: Inbox<Shown>, filters: string[]): Promise<Reader> {
    const client = await mqtt.connectAsync(`mqtt://${this.#server.address('mqtt')}`);
    client.on('message', (name, body) => inbox.put({ name, body: String(body) }));
    await client.subscribeAsync(filters, { qos: 1 });
    return { inbox, end: () => client.endAsync(true) };
  }

  async #readNats(inbox: Inbox<Shown>, subjects: string[]): Promise<Reader> {
    const client = await connect({ servers: this.#server.address('nats') });
    for (const subject of subjects) {
      client.subscribe(subject, {
        callback: (_error, message) => inbox.put({ name: message.subject, body: message.string() }),
      });
    }
    await client.flush();
    return { inbox, end: () => client.close() };
  }

  async #readAmqp(inbox: Inbox<Shown>, names: string[], queues: boolean): Promise<Reader> {
    const channel = await this.#amqp.createChannel();
    const put = (message: ConsumeMessage | null) => {
      if (message === null) return;
      const { routingKey } = message.fields;
      inbox.put({ name: routingKey, body: String(message.content) });
    };
    if (queues) {
      for (const name of names) {
        await channel.assertQueue(name, { durable: true });
        await channel.consume(name, put, { noAck: true });
      }
    } else {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      for (const name of names) await channel.bindQueue(queue, 'amq.topic', name);
      await channel.consume(queue, put, { noAck: true });
    }
    return { inbox, end: () => channel.close() };
  }

  async #readKafka(inbox: Inbox<Shown>, topics: string[]): Promise<Reader> {
    const admin = this.#kafka.admin();
    await admin.connect();
    for (const topic of topics) {
      await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] });
    }
    await admin.disconnect();
    const consumer = this.#kafka.consumer({ groupId: `g-${topics[0]}`, maxWaitTimeInMs: 200 });
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ topic, message }) =>
        inbox.put({ name: topic, body: String(message.value) }),
    });
    return { inbox, end: () => consumer.disconnect() };
  }
}
