import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { batchOf, newTopic, produceBody, produceTo } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { produce } from '../messages/00-produce.ts';
import { offsetCommit } from '../messages/08-offset-commit.ts';
import { joinGroup } from '../messages/11-join-group.ts';
import { listGroups } from '../messages/16-list-groups.ts';
import { apiVersions } from '../messages/18-api-versions.ts';
import { deleteTopics } from '../messages/20-delete-topics.ts';
import { describeConfigs } from '../messages/32-describe-configs.ts';
import { createPartitions } from '../messages/37-create-partitions.ts';
import { deleteGroups } from '../messages/42-delete-groups.ts';
import { consumerGroupHeartbeat } from '../messages/68-consumer-group-heartbeat.ts';
import { shareGroupDescribe } from '../messages/77-share-group-describe.ts';
import { describeShareGroupOffsets } from '../messages/90-describe-share-group-offsets.ts';
import { alterShareGroupOffsets } from '../messages/91-alter-share-group-offsets.ts';
import { deleteShareGroupOffsets } from '../messages/92-delete-share-group-offsets.ts';
import { ACCEPT, Shares } from './share.fixture.ts';

const GROUP = 32;

describe('Kafka: share groups', () => {
  let at: Shares;

  beforeEach(async () => {
    at = await Shares.open();
  });
  afterEach(() => at.close());

  test('the feature is told, and the APIs with the versions of Kafka 4.2 K5 K66', async () => {
    const { apiKeys, finalizedFeatures } = await at.client.ask(apiVersions, 4, {
      clientSoftwareName: 'test',
      clientSoftwareVersion: '1',
    });
    const feature = finalizedFeatures.find((one) => one.name === 'share.version');
    assert.equal(feature?.maxVersionLevel, 1);
    const ranges = [76, 77, 78, 79, 90, 91, 92].map((key) => {
      const { minVersion, maxVersion } = apiKeys.find(({ apiKey }) => apiKey === key)!;
      return [key, minVersion, maxVersion];
    });
    const wanted = [
      [76, 1, 1],
      [77, 1, 1],
      [78, 1, 2],
      [79, 1, 2],
      [90, 0, 1],
      [91, 0, 0],
    ];
    assert.deepEqual(ranges, [...wanted, [92, 0, 0]]);
  });

  test('members share partitions, and each has some K66 K176', async () => {
    await at.client.ask(createPartitions, 3, {
      topics: [{ name: at.name, count: 3, assignments: null }],
      ...{ timeoutMs: 1000, validateOnly: false },
    });
    const [one, two] = [at.member(), at.member()];
    assert.deepEqual(await one.join(at.name), [0, 1, 2]);
    const second = await two.join(at.name);
    const first = one.partsOf((await one.beat()).assignment);
    assert.deepEqual([...first, ...second].sort(), [0, 1, 2]);
    assert.equal((await one.beat()).memberEpoch, 2);
    assert.equal((await two.beat(null, -1)).memberEpoch, -1);
    const again = await one.beat(null, 2);
    assert.deepEqual(one.partsOf(again.assignment), [0, 1, 2]);
    assert.equal((await two.beat(null, 2)).errorCode, KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal((await one.beat(null, 9)).errorCode, KAFKA.FENCED_MEMBER_EPOCH);
    assert.equal((await at.member().beat([], 0)).errorCode, KAFKA.INVALID_REQUEST);
  });

  test('more members than partitions share them K66 K176', async () => {
    const all = [at.member(), at.member(), at.member()];
    for (const one of all) assert.deepEqual(await one.join(at.name), [0]);
  });

  test('a group begins where its config says: latest, earliest, or by time K66 K67', async () => {
    const old = { timestampMs: at.time.clock.nowMs() - 7_200_000 };
    await produceTo(at.client, at.name, batchOf(['a', 'b'], old));
    const late = at.member('late');
    await late.join(at.name);
    assert.deepEqual((await late.fetch()).acquired, []);
    const early = await at.reader('early');
    assert.deepEqual((await early.fetch()).acquired, [[0, 1, 1]]);
    await produceTo(at.client, at.name, batchOf(['old'], old));
    await at.write('new');
    await at.configure('timed', { 'share.auto.offset.reset': 'by_duration:PT1H' });
    const timed = at.member('timed');
    await timed.join(at.name);
    assert.deepEqual((await timed.fetch()).acquired, [[3, 3, 1]]);
    assert.deepEqual((await late.fetch()).acquired, [[2, 3, 1]]);
  });

  test('partitions that a topic gets later are read from their beginning K66', async () => {
    const me = at.member();
    await me.join(at.name);
    await at.client.ask(createPartitions, 3, {
      topics: [{ name: at.name, count: 2, assignments: null }],
      ...{ timeoutMs: 1000, validateOnly: false },
    });
    await produceTo(at.client, at.name, batchOf(['x']), -1);
    const body = { index: 1, records: batchOf(['new']) };
    await at.client.ask(produce, 8, {
      ...{ acks: -1, timeoutMs: 1000 },
      topicData: [{ name: at.name, partitionData: [body] }],
    });
    assert.deepEqual(me.partsOf((await me.beat()).assignment), [0, 1]);
    assert.deepEqual((await me.fetch({ index: 1 })).acquired.length, 1);
  });

  test('a topic that is deleted ends its fetches, and a new one of its name begins anew K66', async () => {
    await at.write('a');
    const me = await at.reader();
    await me.fetch();
    me.sendFetch({ waitMs: 1000 });
    await at.client.ask(deleteTopics, 6, {
      topics: [{ name: at.name, topicId: at.topicId }],
      timeoutMs: 1000,
    });
    assert.deepEqual((await me.fetched()).acquired, []);
    assert.equal(await me.say([[0, 0, ACCEPT]]), KAFKA.UNKNOWN_TOPIC_ID);
    assert.deepEqual(await at.offsets(), []);
  });

  test('group configs are checked, shown and taken back K67', async () => {
    const wrong = [
      { 'share.auto.offset.reset': 'yesterday' },
      { 'share.auto.offset.reset': 'by_duration:P' },
      { 'share.isolation.level': 'none' },
      { 'share.record.lock.duration.ms': '1000' },
      { 'share.session.timeout.ms': '1' },
    ];
    for (const configs of wrong)
      assert.equal(await at.configure('g', configs), KAFKA.INVALID_CONFIG);
    const set = {
      'share.record.lock.duration.ms': '15000',
      'share.isolation.level': 'read_committed',
    };
    assert.equal(await at.configure('g', set), KAFKA.NONE);
    const { results } = await at.client.ask(describeConfigs, 4, {
      resources: [{ resourceType: GROUP, resourceName: 'g', configurationKeys: null }],
    });
    const values = new Map(results[0]!.configs.map((config) => [config.name, config.value]));
    assert.equal(values.get('share.record.lock.duration.ms'), '15000');
    assert.equal(values.get('share.auto.offset.reset'), 'latest');
    await at.write('a');
    const me = await at.reader();
    assert.equal((await me.fetch()).lockMs, 15_000);
    at.time.pass(15_000);
    assert.deepEqual((await me.fetch()).acquired, [[0, 0, 2]]);
  });

  test('the metrics tell how far share groups are behind K66 X66', async () => {
    await at.write('a', 'b', 'c');
    const me = await at.reader();
    assert.deepEqual(at.lags(), { g: 3 });
    await me.fetch();
    await me.say([[1, 2, ACCEPT]]);
    assert.deepEqual(at.lags(), { g: 1 });
  });

  test('groups are listed, described, and not taken for groups of other kinds K66 K116 K177', async () => {
    const me = await at.reader();
    const { groups } = await at.client.ask(listGroups, 5, {
      statesFilter: [],
      typesFilter: ['share'],
    });
    assert.deepEqual(
      groups.map(({ groupId, groupType, groupState }) => [groupId, groupType, groupState]),
      [['g', 'share', 'Stable']],
    );
    const described = await at.client.ask(shareGroupDescribe, 1, {
      ...{ groupIds: ['g', 'nobody'], includeAuthorizedOperations: true },
    });
    const [group, unknown] = described.groups;
    assert.equal(unknown!.errorCode, KAFKA.GROUP_ID_NOT_FOUND);
    assert.deepEqual([group!.groupState, group!.assignorName], ['Stable', 'simple']);
    const [shown] = group!.members;
    assert.deepEqual([shown!.memberId, shown!.subscribedTopicNames], [me.memberId, [at.name]]);
    assert.deepEqual(shown!.assignment.topicPartitions[0]!.partitions, [0]);
    const joined = await at.client.ask(joinGroup, 9, {
      ...{ groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 1000, memberId: '' },
      ...{ protocolType: 'consumer', protocols: [{ name: 'range', metadata: Buffer.of() }] },
    });
    assert.equal(joined.errorCode, KAFKA.INCONSISTENT_GROUP_PROTOCOL);
    const consumer = await at.client.ask(consumerGroupHeartbeat, 1, {
      ...{ groupId: 'g', memberId: 'm', memberEpoch: 0, rebalanceTimeoutMs: 1000 },
      ...{ subscribedTopicNames: [at.name], topicPartitions: [] },
    });
    assert.equal(consumer.errorCode, KAFKA.GROUP_ID_NOT_FOUND);
    await at.client.ask(offsetCommit, 8, {
      ...{ groupId: 'other', generationIdOrMemberEpoch: -1, memberId: '' },
      topics: [
        {
          name: at.name,
          partitions: [{ partitionIndex: 0, committedOffset: 0, committedMetadata: null }],
        },
      ],
    });
    assert.equal((await at.member('other').beat([at.name], 0)).errorCode, KAFKA.GROUP_ID_NOT_FOUND);
  });

  test('places of an empty group are moved and deleted, and the group with them K66 K190 K191 K192', async () => {
    await at.write('a', 'b', 'c');
    const me = await at.reader();
    await me.fetch();
    await me.say([[0, 2, ACCEPT]]);
    const move = {
      groupId: 'g',
      topics: [{ topicName: at.name, partitions: [{ partitionIndex: 0, startOffset: 1 }] }],
    };
    assert.equal(
      (await at.client.ask(alterShareGroupOffsets, 0, move)).errorCode,
      KAFKA.NON_EMPTY_GROUP,
    );
    await me.beat(null, -1);
    const { errorCode, responses } = await at.client.ask(alterShareGroupOffsets, 0, move);
    assert.deepEqual([errorCode, responses[0]!.partitions[0]!.errorCode], [KAFKA.NONE, KAFKA.NONE]);
    assert.deepEqual(await at.offsets(), [[1, 2]]);
    await at.restart();
    assert.deepEqual(await at.offsets(), [[1, 2]]);
    const again = await at.reader();
    assert.deepEqual((await again.fetch()).acquired, [[1, 2, 1]]);
    await again.beat(null, -1);
    const forget = { groupId: 'g', topics: [{ topicName: at.name }, { topicName: 'nothing' }] };
    const forgotten = await at.client.ask(deleteShareGroupOffsets, 0, forget);
    const codes = forgotten.responses.map((response) => response.errorCode);
    assert.deepEqual(codes, [KAFKA.NONE, KAFKA.UNKNOWN_TOPIC_OR_PARTITION]);
    assert.deepEqual(await at.offsets(), []);
    const { results } = await at.client.ask(deleteGroups, 2, { groupsNames: ['g'] });
    assert.equal(results[0]!.errorCode, KAFKA.NONE);
    assert.equal(await at.offsets(), KAFKA.GROUP_ID_NOT_FOUND);
  });

  test('a place in one partition leaves the others to be read from where the group begins K66 K191', async () => {
    const { name } = await newTopic(at.client, 3);
    for (const index of [0, 1, 2]) {
      await at.client.ask(produce, 8, produceBody(name, batchOf(['a', 'b']), -1, index));
    }
    const me = await at.reader();
    await me.beat(null, -1);
    const partitions = [{ partitionIndex: 2, startOffset: 1 }];
    const move = { groupId: 'g', topics: [{ topicName: name, partitions }] };
    const { responses } = await at.client.ask(alterShareGroupOffsets, 0, move);
    assert.equal(responses[0]!.partitions[0]!.errorCode, KAFKA.NONE);
    for (let life = 0; life < 2; life++) {
      const reader = at.member();
      assert.equal((await reader.beat([name], 0)).errorCode, KAFKA.NONE);
      const { groups } = await at.client.ask(describeShareGroupOffsets, 1, {
        groups: [{ groupId: 'g', topics: [{ topicName: name, partitions: [0, 1, 2] }] }],
      });
      const places = groups[0]!.topics[0]!.partitions.map((part) => [part.startOffset, part.lag]);
      assert.deepEqual(places, [
        ...[
          [0, 2],
          [0, 2],
          [1, 1],
        ],
      ]);
      await reader.beat(null, -1);
      await at.restart();
    }
  });

  test('a member that names too many topics is refused, and the server lives on K8 K66', async () => {
    const many = Array.from({ length: 10_001 }, (_, n) => `t${n}`);
    const long = Array.from({ length: 2_000 }, (_, n) => `topic-${n}-${'x'.repeat(150)}`);
    const none = { instanceId: null, rackId: null, serverAssignor: null, topicPartitions: [] };
    for (const names of [many, long]) {
      assert.equal((await at.member().beat(names, 0)).errorCode, KAFKA.INVALID_REQUEST);
      const { errorCode } = await at.client.ask(consumerGroupHeartbeat, 0, {
        ...{ ...none, groupId: 'c', memberId: '', memberEpoch: 0, rebalanceTimeoutMs: 60_000 },
        subscribedTopicNames: names,
      });
      assert.equal(errorCode, KAFKA.INVALID_REQUEST);
    }
    assert.equal((await at.member().beat(many.slice(0, 10_000), 0)).errorCode, KAFKA.NONE);
  });
});
