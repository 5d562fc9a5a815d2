/**
 * What comes and goes all the time: connections of all protocols, wills, sessions that expire,
 * queues that fill and empty, streams and groups that are made and removed. Each is a step that is
 * repeated at its own pace; a step that fails is counted, not hidden.
 */
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { connect } from 'nats';
import { HOST, type Server } from '../clients/server.ts';
import { urlOf } from '../load/mqtt-client.ts';
import { createStream, removeStream } from '../load/streams.ts';

/** Names that come back, so that what is kept for a name is bounded. */
const NAMES = 20;
const SESSION_SEC = 10;
const BACKLOG = 1_000;

interface Step {
  readonly name: string;
  readonly everyMs: number;
  run(server: Server, turn: number): Promise<void>;
}

const STEPS: readonly Step[] = [
  {
    name: 'MQTT connection with a will, cut off',
    everyMs: 1_000,
    async run(server, turn) {
      const client = await mqtt.connectAsync(urlOf(server), {
        clientId: `churn-${turn % NAMES}`,
        reconnectPeriod: 0,
        will: { topic: 'soak-will', payload: Buffer.from(`${turn}`), qos: 1, retain: false },
      });
      await client.publishAsync('soak-churn', `${turn}`, { qos: 1 });
      await client.publishAsync('$delayed/2/soak-delayed', `${turn}`, { qos: 1 });
      client.stream.destroy();
      await client.endAsync(true);
    },
  },
  {
    name: 'MQTT session that is left to expire',
    everyMs: 2_000,
    async run(server, turn) {
      const client = await mqtt.connectAsync(urlOf(server), {
        protocolVersion: 5,
        clientId: `leaves-${turn % NAMES}`,
        clean: false,
        properties: { sessionExpiryInterval: SESSION_SEC },
        reconnectPeriod: 0,
      });
      await client.subscribeAsync(['soak-churn', 'soak-will', `soak/${turn % NAMES}/+`], {
        qos: 2,
      });
      await client.endAsync();
    },
  },
  {
    name: 'NATS request and reply',
    everyMs: 1_000,
    async run(server, turn) {
      const client = await connect({ servers: `${HOST}:${server.ports.nats}`, reconnect: false });
      const service = client.subscribe('soak.echo', { queue: 'echo', max: 1 });
      const served = (async () => {
        for await (const request of service) request.respond(request.data);
      })();
      await client.flush();
      await client.request('soak.echo', `${turn}`, { timeout: 5_000 });
      await served;
      await client.close();
    },
  },
  {
    name: 'AMQP connection with a queue of its own',
    everyMs: 1_500,
    async run(server, turn) {
      const connection = await openAmqp(server);
      const channel = await connection.createConfirmChannel();
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, 'amq.topic', `soak.${turn % NAMES}.#`);
      const { promise, resolve } = Promise.withResolvers<void>();
      await channel.consume(queue, () => resolve(), { noAck: true });
      channel.publish('amq.topic', `soak.${turn % NAMES}.x`, Buffer.from(`${turn}`));
      await promise;
      await connection.close();
    },
  },
  {
    name: 'AMQP backlog, filled and emptied',
    everyMs: 15_000,
    async run(server) {
      const connection = await openAmqp(server);
      const channel = await connection.createConfirmChannel();
      const name = 'soak-backlog';
      await channel.assertQueue(name, { durable: true });
      const body = Buffer.alloc(500, 'x');
      for (let n = 0; n < BACKLOG; n++) channel.sendToQueue(name, body, { persistent: true });
      await channel.waitForConfirms();
      await channel.prefetch(100);
      const { promise, resolve } = Promise.withResolvers<void>();
      let taken = 0;
      await channel.consume(name, (message) => {
        if (message === null) return;
        channel.ack(message);
        if (++taken === BACKLOG) resolve();
      });
      await promise;
      await connection.close();
    },
  },
  {
    name: 'stream that is made, written and removed',
    everyMs: 5_000,
    async run(server, turn) {
      const name = `soak-passing-${turn}`;
      await createStream(server, { name, partitions: 2 });
      const client = await mqtt.connectAsync(urlOf(server), { reconnectPeriod: 0 });
      await client.publishAsync(name, Buffer.alloc(1000, 'x'), { qos: 1 });
      await client.endAsync();
      await removeStream(server, name);
    },
  },
  {
    name: 'Kafka group that comes and goes',
    everyMs: 10_000,
    async run(server, turn) {
      const brokers = [server.address('kafka')];
      const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING });
      const consumer = kafka.consumer({ groupId: `soak-${turn % NAMES}`, maxWaitTimeInMs: 100 });
      await consumer.connect();
      await consumer.subscribe({ topic: 'crash-kafka', fromBeginning: false });
      const { promise, resolve } = Promise.withResolvers<void>();
      await consumer.run({ eachMessage: async () => resolve() });
      await promise;
      await consumer.disconnect();
    },
  },
];

export class Churn {
  readonly failures: string[] = [];
  readonly counts = new Map<string, number>();
  #running: Promise<void>[] = [];
  #stop = new AbortController();

  begin(server: Server): void {
    this.#running = STEPS.map((step) => this.#repeat(server, step));
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #repeat(server: Server, step: Step): Promise<void> {
    const { signal } = this.#stop;
    for (let turn = 0; !signal.aborted; turn++) {
      const dueAt = performance.now() + step.everyMs;
      try {
        await step.run(server, turn);
        this.counts.set(step.name, turn + 1);
      } catch (error) {
        this.failures.push(`${step.name}: ${String(error)}`);
      }
      await pauseUntil(dueAt, signal);
    }
  }
}

/** Its end is an error of the step that uses it, and no other. */
async function openAmqp(server: Server): Promise<amqp.ChannelModel> {
  const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
  connection.on('error', () => {});
  return connection;
}

function pauseUntil(dueAt: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, dueAt - performance.now()));
    signal.addEventListener('abort', done);
  });
}
