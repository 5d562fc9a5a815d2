/**
 * kill -9 of the real server while publishers of all four protocols are at work, restart on the
 * same folder, and every acknowledged message must be there, in the order of its publisher, with
 * nothing invented. The rounds build on each other: later ones check what earlier ones stored, too.
 */
import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import amqp from 'amqplib';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { Inbox } from '../clients/inbox.ts';
import { deadline } from '../clients/program.ts';
import { type Server, startServer } from '../clients/server.ts';
import { size } from '../clients/tier.ts';
import { CRASH_PROTOCOLS, type CrashProtocol, Ledger, publishers, streamOf } from './publisher.ts';
import { readStored } from './stored.ts';

const ROUNDS = size(3, 50);
/** Acknowledgements of each protocol in one round before the kill; more by a seeded amount. */
const ACKNOWLEDGED_LEAST = 400;
const LOAD_TIMEOUT_MS = 60_000;
const ACKNOWLEDGING: readonly CrashProtocol[] = ['mqtt', 'kafka', 'amqp'];

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

describe('kill -9 under load on all four protocols', () => {
  let server: Server;
  const ledgers = Object.fromEntries(
    CRASH_PROTOCOLS.map((protocol) => [protocol, new Ledger()]),
  ) as Record<CrashProtocol, Ledger>;

  before(async () => {
    server = await startServer();
    const brokers = [server.address('kafka')];
    const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const topics = CRASH_PROTOCOLS.map((protocol) => ({ topic: streamOf(protocol) }));
    await admin.createTopics({ topics });
    await admin.disconnect();
    await subscribeSession(server);
  });
  after(() => server[Symbol.asyncDispose]());

  for (let round = 1; round <= ROUNDS; round++) {
    it(`round ${round}: every acknowledged message is there after the restart X62 R32`, async () => {
      await loadAndKill(round);
      await server.start();
      for (const protocol of CRASH_PROTOCOLS) {
        const topic = streamOf(protocol);
        const stored = await readStored(server, topic, `check-${protocol}-${round}`);
        compare(protocol, ledgers[protocol], stored);
      }
    });
  }

  it('an AMQP consumer gets every confirmed message from its durable queue X62', async () => {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    const channel = await connection.createChannel();
    await channel.prefetch(500);
    const inbox = new Inbox<string>();
    const { messageCount } = await channel.checkQueue(streamOf('amqp'));
    await channel.consume(streamOf('amqp'), (message) => {
      if (message === null) return;
      inbox.put(String(message.content));
      channel.ack(message);
    });
    compare('amqp', ledgers.amqp, await inbox.take(messageCount));
    await connection.close();
  });

  it('an MQTT session that was away gets every acknowledged message X62 M89', async () => {
    const client = mqtt.connect(`mqtt://${server.address('mqtt')}`, session(false));
    const inbox = new Inbox<string>();
    client.on('message', (_topic, payload) => inbox.put(String(payload)));
    await once(client as unknown as EventEmitter, 'connect');
    const { acknowledged } = ledgers.mqtt;
    const got: string[] = [];
    const missing = new Set(acknowledged);
    while (missing.size > 0) {
      const body = await inbox.next();
      missing.delete(body);
      got.push(body);
    }
    compare('mqtt', ledgers.mqtt, got);
    await client.endAsync(true);
  });

  /** Runs the publishers until all have enough acknowledgements, then kills the server. */
  async function loadAndKill(round: number): Promise<void> {
    // Not at the same point of every round, yet the same in every run.
    const wanted = ACKNOWLEDGED_LEAST + ((round * 7919) % 1000);
    const before_ = ACKNOWLEDGING.map((protocol) => ledgers[protocol].acknowledged.size);
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const look = () => {
      const counts = ACKNOWLEDGING.map((name, n) => {
        return ledgers[name].acknowledged.size - (before_[n] ?? 0);
      });
      if (Math.min(...counts) >= wanted) resolve();
    };
    for (const protocol of ACKNOWLEDGING) ledgers[protocol].onAcknowledged = look;
    const loads = CRASH_PROTOCOLS.map((name) => publishers[name](server, ledgers[name]));
    const sentence = () =>
      `too few acknowledgements: ${CRASH_PROTOCOLS.map((name) => ledgers[name].acknowledged.size)}`;
    await deadline(Promise.race([enough, Promise.all(loads)]), LOAD_TIMEOUT_MS, sentence);
    await server.kill();
    const unaware = () => 'a publisher did not notice the end of the server';
    await deadline(Promise.all(loads), LOAD_TIMEOUT_MS, unaware);
  }
});

/** Nothing acknowledged is missing, nothing was invented or doubled, and the order was kept. */
function compare(protocol: CrashProtocol, ledger: Ledger, stored: readonly string[]): void {
  const present = new Set(stored);
  const missing = [...ledger.acknowledged].filter((body) => !present.has(body));
  assert.deepEqual(missing, [], `${protocol}: acknowledged messages are missing`);
  const known = new Set(ledger.sent);
  const invented = stored.filter((body) => !known.has(body));
  assert.deepEqual(invented, [], `${protocol}: messages that nobody sent`);
  const numbers = stored.map(Number);
  const disordered = numbers.findIndex((number, at) => at > 0 && number <= (numbers[at - 1] ?? -1));
  const around = numbers.slice(Math.max(0, disordered - 3), disordered + 3);
  assert.equal(disordered, -1, `${protocol}: doubled or out of order: … ${around.join(', ')} …`);
}

function session(clean: boolean) {
  return {
    protocolVersion: 5,
    clientId: 'crash-session',
    clean,
    properties: { sessionExpiryInterval: 3600 },
    reconnectPeriod: 0,
  } as const;
}

/** A session that is away during the whole load. */
async function subscribeSession(server: Server): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, session(true));
  await client.subscribeAsync(streamOf('mqtt'), { qos: 1 });
  await client.endAsync();
}
