/** Well-behaved clients of all four protocols that must not notice what others do to the server. */
import amqp, { type ChannelModel, type ConfirmChannel } from 'amqplib';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import mqtt, { type MqttClient } from 'mqtt';
import { connect, type NatsConnection } from 'nats';
import { Inbox } from '../clients/inbox.ts';

/** Whatever tells where it listens. */
export interface Addresses {
  address(listener: 'mqtt' | 'kafka' | 'nats' | 'amqp'): string;
}

export class Witness {
  #mqtt!: MqttClient;
  #nats!: NatsConnection;
  #amqp!: ChannelModel;
  #channel!: ConfirmChannel;
  #admin!: Admin;
  readonly #mqttInbox = new Inbox<string>();
  readonly #lost = Promise.withResolvers<never>();
  #closing = false;
  #trips = 0;

  static async connect(server: Addresses): Promise<Witness> {
    const witness = new Witness();
    await witness.#connect(server);
    return witness;
  }

  /** One round trip on each connection, all of them opened long before. */
  roundTrips(): Promise<void> {
    return Promise.race([this.#roundTrips(), this.#lost.promise]);
  }

  async #roundTrips(): Promise<void> {
    const body = `trip ${++this.#trips}`;
    await this.#mqtt.publishAsync('witness', body, { qos: 1 });
    while ((await this.#mqttInbox.next()) !== body);
    await this.#nats.flush();
    this.#channel.sendToQueue('witness-queue', Buffer.from(body));
    await this.#channel.waitForConfirms();
    const got = await this.#channel.get('witness-queue', { noAck: true });
    if (got === false || String(got.content) !== body) throw new Error('AMQP lost a message');
    await this.#admin.fetchTopicMetadata({ topics: ['witness'] });
  }

  #loses(protocol: string): void {
    if (!this.#closing) this.#lost.reject(new Error(`the ${protocol} connection was lost`));
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#mqtt.endAsync(true);
    await this.#nats.close();
    await this.#amqp.close();
    await this.#admin.disconnect();
  }

  async #connect(server: Addresses): Promise<void> {
    // Who waits hears of it; nobody waits while nothing is asked.
    this.#lost.promise.catch(() => {});
    const options = { reconnectPeriod: 0 };
    this.#mqtt = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, options);
    this.#mqtt.on('message', (_topic, payload) => this.#mqttInbox.put(String(payload)));
    this.#mqtt.on('close', () => this.#loses('MQTT'));
    await this.#mqtt.subscribeAsync('witness', { qos: 1 });
    this.#nats = await connect({ servers: server.address('nats'), reconnect: false });
    void this.#nats.closed().then(() => this.#loses('NATS'));
    this.#amqp = await amqp.connect(`amqp://${server.address('amqp')}`);
    this.#amqp.on('error', () => {});
    this.#amqp.on('close', () => this.#loses('AMQP'));
    this.#channel = await this.#amqp.createConfirmChannel();
    await this.#channel.assertQueue('witness-queue');
    const brokers = [server.address('kafka')];
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 0 } });
    this.#admin = kafka.admin();
    await this.#admin.connect();
    this.#admin.on('admin.disconnect', () => this.#loses('Kafka'));
  }
}
