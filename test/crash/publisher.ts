/**
 * Publishers under load, one per protocol: each sends numbered messages as fast as it may, never
 * again, and notes which were acknowledged. They end when their connection does.
 */
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { connect } from 'nats';
import { HOST, type Server } from '../clients/server.ts';

export const CRASH_PROTOCOLS = ['mqtt', 'kafka', 'amqp', 'nats'] as const;
export type CrashProtocol = (typeof CRASH_PROTOCOLS)[number];

export const streamOf = (protocol: CrashProtocol) => `crash-${protocol}`;

/** What was sent to one stream over all rounds, in order, and what of it was acknowledged. */
export class Ledger {
  readonly sent: string[] = [];
  readonly acknowledged = new Set<string>();
  /** Called after each acknowledgement. */
  onAcknowledged: () => void = () => {};

  next(): string {
    const body = String(this.sent.length);
    this.sent.push(body);
    return body;
  }

  confirm(body: string): void {
    this.acknowledged.add(body);
    this.onAcknowledged();
  }
}

/** Sends until its connection ends, and resolves then. */
export type Publisher = (server: Server, ledger: Ledger) => Promise<void>;

const WINDOW = 100;

export const publishers: Record<CrashProtocol, Publisher> = {
  async mqtt(server, ledger) {
    const url = `mqtt://${server.address('mqtt')}`;
    const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
    client.on('error', () => {});
    const ended = new Promise<void>((resolve) => client.once('close', () => resolve()));
    const send = () => {
      const body = ledger.next();
      client.publish(streamOf('mqtt'), body, { qos: 1 }, (error) => {
        if (error != null || !client.connected) return;
        ledger.confirm(body);
        send();
      });
    };
    for (let n = 0; n < WINDOW; n++) send();
    await ended;
    client.end(true);
  },

  async kafka(server, ledger) {
    const retry = { retries: 0 };
    const brokers = [server.address('kafka')];
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry, requestTimeout: 10_000 });
    const producer = kafka.producer({ retry });
    await producer.connect();
    try {
      for (;;) {
        const messages = Array.from({ length: 20 }, () => ({ value: ledger.next() }));
        await producer.send({ topic: streamOf('kafka'), acks: -1, messages });
        for (const { value } of messages) ledger.confirm(value);
      }
    } catch {
      // The server is gone: what was not answered counts as not acknowledged.
    } finally {
      void producer.disconnect().catch(() => {}); // Nobody is there to answer.
    }
  },

  async amqp(server, ledger) {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    connection.on('error', () => {});
    const ended = new Promise<void>((resolve) => connection.once('close', () => resolve()));
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    await channel.assertQueue(streamOf('amqp'), { durable: true });
    let open = true;
    const send = () => {
      if (!open) return;
      const body = ledger.next();
      channel.sendToQueue(streamOf('amqp'), Buffer.from(body), { persistent: true }, (error) => {
        if (error !== null) return;
        ledger.confirm(body);
        send();
      });
    };
    void ended.then(() => {
      open = false;
    });
    for (let n = 0; n < WINDOW; n++) send();
    await ended;
  },

  /** NATS core has no acknowledgement: it adds to the load, and to what must keep its order. */
  async nats(server, ledger) {
    const client = await connect({ servers: `${HOST}:${server.ports.nats}`, reconnect: false });
    const ended = client.closed();
    while (!client.isClosed()) {
      for (let n = 0; n < WINDOW; n++) client.publish(streamOf('nats'), ledger.next());
      // A flush that the end of the connection overtakes may never be answered by the library.
      await Promise.race([client.flush().catch(() => {}), ended]);
    }
    await ended;
  },
};
