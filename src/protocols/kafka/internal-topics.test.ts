import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { batchOf, Client, fetchBody, newTopic, openRoom, produceTo } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { produce } from './messages/00-produce.ts';
import { fetch } from './messages/01-fetch.ts';
import { listOffsets } from './messages/02-list-offsets.ts';
import { metadata } from './messages/03-metadata.ts';
import { offsetCommit } from './messages/08-offset-commit.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { deleteTopics } from './messages/20-delete-topics.ts';
import { initProducerId } from './messages/22-init-producer-id.ts';
import { describeConfigs } from './messages/32-describe-configs.ts';
import { createPartitions } from './messages/37-create-partitions.ts';
import { incrementalAlterConfigs } from './messages/44-incremental-alter-configs.ts';
import { describeTopicPartitions } from './messages/75-describe-topic-partitions.ts';
import { shareGroupHeartbeat } from './messages/76-share-group-heartbeat.ts';
import type { Room } from './room.ts';

const OFFSETS = '__consumer_offsets';
const NAMES = [OFFSETS, '__share_group_state', '__transaction_state'];
const TOPIC = 2;
const { TOPIC_AUTHORIZATION_FAILED: DENIED } = KAFKA;

describe('topics of the server’s own state', () => {
  let host: TestHost;
  let room: Room;
  let root: Client;
  let topic: string;
  before(async () => {
    host = await openTestHost();
    room = openRoom(host);
    await host.broker.principals.setUser('root', 'secret', { superuser: true });
    await host.broker.principals.setUser('ann', 'secret', { superuser: false });
    root = clientOf('root');
    ({ name: topic } = await newTopic(root));
  });
  after(async () => {
    await room.close();
    await host.close();
  });

  function clientOf(user: string): Client {
    const identity = { commonName: user, digest: '', user, clientId: null };
    return new Client(room, { peer: { identity } });
  }

  async function listed(client: Client) {
    const { topics } = await client.ask(metadata, 12, { topics: null });
    return topics.filter(({ isInternal }) => isInternal);
  }

  it('are listed as internal once there is such state, and not before K48', async () => {
    assert.deepEqual(await listed(root), []);
    const asked = { topics: [{ name: OFFSETS }], allowAutoTopicCreation: true };
    const early = await root.ask(metadata, 12, asked);
    assert.equal(early.topics[0]!.errorCode, KAFKA.UNKNOWN_TOPIC_OR_PARTITION);
    const partitions = [{ partitionIndex: 0, committedOffset: 0, committedMetadata: null }];
    await root.ask(offsetCommit, 8, { groupId: 'g', topics: [{ name: topic, partitions }] });
    assert.deepEqual(
      (await listed(root)).map(({ name }) => name),
      [OFFSETS],
    );
    await root.ask(shareGroupHeartbeat, 1, {
      ...{ groupId: 's', memberId: 'm', memberEpoch: 0, subscribedTopicNames: [topic] },
    });
    await root.ask(initProducerId, 4, { transactionalId: 't', transactionTimeoutMs: 1000 });
    const all = await listed(root);
    assert.deepEqual(
      all.map(({ name, partitions: { length } }) => [name, length]),
      NAMES.map((name) => [name, 1]),
    );
    for (const { name, topicId } of all) {
      const byName = await root.ask(metadata, 12, { topics: [{ name }] });
      const byId = await root.ask(metadata, 12, { topics: [{ name: null, topicId }] });
      assert.deepEqual(byId.topics, byName.topics);
      assert.deepEqual([byId.topics[0]!.name, byId.topics[0]!.isInternal], [name, true]);
    }
    const paged = await root.ask(describeTopicPartitions, 0, {
      ...{ topics: [], responsePartitionLimit: 2, cursor: null },
    });
    assert.deepEqual(
      paged.topics.map(({ name, isInternal }) => [name, isInternal]),
      NAMES.slice(0, 2).map((name) => [name, true]),
    );
    const { nextCursor: cursor } = paged;
    const rest = await root.ask(describeTopicPartitions, 0, {
      ...{ topics: [], responsePartitionLimit: 2, cursor },
    });
    assert.deepEqual(
      rest.topics.map(({ name, isInternal }) => [name, isInternal]),
      [
        [NAMES[2], true],
        [topic, false],
      ],
    );
    assert.equal(rest.nextCursor, null);
  });

  it('have offsets and configs, and are neither read nor written nor changed, whoever asks K48', async () => {
    const [{ topicId }] = (await listed(root)) as [Awaited<ReturnType<typeof listed>>[number]];
    const timestamps = [-1, -2, 0];
    const offsets = await Promise.all(
      timestamps.map(async (timestamp) => {
        const partitions = [{ partitionIndex: 0, timestamp }];
        const topics = [{ name: OFFSETS, partitions }];
        const answer = await clientOf('root').ask(listOffsets, 7, { replicaId: -1, topics });
        const [part] = answer.topics[0]!.partitions;
        return [part!.errorCode, part!.offset];
      }),
    );
    assert.deepEqual(offsets, [
      ...[
        [0, 0],
        [0, 0],
        [0, -1],
      ],
    ]);
    const configurationKeys = ['cleanup.policy'];
    const resource = { resourceType: TOPIC, resourceName: OFFSETS };
    const { results } = await root.ask(describeConfigs, 4, {
      resources: [{ ...resource, configurationKeys }],
    });
    const [config] = results[0]!.configs;
    assert.deepEqual([config!.value, config!.readOnly], ['compact', true]);
    assert.equal((await produceTo(root, OFFSETS, batchOf(['x']))).errorCode, DENIED);
    const partitionData = [{ index: 0, records: batchOf(['x']) }];
    const made = await root.ask(produce, 13, {
      ...{ acks: -1, timeoutMs: 1000, topicData: [{ topicId, partitionData }] },
    });
    assert.equal(made.responses[0]!.partitionResponses[0]!.errorCode, DENIED);
    const byName = await root.ask(fetch, 12, fetchBody(OFFSETS, 0));
    assert.equal(byName.responses[0]!.partitions[0]!.errorCode, DENIED);
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }];
    const byId = await root.ask(fetch, 13, {
      ...fetchBody(OFFSETS, 0),
      topics: [{ topicId, partitions }],
    });
    assert.equal(byId.responses[0]!.partitions[0]!.errorCode, DENIED);
    const removed = await root.ask(deleteTopics, 5, { topicNames: [OFFSETS], timeoutMs: 1000 });
    assert.equal(removed.responses[0]!.errorCode, DENIED);
    const more = [{ name: OFFSETS, count: 3, assignments: null }];
    const grown = await root.ask(createPartitions, 3, {
      topics: more,
      timeoutMs: 1000,
      validateOnly: false,
    });
    assert.equal(grown.results[0]!.errorCode, DENIED);
    const configs = [{ name: 'retention.ms', configOperation: 0, value: '1' }];
    const changed = await root.ask(incrementalAlterConfigs, 1, {
      ...{ resources: [{ ...resource, configs }], validateOnly: false },
    });
    assert.equal(changed.responses[0]!.errorCode, DENIED);
    const shape = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    const again = await root.ask(createTopics, 7, { topics: [{ name: OFFSETS, ...shape }] });
    assert.equal(again.topics[0]!.errorCode, KAFKA.INVALID_TOPIC_EXCEPTION);
  });

  it('are shown to whom may know them K48 K78', async () => {
    host.broker.principals.configure({ noMatch: 'deny' });
    const ann = clientOf('ann');
    assert.deepEqual(await listed(ann), []);
    const { topics } = await ann.ask(metadata, 12, { topics: [{ name: OFFSETS }] });
    assert.equal(topics[0]!.errorCode, DENIED);
  });
});
