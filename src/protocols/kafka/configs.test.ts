import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { batchOf, Client, newTopic, openRoom, produceTo } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { saslHandshake } from './messages/17-sasl-handshake.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { describeConfigs } from './messages/32-describe-configs.ts';
import { alterConfigs } from './messages/33-alter-configs.ts';
import { alterReplicaLogDirs } from './messages/34-alter-replica-log-dirs.ts';
import { describeLogDirs } from './messages/35-describe-log-dirs.ts';
import { saslAuthenticate } from './messages/36-sasl-authenticate.ts';
import { electLeaders } from './messages/43-elect-leaders.ts';
import { incrementalAlterConfigs } from './messages/44-incremental-alter-configs.ts';
import { alterPartitionReassignments } from './messages/45-alter-partition-reassignments.ts';
import { listPartitionReassignments } from './messages/46-list-partition-reassignments.ts';
import { describeQuorum } from './messages/55-describe-quorum.ts';
import { consumerGroupHeartbeat } from './messages/68-consumer-group-heartbeat.ts';
import { listConfigResources } from './messages/74-list-config-resources.ts';
import type { Room } from './room.ts';

const TOPIC = 2;
const GROUP = 32;
const SET = 0;
const DELETE = 1;
const APPEND = 2;

let host: TestHost;
let room: Room;
let client: Client;

before(async () => {
  host = await openTestHost();
  room = openRoom(host);
  client = new Client(room);
});
after(async () => {
  await room.close();
  await host.close();
});

/** A client that may do everything. */
async function superuser(): Promise<Client> {
  await host.broker.principals.setUser('root', 'secret', { superuser: true });
  const root = new Client(room, { peer: { address: '192.0.2.7', port: 5 } });
  await root.ask(saslHandshake, 1, { mechanism: 'PLAIN' });
  const authBytes = Buffer.from('\0root\0secret');
  const { errorCode } = await root.ask(saslAuthenticate, 2, { authBytes });
  assert.equal(errorCode, KAFKA.NONE);
  return root;
}

type Change = readonly [name: string, operation: number, value: string | null];

async function alter(
  resourceType: number,
  resourceName: string,
  changes: readonly Change[],
  validateOnly = false,
): Promise<number> {
  const configs = changes.map(([name, configOperation, value]) => ({
    ...{ name, configOperation, value },
  }));
  const { responses } = await client.ask(incrementalAlterConfigs, 1, {
    ...{ resources: [{ resourceType, resourceName, configs }], validateOnly },
  });
  return responses[0]!.errorCode;
}

/** Value, source, and the sources of all synonyms. */
async function shown(resourceType: number, resourceName: string, name: string) {
  const { results } = await client.ask(describeConfigs, 4, {
    resources: [{ resourceType, resourceName, configurationKeys: [name] }],
    ...{ includeSynonyms: true, includeDocumentation: true },
  });
  const config = results[0]!.configs[0]!;
  assert.ok(config.documentation);
  return [config.value, config.configSource, config.synonyms.map(({ source }) => source)];
}

test('configs of a group are kept within the limits, shown with their source, and told to members K67 K80 K174', async () => {
  const name = 'consumer.heartbeat.interval.ms';
  assert.deepEqual(await shown(GROUP, 'g', name), ['5000', 4, [4]]);
  assert.equal(await alter(GROUP, 'g', [[name, SET, '7000']], true), KAFKA.NONE);
  assert.deepEqual(await shown(GROUP, 'g', name), ['5000', 4, [4]], 'only validated');
  assert.equal(await alter(GROUP, 'g', [[name, SET, '7000']]), KAFKA.NONE);
  assert.deepEqual(await shown(GROUP, 'g', name), ['7000', 8, [8, 4]]);
  for (const wrong of [
    [name, SET, '1'],
    [name, SET, '16000'],
    [name, SET, 'soon'],
    [name, APPEND, '1'],
    ['consumer.session.timeout.ms', SET, '44999'],
    ['consumer.session.timeout.ms', SET, '60001'],
    ['no.such.config', SET, '1'],
  ] as const) {
    assert.equal(await alter(GROUP, 'g', [wrong]), KAFKA.INVALID_CONFIG, wrong.join());
  }
  assert.equal(await alter(GROUP, 'g', [[name, SET, null]]), KAFKA.INVALID_REQUEST);
  const beat = await client.ask(consumerGroupHeartbeat, 1, {
    ...{ groupId: 'g', memberId: 'a', memberEpoch: 0, rebalanceTimeoutMs: 1000 },
    ...{ subscribedTopicNames: ['t'], topicPartitions: [] },
  });
  assert.equal(beat.heartbeatIntervalMs, 7000);
  const listed = await client.ask(listConfigResources, 1, { resourceTypes: [GROUP] });
  assert.deepEqual(listed.configResources, [{ resourceName: 'g', resourceType: GROUP }]);
  const none = await client.ask(listConfigResources, 0, {});
  assert.deepEqual(none.configResources, [], 'version 0 asks for client metrics');
  const unknown = await client.ask(listConfigResources, 1, { resourceTypes: [99] });
  assert.equal(unknown.errorCode, KAFKA.UNSUPPORTED_VERSION);
  assert.equal(await alter(GROUP, 'g', [[name, DELETE, null]]), KAFKA.NONE);
  assert.deepEqual(await shown(GROUP, 'g', name), ['5000', 4, [4]]);
});

test('bounds of times are enforced per topic K25 K42', async () => {
  const { name } = await newTopic(client);
  const nowMs = host.clock.nowMs();
  const produce = async (timestampMs: number) =>
    (await produceTo(client, name, batchOf(['a'], { timestampMs }))).errorCode;
  assert.equal(await produce(nowMs - 86_400_000), KAFKA.NONE);
  const beforeMax = 'message.timestamp.before.max.ms';
  assert.equal(await alter(TOPIC, name, [[beforeMax, SET, '60000']]), KAFKA.NONE);
  assert.deepEqual(await shown(TOPIC, name, beforeMax), ['60000', 1, [1, 5]]);
  assert.equal(await produce(nowMs - 86_400_000), KAFKA.INVALID_TIMESTAMP);
  assert.equal(await produce(nowMs - 1000), KAFKA.NONE);
  assert.equal(await produce(nowMs + 120_000), KAFKA.NONE);
  const afterMax = 'message.timestamp.after.max.ms';
  assert.deepEqual(await shown(TOPIC, name, afterMax), ['3600000', 5, [5]]);
  assert.equal(await alter(TOPIC, name, [[afterMax, SET, '60000']]), KAFKA.NONE);
  assert.equal(await produce(nowMs + 120_000), KAFKA.INVALID_TIMESTAMP);
  assert.equal(await alter(TOPIC, name, [[afterMax, DELETE, null]]), KAFKA.NONE);
  assert.equal(await produce(nowMs + 120_000), KAFKA.NONE);
  assert.equal(await alter(TOPIC, name, [[afterMax, SET, '-1']]), KAFKA.INVALID_CONFIG);
});

test('a topic that asks for two replicas takes nothing of acks=all K27 K42', async () => {
  const { name } = await newTopic(client, 1, [{ name: 'min.insync.replicas', value: '2' }]);
  const all = await produceTo(client, name, batchOf(['a']), -1);
  assert.equal(all.errorCode, KAFKA.NOT_ENOUGH_REPLICAS);
  assert.equal((await produceTo(client, name, batchOf(['a']), 1)).errorCode, KAFKA.NONE);
  assert.equal(await alter(TOPIC, name, [['min.insync.replicas', SET, '1']]), KAFKA.NONE);
  assert.equal((await produceTo(client, name, batchOf(['a']), -1)).errorCode, KAFKA.NONE);
});

test('AlterConfigs replaces all configs of a topic K133', async () => {
  const { name } = await newTopic(client, 1, [
    { name: 'retention.ms', value: '1000' },
    { name: 'robustmq.durability', value: 'async' },
  ]);
  const replace = async (configs: readonly { name: string; value: string }[], version = 2) => {
    const resources = [{ resourceType: TOPIC, resourceName: name, configs }];
    const { responses } = await client.ask(alterConfigs, version, {
      resources,
      validateOnly: false,
    });
    return responses[0]!.errorCode;
  };
  assert.equal(await replace([{ name: 'max.message.bytes', value: '5000' }], 0), KAFKA.NONE);
  assert.deepEqual(await shown(TOPIC, name, 'max.message.bytes'), ['5000', 1, [1, 5]]);
  assert.deepEqual((await shown(TOPIC, name, 'retention.ms'))[1], 5, 'the default again');
  assert.equal((await shown(TOPIC, name, 'robustmq.durability'))[0], 'async', 'cannot change');
  assert.equal(await replace([{ name: 'nonsense', value: '1' }]), KAFKA.INVALID_CONFIG);
});

test('a topic that a client makes is bounded by time alone, one that a message made by size too K39 K42', async () => {
  const { name } = await newTopic(client);
  assert.deepEqual(await shown(TOPIC, name, 'retention.bytes'), ['-1', 5, [5]]);
  assert.equal(host.broker.streams.get(name)!.settings.retentionBytes, -1);
  const other = host.broker.streams.create('made-by-a-message', {});
  const size = String(2 ** 30);
  assert.deepEqual(await shown(TOPIC, other.name, 'retention.bytes'), [size, 1, [1, 5]]);
  assert.equal(await alter(TOPIC, other.name, [['retention.bytes', DELETE, null]]), KAFKA.NONE);
  assert.equal(host.broker.streams.get(other.name)!.settings.retentionBytes, -1);
});

test('CreateTopics tells which configs are those of the topic itself K81', async () => {
  const configs = [{ name: 'retention.ms', value: '1000' }];
  const wanted = { name: 'told', numPartitions: 1, replicationFactor: 1, assignments: [], configs };
  const { topics } = await client.ask(createTopics, 7, { topics: [wanted] });
  const own = topics[0]!.configs!.filter(({ configSource }) => configSource === 1);
  assert.deepEqual(
    own.map(({ name, value }) => [name, value]),
    [['retention.ms', '1000']],
  );
});

test('a replica may be asked to where it is, in the one directory, and nowhere else K134', async () => {
  const { name } = await newTopic(client, 2);
  const root = await superuser();
  const move = async (by: Client, path: string): Promise<number[]> => {
    const dirs = [{ path, topics: [{ name, partitions: [1, 2] }] }];
    const { results } = await by.ask(alterReplicaLogDirs, 2, { dirs });
    return results.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
  };
  const { logDir } = (await root.ask(describeLogDirs, 4, { topics: null })).results[0]!;
  const unknown = KAFKA.UNKNOWN_TOPIC_OR_PARTITION;
  assert.deepEqual(await move(root, logDir), [KAFKA.NONE, unknown]);
  assert.deepEqual(await move(root, '/x'), [KAFKA.LOG_DIR_NOT_FOUND, KAFKA.LOG_DIR_NOT_FOUND]);
  const denied = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
  assert.deepEqual(await move(client, logDir), [denied, denied]);
});

test('elections, reassignments and the quorum are answered as one broker K143 K145 K146 K155', async () => {
  const { name } = await newTopic(client, 2);
  const root = await superuser();
  const denied = await client.ask(electLeaders, 2, { topicPartitions: null });
  assert.equal(denied.errorCode, KAFKA.CLUSTER_AUTHORIZATION_FAILED);
  const elected = await root.ask(electLeaders, 2, {
    ...{ electionType: 0, topicPartitions: [{ topic: name, partitions: [1, 2] }] },
  });
  assert.deepEqual(
    elected.replicaElectionResults[0]!.partitionResult.map(({ errorCode }) => errorCode),
    [KAFKA.ELECTION_NOT_NEEDED, KAFKA.UNKNOWN_TOPIC_OR_PARTITION],
  );
  const every = await root.ask(electLeaders, 0, { topicPartitions: null });
  assert.deepEqual(every.replicaElectionResults, []);
  const wanted = [[0], [0, 1], [7], null].map((replicas) => ({ partitionIndex: 0, replicas }));
  const { responses } = await root.ask(alterPartitionReassignments, 0, {
    topics: [{ name, partitions: wanted }],
  });
  const bad = KAFKA.INVALID_REPLICA_ASSIGNMENT;
  assert.deepEqual(
    responses[0]!.partitions.map(({ errorCode }) => errorCode),
    [KAFKA.NONE, bad, bad, KAFKA.NO_REASSIGNMENT_IN_PROGRESS],
  );
  const under = await client.ask(listPartitionReassignments, 0, {});
  assert.deepEqual([under.errorCode, under.topics], [KAFKA.NONE, []]);
  const quorum = await client.ask(describeQuorum, 2, {
    topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }],
  });
  const { leaderId, currentVoters, highWatermark } = quorum.topics[0]!.partitions[0]!;
  assert.deepEqual([leaderId, currentVoters[0]!.replicaId, currentVoters.length], [0, 0, 1]);
  assert.equal(currentVoters[0]!.logEndOffset, highWatermark);
  assert.equal(quorum.nodes.length, 1);
});
