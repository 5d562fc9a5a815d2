/** kafkajs, unmodified: the client that speaks only old, non-flexible versions. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  CompressionTypes,
  type Consumer,
  type EachMessagePayload,
  Kafka,
  type KafkaMessage,
  logLevel,
  type Producer,
} from 'kafkajs';
import { Inbox } from './inbox.ts';
import { type Server, startServer } from './server.ts';

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

describe('kafkajs', () => {
  let server: Server;
  let kafka: Kafka;
  const opened: { disconnect(): Promise<void> }[] = [];

  async function producer(idempotent = false): Promise<Producer> {
    const made = kafka.producer({ idempotent });
    opened.push(made);
    await made.connect();
    return made;
  }

  /** A member of a group that reads from the beginning. */
  async function reader(groupId: string, topic: string) {
    const consumer: Consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 500 });
    opened.push(consumer);
    const inbox = new Inbox<EachMessagePayload>();
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ autoCommit: false, eachMessage: async (payload) => inbox.put(payload) });
    return { consumer, inbox };
  }

  async function create(topic: string, numPartitions = 1): Promise<void> {
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] });
    await admin.disconnect();
  }

  const bodies = (messages: readonly EachMessagePayload[]) =>
    messages.map(({ message }) => String(message.value));

  before(async () => {
    server = await startServer();
    kafka = new Kafka({
      clientId: 'test',
      brokers: [server.address('kafka')],
      logLevel: logLevel.NOTHING,
      retry: { retries: 3 },
    });
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.disconnect();
  });
  after(() => server[Symbol.asyncDispose]());

  it('keys, values, headers and timestamps come back exactly K24 K205', async () => {
    await create('js-trip');
    const value = randomBytes(3000);
    const headers = { one: 'a', two: ['b', 'c'], bytes: Buffer.from([0, 255]) };
    const sent = { key: 'k', value, headers, timestamp: '1700000000123' };
    const tombstone = { key: 'gone', value: null };
    const writer = await producer();
    const [facts] = await writer.send({ topic: 'js-trip', messages: [sent, tombstone] });
    assert.equal(facts?.baseOffset, '0');
    const { inbox } = await reader('js-trip', 'js-trip');
    const first = (await inbox.next()).message as KafkaMessage;
    assert.equal(String(first.key), 'k');
    assert.ok(value.equals(first.value ?? Buffer.alloc(0)));
    assert.equal(first.timestamp, '1700000000123');
    assert.equal(String(first.headers?.['one']), 'a');
    assert.deepEqual([first.headers?.['two']].flat().map(String), ['b', 'c']);
    assert.deepEqual(first.headers?.['bytes'], Buffer.from([0, 255]));
    assert.equal((await inbox.next()).message.value, null);
  });

  it('transactions are committed and aborted, with offsets of a group K69 K71 K205', async () => {
    await create('js-tx');
    const made = kafka.producer({ transactionalId: 'js-tx', maxInFlightRequests: 1 });
    opened.push(made);
    await made.connect();
    for (let turn = 0; turn < 4; turn++) {
      const transaction = await made.transaction();
      const messages = [{ value: `${turn}.0` }, { value: `${turn}.1` }];
      await transaction.send({ topic: 'js-tx', messages });
      const topics = [{ topic: 'js-tx', partitions: [{ partition: 0, offset: String(turn) }] }];
      await transaction.sendOffsets({ consumerGroupId: 'js-tx-group', topics });
      if (turn % 2 === 0) await transaction.commit();
      else await transaction.abort();
    }
    const { inbox } = await reader('js-tx', 'js-tx');
    assert.deepEqual(bodies(await inbox.take(4)), ['0.0', '0.1', '2.0', '2.1']);
    const admin = kafka.admin();
    await admin.connect();
    const offsets = await admin.fetchOffsets({ groupId: 'js-tx-group', topics: ['js-tx'] });
    assert.equal(offsets[0]?.partitions[0]?.offset, '2');
    await admin.disconnect();
  });

  it('a gzip batch comes back K22', async () => {
    const writer = await producer();
    const messages = Array.from({ length: 100 }, (_, n) => ({ value: `${n} `.repeat(30) }));
    const compression = CompressionTypes.GZIP;
    await create('js-gzip');
    await writer.send({ topic: 'js-gzip', compression, messages });
    const { inbox } = await reader('js-gzip', 'js-gzip');
    const got = bodies(await inbox.take(100));
    assert.deepEqual(
      got,
      messages.map(({ value }) => value),
    );
  });

  for (const acks of [0, 1, -1]) {
    it(`acks ${acks} is served K10 K27`, async () => {
      await create(`js-acks${acks}`);
      const writer = await producer();
      for (let n = 0; n < 5; n++) {
        await writer.send({ topic: `js-acks${acks}`, acks, messages: [{ value: `${n}` }] });
      }
      const { inbox } = await reader(`js-acks${acks}`, `js-acks${acks}`);
      assert.deepEqual(bodies(await inbox.take(5)), ['0', '1', '2', '3', '4']);
    });
  }

  it('an idempotent producer is served K28 K29', async () => {
    await create('js-idempotent');
    const writer = await producer(true);
    for (let n = 0; n < 20; n++) {
      await writer.send({ topic: 'js-idempotent', messages: [{ value: `${n}` }] });
    }
    const { inbox } = await reader('js-idempotent', 'js-idempotent');
    assert.equal((await inbox.take(20)).at(-1)?.message.offset, '19');
  });

  it('a group goes on after its committed offset K63 K108', async () => {
    await create('js-resume');
    const writer = await producer();
    const messages = Array.from({ length: 10 }, (_, n) => ({ value: `${n}` }));
    await writer.send({ topic: 'js-resume', messages });
    const first = await reader('js-resume', 'js-resume');
    await first.inbox.take(10);
    await first.consumer.commitOffsets([{ topic: 'js-resume', partition: 0, offset: '4' }]);
    await first.consumer.disconnect();
    const second = await reader('js-resume', 'js-resume');
    assert.deepEqual(bodies(await second.inbox.take(6)), ['4', '5', '6', '7', '8', '9']);
  });

  it('two members share the partitions of a topic K60 K111 K114', async () => {
    await create('js-members', 4);
    const members = [await reader('js-members', 'js-members')];
    members.push(await reader('js-members', 'js-members'));
    const admin = kafka.admin();
    await admin.connect();
    const { groups } = await admin.describeGroups(['js-members']);
    assert.equal(groups[0]?.members.length, 2);
    assert.equal(groups[0]?.state, 'Stable');
    await admin.disconnect();
    const writer = await producer();
    const messages = Array.from({ length: 100 }, (_, n) => ({ key: `${n}`, value: `${n}` }));
    await writer.send({ topic: 'js-members', messages });
    const numbers: number[] = [];
    while (numbers.length < 100) {
      const next = members.map(({ inbox }) => inbox.next(500).catch(() => null));
      for (const payload of await Promise.all(next)) {
        if (payload !== null) numbers.push(Number(payload.message.value));
      }
    }
    const wanted = messages.map((_, n) => n);
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      wanted,
    );
  });

  it('admin lists, describes and deletes topics and groups K81 K103 K115 K116 K132', async () => {
    await create('js-admin', 3);
    const admin = kafka.admin();
    await admin.connect();
    assert.ok((await admin.listTopics()).includes('js-admin'));
    const { topics } = await admin.fetchTopicMetadata({ topics: ['js-admin'] });
    assert.equal(topics[0]?.partitions.length, 3);
    const offsets = await admin.fetchTopicOffsets('js-admin');
    assert.deepEqual(
      offsets.flatMap(({ high, low }) => [high, low]),
      Array(6).fill('0'),
    );
    const cluster = await admin.describeCluster();
    assert.equal(cluster.brokers[0]?.port, server.ports.kafka);
    const resources = [{ type: 2, name: 'js-admin' }];
    const configs = await admin.describeConfigs({ resources, includeSynonyms: false });
    assert.ok((configs.resources[0]?.configEntries.length ?? 0) > 0);
    await admin.deleteTopics({ topics: ['js-admin'] });
    assert.ok(!(await admin.listTopics()).includes('js-admin'));
    await admin.disconnect();
  });

  it('a topic is made by its first message K46', async () => {
    const writer = await producer();
    await writer.send({ topic: 'js-auto', messages: [{ value: 'first' }] });
    const { inbox } = await reader('js-auto', 'js-auto');
    assert.equal(String((await inbox.next()).message.value), 'first');
  });

  it('a waiting consumer gets a new record by long poll K30', async () => {
    await create('js-live');
    const { inbox } = await reader('js-live', 'js-live');
    const writer = await producer();
    for (let n = 0; n < 5; n++) {
      await writer.send({ topic: 'js-live', messages: [{ value: `${n}` }] });
      assert.equal(String((await inbox.next()).message.value), `${n}`);
    }
  });
});
