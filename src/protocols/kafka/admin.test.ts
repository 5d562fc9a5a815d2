import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { parseAdvertised } from './advertised.ts';
import { batchOf, Client, openRoom } from './client.fixture.ts';
import { DYNAMIC_CONFIGS } from './dynamic-configs.ts';
import { KAFKA } from './error-codes.ts';
import { produce } from './messages/00-produce.ts';
import { metadata } from './messages/03-metadata.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { deleteRecords } from './messages/21-delete-records.ts';
import { offsetForLeaderEpoch } from './messages/23-offset-for-leader-epoch.ts';
import { describeConfigs } from './messages/32-describe-configs.ts';
import { describeLogDirs } from './messages/35-describe-log-dirs.ts';
import { createPartitions } from './messages/37-create-partitions.ts';
import { incrementalAlterConfigs } from './messages/44-incremental-alter-configs.ts';
import { describeCluster } from './messages/60-describe-cluster.ts';
import { describeTopicPartitions } from './messages/75-describe-topic-partitions.ts';
import type { Room } from './room.ts';
import type { Decoded } from './rows.ts';
import { TOPIC_CONFIGS } from './topic-configs.ts';

const TOPIC = 2;
const BROKER = 4;
const SET = 0;
const DELETE = 1;
const APPEND = 2;

let host: TestHost;
let room: Room;
before(async () => {
  host = await openTestHost();
  room = openRoom(host);
});
after(async () => {
  await room.close();
  await host.close();
});

let topicCount = 0;

async function newTopic(client: Client, partitions = 1): Promise<string> {
  const name = `admin-${++topicCount}`;
  const wanted = { name, numPartitions: partitions, replicationFactor: 1 };
  await client.ask(createTopics, 7, { topics: [{ ...wanted, assignments: [], configs: [] }] });
  return name;
}

async function configOf(client: Client, name: string, key: string) {
  const resources = [{ resourceType: TOPIC, resourceName: name, configurationKeys: [key] }];
  const { results } = await client.ask(describeConfigs, 4, { resources, includeSynonyms: true });
  return results[0]!.configs[0]!;
}

test('error codes are those from -1 to 133, each once K13 K83', () => {
  assert.equal(KAFKA.REBOOTSTRAP_REQUIRED, 129);
  const codes = Object.values(KAFKA).sort((a, b) => a - b);
  assert.deepEqual(
    codes,
    Array.from({ length: 135 }, (_, index) => index - 1),
  );
});

test('a topic config is set, shown with its source, and set back K42 K80 K132 K144', async () => {
  const client = new Client(room);
  const name = await newTopic(client);
  const alter = async (operation: number, value: string | null, key = 'retention.ms') => {
    const configs = [{ name: key, configOperation: operation, value }];
    const resources = [{ resourceType: TOPIC, resourceName: name, configs }];
    const body = { resources, validateOnly: false };
    return (await client.ask(incrementalAlterConfigs, 1, body)).responses[0]!.errorCode;
  };
  assert.equal(await alter(SET, '1000'), KAFKA.NONE);
  const own = await configOf(client, name, 'retention.ms');
  assert.deepEqual([own.value, own.configSource, own.readOnly], ['1000', 1, false]);
  assert.deepEqual(
    own.synonyms.map(({ value, source }) => [value, source]),
    [
      ['1000', 1],
      ['604800000', 5],
    ],
  );
  assert.equal(await alter(DELETE, null), KAFKA.NONE);
  const preset = await configOf(client, name, 'retention.ms');
  assert.deepEqual([preset.value, preset.configSource], ['604800000', 5]);
  assert.equal(await alter(APPEND, '1', 'retention.ms'), KAFKA.INVALID_CONFIG);
  assert.equal(await alter(SET, 'memory', 'robustmq.durability'), KAFKA.INVALID_CONFIG);
  assert.equal(await alter(SET, '-2'), KAFKA.INVALID_CONFIG);
});

test('every topic config of Kafka is known K42', () => {
  const known = new Set(TOPIC_CONFIGS.map(({ name }) => name));
  for (const name of [
    ...['cleanup.policy', 'compression.type', 'delete.retention.ms', 'file.delete.delay.ms'],
    ...['compression.gzip.level', 'compression.lz4.level', 'compression.zstd.level'],
    ...['flush.messages', 'flush.ms', 'index.interval.bytes', 'max.compaction.lag.ms'],
    ...['follower.replication.throttled.replicas', 'leader.replication.throttled.replicas'],
    ...['max.message.bytes', 'message.timestamp.type', 'message.timestamp.before.max.ms'],
    ...['min.cleanable.dirty.ratio', 'min.compaction.lag.ms', 'min.insync.replicas'],
    ...['preallocate', 'retention.bytes', 'retention.ms', 'remote.storage.enable'],
    ...['segment.bytes', 'segment.index.bytes', 'segment.jitter.ms', 'segment.ms'],
    'unclean.leader.election.enable',
  ]) {
    assert.ok(known.has(name), name);
  }
});

test('the broker’s own configs are shown, read-only but for what topics begin with K80', async () => {
  const client = new Client(room);
  const resources = [{ resourceType: BROKER, resourceName: '0', configurationKeys: null }];
  const { results } = await client.ask(describeConfigs, 1, { resources });
  const configs = new Map(results[0]!.configs.map(({ name, value }) => [name, value]));
  assert.equal(configs.get('node.id'), '0');
  const open = results[0]!.configs.filter(({ readOnly }) => !readOnly).map(({ name }) => name);
  assert.deepEqual(open.sort(), DYNAMIC_CONFIGS.map(({ name }) => name).sort());
  const other = [{ resourceType: BROKER, resourceName: '7', configurationKeys: null }];
  const refused = await client.ask(describeConfigs, 1, { resources: other });
  assert.equal(refused.results[0]!.errorCode, KAFKA.INVALID_REQUEST);
});

test('partitions are added, never taken away K47 K137', async () => {
  const client = new Client(room);
  const name = await newTopic(client, 2);
  const grow = async (count: number, validateOnly = false) => {
    const topics = [{ name, count, assignments: null }];
    const answer = await client.ask(createPartitions, 3, { topics, timeoutMs: 1000, validateOnly });
    return answer.results[0]!.errorCode;
  };
  assert.equal(await grow(2), KAFKA.INVALID_PARTITIONS);
  assert.equal(await grow(1), KAFKA.INVALID_PARTITIONS);
  assert.equal(await grow(5, true), KAFKA.NONE);
  assert.equal(await grow(4), KAFKA.NONE);
  const { topics } = await client.ask(metadata, 8, { topics: [{ name }] });
  assert.deepEqual(
    topics[0]!.partitions.map(({ partitionIndex }) => partitionIndex),
    [0, 1, 2, 3],
  );
});

test('DeleteRecords moves the start of the log, not beyond its end K39 K121', async () => {
  const client = new Client(room);
  const name = await newTopic(client);
  for (let round = 0; round < 3; round++) {
    const partitionData = [{ index: 0, records: batchOf(['a', 'b']) }];
    await client.ask(produce, 9, { acks: -1, timeoutMs: 0, topicData: [{ name, partitionData }] });
  }
  const cut = async (offset: number) => {
    const topics = [{ name, partitions: [{ partitionIndex: 0, offset }] }];
    const answer = await client.ask(deleteRecords, 2, { topics, timeoutMs: 1000 });
    const { errorCode, lowWatermark } = answer.topics[0]!.partitions[0]!;
    return [errorCode, lowWatermark];
  };
  assert.deepEqual(await cut(3), [KAFKA.NONE, 3]);
  assert.deepEqual(await cut(1), [KAFKA.NONE, 3]);
  assert.deepEqual(await cut(7), [KAFKA.OFFSET_OUT_OF_RANGE, -1]);
  assert.deepEqual(await cut(-1), [KAFKA.NONE, 6]);
});

test('OffsetForLeaderEpoch knows the one epoch and its end K34 K123', async () => {
  const client = new Client(room);
  const name = await newTopic(client);
  const ask = async (leaderEpoch: number, currentLeaderEpoch = -1) => {
    const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }];
    const answer = await client.ask(offsetForLeaderEpoch, 4, {
      topics: [{ topic: name, partitions }],
    });
    const { errorCode, leaderEpoch: epoch, endOffset } = answer.topics[0]!.partitions[0]!;
    return [errorCode, epoch, endOffset];
  };
  assert.deepEqual(await ask(0), [KAFKA.NONE, 0, 0]);
  assert.deepEqual(await ask(1), [KAFKA.NONE, -1, -1]);
  assert.deepEqual(await ask(0, 2), [KAFKA.UNKNOWN_LEADER_EPOCH, -1, -1]);
});

test('DescribeCluster shows the one broker, and refuses controller endpoints K160', async () => {
  const client = new Client(room);
  const body = { includeClusterAuthorizedOperations: true };
  const cluster = await client.ask(describeCluster, 2, body);
  assert.deepEqual(
    cluster.brokers.map(({ brokerId, port, isFenced }) => [brokerId, port, isFenced]),
    [[0, 9092, false]],
  );
  assert.equal(cluster.clusterId, 'test-server');
  const controllers = await client.ask(describeCluster, 1, { ...body, endpointType: 2 });
  assert.equal(controllers.errorCode, KAFKA.MISMATCHED_ENDPOINT_TYPE);
});

type Page = Decoded<(typeof describeTopicPartitions)['response']>;

test('DescribeTopicPartitions comes in pages that miss nothing K175', async () => {
  const client = new Client(room);
  const names = [await newTopic(client, 3), await newTopic(client, 2)];
  const seen: string[] = [];
  let cursor: { topicName: string; partitionIndex: number } | null = null;
  for (let page = 0; page < 10; page++) {
    const answer: Page = await client.ask(describeTopicPartitions, 0, {
      topics: names.map((name) => ({ name })),
      responsePartitionLimit: 2,
      cursor,
    });
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex } of partitions) seen.push(`${name}/${partitionIndex}`);
    }
    cursor = answer.nextCursor;
    if (cursor === null) break;
  }
  const [first, second] = names;
  assert.deepEqual(seen, [`${first}/0`, `${first}/1`, `${first}/2`, `${second}/0`, `${second}/1`]);
});

test('DescribeLogDirs tells what each partition takes K135', async () => {
  const client = new Client(room);
  const name = await newTopic(client);
  const bytes = batchOf(['x'.repeat(500)]);
  const partitionData = [{ index: 0, records: bytes }];
  await client.ask(produce, 9, { acks: -1, timeoutMs: 0, topicData: [{ name, partitionData }] });
  const topics = [{ topic: name, partitions: [0, 9] }];
  const { results } = await client.ask(describeLogDirs, 4, { topics });
  const shown = results[0]!.topics[0]!.partitions;
  assert.equal(shown.length, 1);
  assert.ok(shown[0]!.partitionSize >= bytes.length);
});

test('a deny rule is kept by every API that names the topic K78', async () => {
  const client = new Client(room);
  const name = await newTopic(client);
  host.broker.principals.putRule({
    id: 'deny',
    effect: 'deny',
    principal: 'anonymous',
    actions: ['publish', 'describe'],
    pattern: name,
  });
  const partitionData = [{ index: 0, records: batchOf(['x']) }];
  const refused = await client.ask(produce, 9, {
    acks: -1,
    timeoutMs: 0,
    topicData: [{ name, partitionData }],
  });
  const code = refused.responses[0]!.partitionResponses[0]!.errorCode;
  assert.equal(code, KAFKA.TOPIC_AUTHORIZATION_FAILED);
  const named = await client.ask(metadata, 8, { topics: [{ name }] });
  assert.equal(named.topics[0]!.errorCode, KAFKA.TOPIC_AUTHORIZATION_FAILED);
  const all = await client.ask(metadata, 8, { topics: null });
  assert.ok(all.topics.every((topic) => topic.name !== name));
  host.broker.principals.removeRule('deny');
});

test('advertised addresses are read with and without listener and port K12', () => {
  assert.deepEqual(parseAdvertised('broker:9'), { listener: null, host: 'broker', port: 9 });
  assert.deepEqual(parseAdvertised('kafka-tls=b'), {
    listener: 'kafka-tls',
    host: 'b',
    port: null,
  });
  assert.deepEqual(parseAdvertised('[::1]:9'), { listener: null, host: '::1', port: 9 });
  for (const text of ['', 'a:0', 'a:70000', 'a b', 'a:b']) {
    assert.throws(() => parseAdvertised(text), { code: 'bad-configuration' }, text);
  }
});
