/**
 * Retained messages as a compacted topic (docs/mapping.md, "Last values"): set and cleared with
 * MQTT.js and the mosquitto tools; read, set and cleared with kafkajs, kcat and librdkafka for
 * Python. The server is killed in between.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt';
import { Inbox } from './inbox.ts';
import { run } from './program.ts';
import { runPython } from './python-scenarios.ts';
import { HOST, type Server, startServer } from './server.ts';
import { debian, python, ready } from './toolchains/index.ts';

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

const TOPIC = 'mqtt.retained';
const tools = await ready(debian);
const librdkafka = await ready(python);

describe('retained messages and the topic mqtt.retained', () => {
  let server: Server;
  let kafka: Kafka;
  let producer: Producer;
  let readers = 0;
  const clients: MqttClient[] = [];

  before(async () => {
    server = await startServer();
    const brokers = [server.address('kafka')];
    kafka = new Kafka({ brokers, clientId: 'retained', logLevel: logLevel.NOTHING });
    producer = kafka.producer();
    await producer.connect();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.endAsync(true);
  });
  after(async () => {
    await producer.disconnect();
    await server[Symbol.asyncDispose]();
  });

  async function connect(): Promise<MqttClient> {
    const url = `mqtt://${server.address('mqtt')}`;
    const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
    clients.push(client);
    return client;
  }

  async function inboxOf(filter: string): Promise<Inbox<IPublishPacket>> {
    const client = await connect();
    const inbox = new Inbox<IPublishPacket>();
    client.on('message', (_topic, _payload, packet) => inbox.put(packet));
    await client.subscribeAsync(filter, { qos: 1 });
    return inbox;
  }

  /** What is retained under a filter, as a new subscriber gets it, up to a marker. */
  async function retained(filter: string): Promise<Record<string, string>> {
    const marker = `marker/${++readers}`;
    const client = await connect();
    const inbox = new Inbox<IPublishPacket>();
    client.on('message', (_topic, _payload, packet) => inbox.put(packet));
    await client.subscribeAsync([filter, marker], { qos: 1 });
    // What is retained comes first: a message to the subscriber itself ends it.
    const found: Record<string, string> = {};
    await client.publishAsync(marker, 'end', { qos: 1 });
    for (let ended = false; !ended; ) {
      const { topic, payload, retain } = await inbox.next();
      ended = topic === marker;
      if (!ended && retain) found[topic] = payload.toString();
    }
    return found;
  }

  /** All records of the topic from its beginning, as `key=value` with null for a tombstone. */
  async function records(): Promise<string[]> {
    const admin = kafka.admin();
    await admin.connect();
    const [offsets] = await admin.fetchTopicOffsets(TOPIC);
    await admin.disconnect();
    const consumer = kafka.consumer({ groupId: `retained-${++readers}`, maxWaitTimeInMs: 100 });
    const lines: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    await consumer.connect();
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { offset, key, value } }) => {
        lines.push(`${key}=${value}`);
        if (Number(offset) === Number(offsets!.high) - 1) resolve();
      },
    });
    await promise;
    await consumer.disconnect();
    return lines;
  }

  it('what MQTT retains is read by Kafka under its topic as key, and an end is a tombstone X5 M115 M116', async () => {
    const client = await connect();
    const properties = { userProperties: { unit: 'C' }, contentType: 'text/plain' };
    await client.publishAsync('x5/a/temp', '20', { qos: 1, retain: true, properties });
    await client.publishAsync('x5/b/temp', '21', { qos: 2, retain: true });
    await client.publishAsync('x5/flat', 'not kept', { qos: 1 });
    await client.publishAsync('x5/b/temp', '', { qos: 1, retain: true });
    await client.publishAsync('x5/a/temp', '22', { qos: 0, retain: true });
    await client.publishAsync('x5/marker', '1', { qos: 1, retain: true });
    assert.deepEqual(await records(), [
      'x5/a/temp=20',
      'x5/b/temp=21',
      'x5/b/temp=null',
      'x5/a/temp=22',
      'x5/marker=1',
    ]);
    const admin = kafka.admin();
    await admin.connect();
    const resource = { type: 2, name: TOPIC, configNames: ['cleanup.policy'] };
    const { resources } = await admin.describeConfigs({
      resources: [resource],
      includeSynonyms: false,
    });
    assert.equal(resources[0]!.configEntries[0]!.configValue, 'compact');
    await assert.rejects(admin.deleteTopics({ topics: [TOPIC] }));
    await admin.disconnect();
  });

  it('a value and a tombstone from Kafka set and clear what MQTT retains, live as well X5 M112', async () => {
    const live = await inboxOf('x5/c/#');
    const send = (key: string, value: string | null) =>
      producer.send({ topic: TOPIC, messages: [{ key, value, headers: { unit: 'K' } }] });
    await send('x5/c/1', 'one');
    const got = await live.next();
    assert.deepEqual([got.topic, got.payload.toString()], ['x5/c/1', 'one']);
    assert.equal(got.properties?.userProperties?.['unit'], 'K');
    await send('x5/c/2', 'two');
    assert.deepEqual(await retained('x5/c/#'), { 'x5/c/1': 'one', 'x5/c/2': 'two' });
    await send('x5/c/1', null);
    assert.deepEqual(await retained('x5/c/#'), { 'x5/c/2': 'two' });
    assert.deepEqual(
      [await live.next(), await live.next()].map(({ topic, payload }) => [topic, `${payload}`]),
      [
        ['x5/c/2', 'two'],
        ['x5/c/1', ''],
      ],
    );
    const client = await connect();
    await client.publishAsync('x5/c/3', 'by MQTT', { qos: 1, retain: true });
    await send('x5/c/3', 'by Kafka');
    assert.equal((await retained('x5/c/3'))['x5/c/3'], 'by Kafka');
    await client.publishAsync('x5/c/3', 'by MQTT again', { qos: 1, retain: true });
    assert.equal((await retained('x5/c/3'))['x5/c/3'], 'by MQTT again');
  });

  it('a key that is no topic is refused, and nothing of its batch is kept X5', async () => {
    for (const key of ['x5/d/+', 'x5/#', '$SYS/x', '']) {
      const messages = [
        { key: 'x5/d/good', value: '1' },
        { key, value: '2' },
      ];
      await assert.rejects(producer.send({ topic: TOPIC, messages }), key);
    }
    assert.deepEqual(await retained('x5/d/#'), {});
  });

  it('both views say the same after kill -9 X5 M116', async () => {
    const client = await connect();
    const waiting: Promise<unknown>[] = [];
    for (let n = 0; n < 300; n++) {
      const value = n % 7 === 0 ? '' : `m${n}`;
      waiting.push(client.publishAsync(`x5/k/${n % 50}`, value, { qos: 1, retain: true }));
      const key = `x5/k/${(n * 3) % 50}`;
      if (n % 10 === 0) {
        const messages = [{ key, value: n % 20 === 0 ? null : `k${n}` }];
        waiting.push(producer.send({ topic: TOPIC, messages }));
      }
    }
    await Promise.all(waiting);
    await server.kill();
    for (const each of clients.splice(0)) await each.endAsync(true);
    await server.start();
    const byTopic = new Map<string, string>();
    for (const line of (await records()).filter((each) => each.startsWith('x5/k/'))) {
      const [key, value] = line.split('=') as [string, string];
      if (value === 'null') byTopic.delete(key);
      else byTopic.set(key, value);
    }
    assert.ok(byTopic.size > 20);
    assert.deepEqual(Object.entries(await retained('x5/k/#')).sort(), [...byTopic].sort());
  });

  it('ten thousand in one batch from Kafka reach each subscriber once, whenever it comes X5 M118', async () => {
    const COUNT = 10_000;
    const messages = Array.from({ length: COUNT }, (_, n) => ({
      key: `x5/many/${n}`,
      value: `v${n}`,
    }));
    const before = await inboxOf('x5/many/#');
    const publisher = await connect();
    const sent = producer.send({ topic: TOPIC, messages });
    // While the batch comes and is taken.
    const late: Inbox<IPublishPacket>[] = [];
    let isSent = false;
    void sent.finally(() => {
      isSent = true;
    });
    do {
      late.push(await inboxOf('x5/many/#'));
      await publisher.publishAsync(`x5/other/${late.length}`, 'x', { qos: 1, retain: true });
    } while (!isSent && late.length < 5);
    await sent;
    const after = await inboxOf('x5/many/#');
    // Behind all of them.
    await publisher.publishAsync('x5/many/end', 'end', { qos: 1 });
    for (const inbox of [before, ...late, after]) {
      const found = new Set<string>();
      for (let seen = 0; found.size < COUNT; seen++) {
        const { topic, payload } = await inbox.next();
        if (topic === 'x5/many/end') {
          seen--;
          continue;
        }
        assert.equal(found.size, seen, 'each once');
        assert.equal(payload.toString(), topic.replace('x5/many/', 'v'));
        found.add(topic);
      }
    }
    assert.equal(Object.keys(await retained('x5/other/#')).length, late.length);
  });

  it('both views say the same when a large batch is cut by kill -9 X5 M116', async () => {
    const client = await connect();
    const messages = Array.from({ length: 5_000 }, (_, n) => ({
      key: `x5/cut/${n}`,
      value: n % 11 === 0 ? null : `k${n}`,
    }));
    const impatient = kafka.producer({ retry: { retries: 0 } });
    await impatient.connect();
    await impatient.send({ topic: TOPIC, messages: messages.slice(1_000) });
    const cut = impatient.send({ topic: TOPIC, messages });
    const told = Promise.allSettled([cut]);
    await client.publishAsync('x5/cut/1', 'by MQTT', { qos: 1, retain: true });
    await server.kill();
    for (const each of clients.splice(0)) await each.endAsync(true);
    await told;
    await impatient.disconnect();
    await server.start();
    const byTopic = new Map<string, string>();
    for (const line of (await records()).filter((each) => each.startsWith('x5/cut/'))) {
      const [key, value] = line.split('=') as [string, string];
      if (value === 'null') byTopic.delete(key);
      else byTopic.set(key, value);
    }
    assert.ok(byTopic.size > 3_000);
    const kept = await (await inboxOf('x5/cut/#')).take(byTopic.size);
    const found = kept.map(({ topic, payload }) => [topic, payload.toString()]);
    assert.deepEqual(found.sort(), [...byTopic].sort());
  });

  it('the mosquitto tools and kcat see each other’s values X5 R63', {
    skip: tools.missing ?? false,
  }, async () => {
    const to = ['-h', HOST, '-p', String(server.ports.mqtt)];
    const brokers = ['-b', server.address('kafka'), '-t', TOPIC];
    await run('mosquitto_pub', [...to, '-t', 'x5/m/1', '-q', '1', '-r', '-m', 'on']);
    const read = await run('kcat', [...brokers, '-C', '-e', '-q', '-f', '%k=%s %h\\n']);
    assert.match(read.text, /^x5\/m\/1=on .*_b\.address=x5\/m\/1/m);
    await run('kcat', [...brokers, '-P', '-K', '='], { input: 'x5/m/2=off\n' });
    const wanted = [...to, '-t', 'x5/m/#', '-q', '1', '-C', '2', '-F', '%r %t %p'];
    const both = await run('mosquitto_sub', wanted);
    assert.deepEqual(both.text.trim().split('\n'), ['1 x5/m/1 on', '1 x5/m/2 off']);
    // -Z: an empty value is a tombstone.
    await run('kcat', [...brokers, '-P', '-Z', '-K', '='], { input: 'x5/m/1=\n' });
    assert.deepEqual(await retained('x5/m/#'), { 'x5/m/2': 'off' });
  });

  it('librdkafka for Python sets, clears and reads them X5', {
    skip: librdkafka.missing ?? false,
  }, async () => {
    const client = await connect();
    await client.publishAsync('x5/p/mqtt', 'from MQTT', { qos: 1, retain: true });
    const args = [HOST, String(server.ports.kafka), TOPIC];
    await runPython(librdkafka.folder ?? '', 'confluent_retained.py', args);
    assert.deepEqual(await retained('x5/p/#'), { 'x5/p/python': 'from Python' });
  });
});
