/** Scenarios of @platformatic/kafka: platformatic.mjs FOLDER_OF_THE_PACKAGE SERVER SCENARIO... */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';

const [folder, server, ...wanted] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'package.json'));
const { Admin, Consumer, Producer } = require('@platformatic/kafka');

const START = 1_700_000_000_000n;
const TOPIC = 2;
const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const base = { clientId: 'platformatic', bootstrapBrokers: [server] };
const admin = new Admin(base);

async function create(partitions) {
  const topic = `node-${randomUUID()}`;
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 });
  return topic;
}

async function produce(messages, options = {}) {
  const producer = new Producer({ ...base, ...options });
  await producer.send({ messages });
  await producer.close();
}

/** A topic with records 0 to 9, a second apart, in each partition. */
async function filled(partitions) {
  const topic = await create(partitions);
  const messages = Array.from({ length: 10 * partitions }, (_, n) => {
    const number = Math.floor(n / partitions);
    const timestamp = START + BigInt(number) * 1000n;
    return { topic, partition: n % partitions, value: Buffer.from(`${number}`), timestamp };
  });
  await produce(messages);
  return topic;
}

function member(groupId, more = {}) {
  return new Consumer({ ...base, groupId, autocommit: false, maxWaitTime: 200, ...more });
}

async function take(stream, count) {
  const got = [];
  for await (const message of stream) {
    got.push(message);
    if (got.length === count) break;
  }
  return got;
}

/** All that a consumer of its own reads from the beginning of a topic. */
async function read(topic, count, more = {}) {
  const consumer = member(randomUUID(), more);
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' });
  const got = await take(stream, count);
  await consumer.close(true);
  return got;
}

async function codecs() {
  const topic = await create(3);
  const headers = new Map([
    [Buffer.from('a'), Buffer.from([0, 255])],
    [Buffer.from('empty'), Buffer.alloc(0)],
  ]);
  const bodies = new Map();
  for (const compression of CODECS) {
    const messages = Array.from({ length: 30 }, (_, n) => {
      const key = `${compression} ${n}`;
      const value = Buffer.concat([randomBytes(500), Buffer.from(key.repeat(60))]);
      bodies.set(key, value);
      return { topic, key: Buffer.from(key), value, headers, timestamp: START + BigInt(n) };
    });
    await produce(messages, { compression, idempotent: true });
  }
  const got = await read(topic, bodies.size);
  for (const { key, value, headerEntries, timestamp } of got) {
    assert.deepEqual(value, bodies.get(`${key}`));
    assert.deepEqual(headerEntries, [...headers]);
    assert.equal(timestamp, START + BigInt(`${key}`.split(' ')[1]));
    bodies.delete(`${key}`);
  }
  assert.equal(bodies.size, 0);
  assert.equal(new Set(got.map(({ partition }) => partition)).size, 3);
}

/** Two members over three partitions; one leaves, and the offsets outlive both. */
async function group(protocol) {
  const topic = await filled(3);
  const types = [protocol.groupProtocol ?? 'classic'];
  const timing = protocol.groupProtocol === 'consumer' ? {} : { heartbeatInterval: 200 };
  const join = async () => {
    const consumer = member(topic, { ...protocol, ...timing });
    const stream = await consumer.consume({
      topics: [topic],
      mode: 'committed',
      fallbackMode: 'earliest',
    });
    return { consumer, stream };
  };
  const owned = ({ consumer }) =>
    (consumer.assignments ?? []).flatMap(({ partitions }) => partitions);
  const first = await join();
  const second = await join();
  while (owned(first).length + owned(second).length !== 3 || owned(second).length === 0) {
    const members = [first, second].map(({ consumer }) => once(consumer, 'consumer:heartbeat:end'));
    await Promise.race(members);
  }
  assert.deepEqual([...owned(first), ...owned(second)].sort(), [0, 1, 2]);
  await second.consumer.close(true);
  while (owned(first).length !== 3) await once(first.consumer, 'consumer:heartbeat:end');
  const offsets = [0, 1, 2].map((partition) => ({
    topic,
    partition,
    offset: BigInt(4 + partition),
    leaderEpoch: 0,
  }));
  await first.consumer.commit({ offsets });
  await first.consumer.close(true);
  const again = await join();
  const got = await take(again.stream, 6 + 5 + 4);
  const lines = got.map(({ partition, offset, value }) => `${partition} ${offset} ${value}`);
  const rest = [0, 1, 2].flatMap((partition) =>
    Array.from({ length: 6 - partition }, (_, n) => n + 4 + partition).map(
      (n) => `${partition} ${n} ${n}`,
    ),
  );
  assert.deepEqual(lines.sort(), rest.sort());
  await again.consumer.close(true);
  const listed = await admin.listGroups({ types });
  assert.equal(listed.get(topic)?.state.toUpperCase(), 'EMPTY');
  await admin.deleteGroups({ groups: [topic] });
  assert.equal((await admin.listGroups({ types })).has(topic), false);
}

async function offsets() {
  const topic = await filled(1);
  const consumer = member(topic);
  const at = async (timestamp) =>
    (await consumer.listOffsets({ topics: [topic], timestamp })).get(topic)[0];
  const asked = [await at(-2n), await at(-1n), await at(START + 2001n)];
  assert.deepEqual(asked, [0n, 10n, 3n]);
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 4n }] }] });
  assert.equal(await at(-2n), 4n);
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'manual',
    offsets: [{ topic, partition: 0, offset: 6n }],
  });
  assert.deepEqual((await take(stream, 4)).map(({ value }) => `${value}`), ['6', '7', '8', '9']);
  await consumer.close(true);
}

async function topics() {
  const topic = await filled(2);
  const again = admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
  await assert.rejects(again);
  await admin.createPartitions({ topics: [{ name: topic, count: 5 }] });
  const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
  assert.equal(metadata.topics.get(topic).partitionsCount, 5);
  const resource = { resourceType: TOPIC, resourceName: topic };
  const change = { name: 'retention.ms', configOperation: 0, value: '7200000' };
  await admin.incrementalAlterConfigs({ resources: [{ ...resource, configs: [change] }] });
  const [found] = await admin.describeConfigs({ resources: [resource] });
  const config = found.configs.find(({ name }) => name === 'retention.ms');
  assert.equal(config.value, '7200000');
  await admin.deleteTopics({ topics: [topic] });
  assert.equal((await admin.listTopics()).includes(topic), false);
}

/** One transaction is given up: the client knows one stretch of a producer in each fetch. */
async function transactions() {
  const topic = await create(2);
  const producer = new Producer({ ...base, idempotent: true, transactionalId: topic });
  for (let turn = 0; turn < 3; turn++) {
    const transaction = await producer.beginTransaction();
    const messages = Array.from({ length: 6 }, (_, n) => {
      return { topic, partition: n % 2, value: Buffer.from(`${turn}.${n}`) };
    });
    await transaction.send({ messages });
    await (turn % 2 === 0 ? transaction.commit() : transaction.abort());
  }
  await producer.close();
  const committed = await read(topic, 12, { isolationLevel: READ_COMMITTED });
  const values = committed.map(({ value }) => `${value}`).sort();
  const expected = [0, 2].flatMap((turn) => Array.from({ length: 6 }, (_, n) => `${turn}.${n}`));
  assert.deepEqual(values, expected);
  const all = await read(topic, 18, { isolationLevel: READ_UNCOMMITTED });
  assert.equal(all.length, 18);
}

const scenarios = {
  codecs,
  classic: () => group({}),
  consumer: () => group({ groupProtocol: 'consumer' }),
  offsets,
  topics,
  transactions,
};
for (const name of wanted) {
  await scenarios[name]();
  console.log(`ok ${name}`);
}
await admin.close();
