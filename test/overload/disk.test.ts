/**
 * Publishers of all protocols at full speed over several connections into a disk that is slow, and
 * into one that is full: memory stays bounded, every protocol says it in its own way, and what was
 * acknowledged is stored exactly once.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { connect, type NatsConnection } from 'nats';
import { Program } from '../clients/program.ts';
import { pythonArguments, pythonEnvironment } from '../clients/python-scenarios.ts';
import { size } from '../clients/tier.ts';
import { python, ready } from '../clients/toolchains/index.ts';
import { overloaded } from './overloaded.ts';
import { OverloadedServer, watched } from './server.ts';

const MIB = 1 << 20;
const MESSAGE = Buffer.alloc(64 << 10, 'x');
const CONNECTIONS = 4;
/** Per connection; all together several times what may be in flight. */
const MESSAGES = size(448, 2048);
const GROWTH_BYTES_MAX = 112 * MIB;
const SLOW_MS = 100;

const { folder, missing } = await ready(python);

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

function kafkaOf(server: OverloadedServer): Kafka {
  return new Kafka({
    brokers: [server.address('kafka')],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    requestTimeout: 120_000,
  });
}

describe('a slow disk', () => {
  const besieged = overloaded();

  /** Publishes over several connections at once, while the witness makes its rounds. */
  async function overload(
    stream: string,
    publish: (n: number) => Promise<void>,
    { fillsIt = true, settle = false, before = 0 } = {},
  ): Promise<void> {
    await besieged.server.ask({ latencyMs: SLOW_MS });
    let rounds = 0;
    const { mostBytes, busySeen } = await watched(besieged.server, async () => {
      let over = false;
      const flood = Promise.all(range(CONNECTIONS).map(publish)).finally(() => {
        over = true;
      });
      while (!over) {
        await besieged.witness.roundTrips();
        rounds++;
      }
      await flood;
    });
    await besieged.server.ask({ latencyMs: 0 });
    assert.ok(rounds > 0, 'the witness got its messages meanwhile');
    assert.ok(mostBytes < GROWTH_BYTES_MAX, `${mostBytes} bytes more were alive`);
    if (fillsIt) assert.ok(busySeen, 'the broker had no room at times');
    const { stored } = await besieged.server.ask({ settle }, stream);
    assert.equal(stored, before + CONNECTIONS * MESSAGES, 'what was acknowledged is stored, once');
  }

  it('pauses MQTT publishers and acknowledges all that they sent R41 X32', async () => {
    await overload('slow-mqtt', async (n) => {
      const client = await mqtt.connectAsync(`mqtt://${besieged.server.address('mqtt')}`, {
        clientId: `slow-${n}`,
        protocolVersion: 5,
        reconnectPeriod: 0,
        keepalive: 0,
      });
      await Promise.all(
        range(MESSAGES).map(() => client.publishAsync('slow-mqtt', MESSAGE, { qos: 1 })),
      );
      await client.endAsync();
    });
  });

  it('pauses AMQP publishers and confirms all that they sent R41 X32', async () => {
    const setup = await amqp.connect(`amqp://${besieged.server.address('amqp')}`);
    const queues = await setup.createChannel();
    await queues.assertQueue('slow-amqp', { durable: true });
    await overload('slow-amqp', async () => {
      const connection = await amqp.connect(
        `amqp://${besieged.server.address('amqp')}?heartbeat=0`,
      );
      const channel = await connection.createConfirmChannel();
      for (const _ of range(MESSAGES)) {
        channel.sendToQueue('slow-amqp', MESSAGE, { persistent: true });
      }
      await channel.waitForConfirms();
      await connection.close();
    });
    await setup.close();
  });

  it('delays the answers to Kafka producers and stores each batch once R41 X32', async () => {
    await overload(
      'slow-kafka',
      async () => {
        const producer = kafkaOf(besieged.server).producer();
        await producer.connect();
        const messages = range(MESSAGES / 32).map(() => ({ value: MESSAGE }));
        await Promise.all(
          range(32).map(() => producer.send({ topic: 'slow-kafka', messages, acks: -1 })),
        );
        await producer.disconnect();
        // This client waits for one answer before its next request.
      },
      { fillsIt: false },
    );
  });

  it('pauses NATS publishers, whose PONG comes when all is taken R41 X32', async () => {
    const producer = kafkaOf(besieged.server).producer();
    await producer.connect();
    // A stream of this name keeps what NATS clients publish.
    await producer.send({ topic: 'slow-nats', messages: [{ value: 'first' }] });
    await producer.disconnect();
    await overload(
      'slow-nats',
      async () => {
        const connection = await connect({
          servers: besieged.server.address('nats'),
          reconnect: false,
        });
        for (const index of range(MESSAGES)) {
          connection.publish('slow-nats', MESSAGE);
          if (index % 16 === 15) await connection.flush();
        }
        await connection.flush();
        await connection.close();
      },
      // A PONG says that all was taken, not that it lies on the disk yet.
      { settle: true, before: 1 },
    );
  });
});

describe('a full disk', () => {
  let server: OverloadedServer;
  let filler: mqtt.MqttClient;

  before(async () => {
    server = await OverloadedServer.start({ virtual: true });
    filler = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
    });
    filler.on('error', () => {});
  });
  afterEach(async () => {
    await server.ask({ capacityBytes: null });
    while ((await server.ask()).health !== 'ok');
  });
  after(async () => {
    await filler?.endAsync(true);
    await server[Symbol.asyncDispose]();
  });

  /** Until the broker says that it is full. */
  async function fill(): Promise<void> {
    await server.ask({ capacityBytes: 0 });
    const refused = async (): Promise<unknown> => {
      for (;;) await filler.publishAsync('filler', MESSAGE, { qos: 1 });
    };
    await assert.rejects(refused(), /[Qq]uota|0x97|151/);
    assert.equal((await server.ask()).health, 'full');
  }

  it('is told to AMQP clients as blocked, and as unblocked when space returns A12 X32', async () => {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('full-amqp', { durable: true });
    channel.sendToQueue('full-amqp', Buffer.from('before'), { persistent: true });
    await channel.waitForConfirms();
    const blocked = once(connection, 'blocked');
    await fill();
    const [reason] = await blocked;
    assert.match(String(reason), /full|space/i);
    const unblocked = once(connection, 'unblocked');
    await server.ask({ capacityBytes: null });
    await unblocked;
    channel.sendToQueue('full-amqp', Buffer.from('after'), { persistent: true });
    await channel.waitForConfirms();
    const got = [await channel.get('full-amqp'), await channel.get('full-amqp')];
    assert.deepEqual(
      got.map((message) => message && String(message.content)),
      ['before', 'after'],
    );
    await connection.close();
  });

  it('is told to NATS clients as an error that leaves them connected O18 X32', async () => {
    const producer = kafkaOf(server).producer();
    await producer.connect();
    await producer.send({ topic: 'full-nats', messages: [{ value: 'first' }] });
    const connection = await connect({ servers: server.address('nats'), reconnect: false });
    connection.publish('full-nats', 'stored');
    await connection.flush();
    await fill();
    const told = firstError(connection);
    connection.publish('full-nats', 'refused');
    // All that this library keeps of the sentence, whose end says `(storage full)`.
    assert.match(await told, /PERMISSIONS_VIOLATION.*publish.*full-nats/);
    // What needs no disk goes on meanwhile.
    const subscription = connection.subscribe('live.only', { max: 1 });
    connection.publish('live.only', 'seen');
    for await (const message of subscription) assert.equal(message.string(), 'seen');
    await server.ask({ capacityBytes: null });
    while ((await server.ask()).health !== 'ok') await connection.flush();
    connection.publish('full-nats', 'again');
    await connection.flush();
    const client = await kafkaOf(server).admin();
    await client.connect();
    const [offsets] = await client.fetchTopicOffsets('full-nats');
    assert.equal(offsets?.high, '3', 'first, stored, again');
    await client.disconnect();
    await connection.close();
    await producer.disconnect();
  });

  it('is told to nats-py by its error callback, and it goes on when space returns O18 X32', {
    skip: missing ?? false,
  }, async () => {
    const producer = kafkaOf(server).producer();
    await producer.connect();
    await producer.send({ topic: 'full-py', messages: [{ value: 'first' }] });
    await producer.disconnect();
    const args = ['127.0.0.1', String(server.port('nats')), 'full-py'];
    const program = new Program('python3', pythonArguments('nats_full_disk.py', args), {
      env: pythonEnvironment(folder ?? ''),
    });
    const hand = await connect({ servers: server.address('nats') });
    await program.line((line) => line === 'ready');
    hand.publish('control', 'before');
    await program.line((line) => line === 'published before');
    await fill();
    hand.publish('control', 'refused');
    const told = await program.line((line) => line.startsWith('error'));
    assert.match(told, /full-py.*storage full/i);
    await program.line((line) => line === 'published refused');
    await server.ask({ capacityBytes: null });
    while ((await server.ask()).health !== 'ok');
    hand.publish('control', 'after');
    await program.line((line) => line === 'published after');
    hand.publish('control', 'end');
    assert.equal((await program.end()).code, 0);
    const problems = program.lines.filter((line) => line.startsWith('error'));
    assert.equal(problems.length, 1, problems.join('\n'));
    const stayed = program.lines.slice(0, program.lines.indexOf('published after'));
    assert.ok(!stayed.includes('disconnected'), 'it stayed connected');
    assert.equal((await server.ask({}, 'full-py')).stored, 3, 'first, before, after');
    await hand.close();
  });

  it('is told to Kafka producers as an error that they try again after O18 X32', async () => {
    const producer = kafkaOf(server).producer({ retry: { retries: 0 } });
    await producer.connect();
    await producer.send({ topic: 'full-kafka', messages: [{ value: 'before' }] });
    await fill();
    await assert.rejects(
      producer.send({ topic: 'full-kafka', messages: [{ value: 'refused' }] }),
      (error: { retriable?: boolean; message: string }) => {
        assert.match(error.message, /disk|storage|Storage/);
        return true;
      },
    );
    await server.ask({ capacityBytes: null });
    while ((await server.ask()).health !== 'ok');
    await producer.send({ topic: 'full-kafka', messages: [{ value: 'again' }] });
    assert.equal((await server.ask({}, 'full-kafka')).stored, 2);
    await producer.disconnect();
  });
});

async function firstError(connection: NatsConnection): Promise<string> {
  for await (const status of connection.status()) {
    if (String(status.type) === 'error') return JSON.stringify(status);
  }
  return 'closed without a word';
}
