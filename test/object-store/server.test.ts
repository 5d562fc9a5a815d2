/** The whole server over an object store, with Kafka clients: what was stored is read as it was. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { ADMIN, type Server, startServer } from '../clients/server.ts';
import { FULL } from '../clients/tier.ts';
import {
  BUCKET,
  type BucketServer,
  type BucketServerName,
  KEYS,
  lacking,
  startBucketServer,
} from './buckets.ts';

const RECORDS = 480;
const RECORD_BYTES = 60_000;
const PATIENCE_MS = 60_000;
const names: BucketServerName[] = FULL ? ['moto', 'versitygw'] : ['moto'];

for (const name of names) {
  const missing = await lacking(name);
  describe(`a server with a bucket of ${name}`, { skip: missing ?? false }, () => {
    let bucket: BucketServer;
    let server: Server;
    let admin: Admin;
    const kafka = () =>
      new Kafka({
        brokers: [server.address('kafka')],
        logLevel: logLevel.NOTHING,
        retry: { retries: 2 },
      });

    before(async () => {
      bucket = await startBucketServer(name);
      const set = (key: string, value: string) => [`--storage-${key}`, value];
      server = await startServer({
        flags: [
          ...['--server-message-max', '1MiB'],
          ...set('wal-file-size', '4MiB'),
          ...set('remote-endpoint', bucket.endpoint),
          ...set('remote-bucket', BUCKET),
          ...set('remote-prefix', 'server-one'),
          ...set('remote-cache-size', '1MiB'),
        ],
        env: {
          AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
          AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
        },
      });
      admin = kafka().admin();
    });
    after(async () => {
      await admin.disconnect();
      await server[Symbol.asyncDispose]();
      await bucket[Symbol.asyncDispose]();
    });

    it('takes a topic whose older records go to the bucket, and serves them from there K49', async () => {
      await admin.createTopics({
        topics: [
          {
            topic: 'archive',
            configEntries: [{ name: 'remote.storage.enable', value: 'true' }],
          },
        ],
      });
      const described = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 2, name: 'archive', configNames: ['remote.storage.enable'] }],
      });
      assert.equal(described.resources[0]?.configEntries[0]?.configValue, 'true');
      await produce(kafka(), 'archive', 0, RECORDS);
      await produce(kafka(), 'beside', 0, RECORDS / 4);
      await until(server, ({ bytes, waitingObjects, localBytes }) => {
        return bytes > 20 << 20 && waitingObjects === 0 && localBytes <= 1 << 20;
      });
      assert.deepEqual(await readAll(kafka(), 'archive', RECORDS), digests(0, RECORDS));
    });

    it('finds everything again after a stop and after a kill K49', async () => {
      await server.restart();
      assert.deepEqual(await readAll(kafka(), 'archive', RECORDS), digests(0, RECORDS));
      await server.kill();
      await server.start();
      assert.deepEqual(await readAll(kafka(), 'archive', RECORDS), digests(0, RECORDS));
    });

    it('goes on without its bucket, and reads the old records when it is back K49', async () => {
      await bucket.stop();
      await server.restart();
      await produce(kafka(), 'archive', RECORDS, 100);
      const beside = await readAll(kafka(), 'beside', RECORDS / 4);
      assert.deepEqual(beside, digests(0, RECORDS / 4), 'what lies here is read');
      const away = await until(server, ({ state }) => state === 'away');
      assert.match(away.reason, /ECONNREFUSED|object store/);
      const health = await fetch(`http://${server.address('admin')}/health/ready`);
      assert.equal(health.status, 200);
      assert.match(((await health.json()) as { warnings: string[] }).warnings[0]!, /away/);
      if (name === 'moto') return; // It forgets its content.
      const reading = readAll(kafka(), 'archive', RECORDS + 100);
      await bucket.start();
      assert.deepEqual(await reading, digests(0, RECORDS + 100));
      await until(server, ({ state, waitingObjects }) => state === 'ok' && waitingObjects === 0);
    });

    it('refuses a stream for the bucket that could not lie there K49', async () => {
      const create = (configEntries: { name: string; value: string }[]) =>
        admin.createTopics({ topics: [{ topic: 'no', configEntries }] });
      const remote = { name: 'remote.storage.enable', value: 'true' };
      await assert.rejects(create([remote, { name: 'robustmq.durability', value: 'memory' }]));
      await assert.rejects(create([{ ...remote, value: 'perhaps' }]));
      assert.ok(!(await admin.listTopics()).includes('no'));
    });
  });
}

interface RemoteStatus {
  readonly state: string;
  readonly reason: string;
  readonly objects: number;
  readonly bytes: number;
  readonly localBytes: number;
  readonly waitingObjects: number;
}

/** Asks the server until its object store is as it should be. */
async function until(
  server: Server,
  wanted: (status: RemoteStatus) => boolean,
): Promise<RemoteStatus> {
  const authorization = `Basic ${btoa(`${ADMIN.user}:${ADMIN.password}`)}`;
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await fetch(`http://${server.address('admin')}/api/v1/storage`, {
      headers: { authorization },
    });
    const { remote } = (await answer.json()) as { remote: RemoteStatus };
    if (wanted(remote)) return remote;
    if (performance.now() > untilMs) throw new Error(`not in time: ${JSON.stringify(remote)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The value of a record is made from its number. */
function recordOf(number: number): Buffer {
  const value = Buffer.alloc(RECORD_BYTES, createHash('sha256').update(`${number}`).digest());
  value.writeUInt32BE(number, 0);
  return value;
}

function digests(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => digest(recordOf(from + index)));
}

function digest(value: Buffer): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 16);
}

async function produce(kafka: Kafka, topic: string, from: number, count: number): Promise<void> {
  const producer = kafka.producer({ allowAutoTopicCreation: true });
  await producer.connect();
  for (let first = from; first < from + count; first += 10) {
    const messages = Array.from({ length: 10 }, (_, index) => ({ value: recordOf(first + index) }));
    await producer.send({ topic, messages });
  }
  await producer.disconnect();
}

let groups = 0;

/** Digests of the first `count` records in their order. */
async function readAll(kafka: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = kafka.consumer({
    groupId: `readers-${process.pid}-${++groups}`,
    retry: { retries: 50 },
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const found: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  await consumer.run({
    eachMessage: async ({ message }) => {
      found.push(digest(message.value!));
      if (found.length === count) resolve();
    },
  });
  await promise;
  await consumer.disconnect();
  return found;
}
