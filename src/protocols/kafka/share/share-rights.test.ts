import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Action } from '#broker';
import { openTestHost, type TestHost } from '../../../../test/contract/test-host.ts';
import { batchOf, Client, newTopic, openRoom, produceTo } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { deleteGroups } from '../messages/42-delete-groups.ts';
import { shareGroupHeartbeat } from '../messages/76-share-group-heartbeat.ts';
import { shareGroupDescribe } from '../messages/77-share-group-describe.ts';
import { shareFetch } from '../messages/78-share-fetch.ts';
import { shareAcknowledge } from '../messages/79-share-acknowledge.ts';
import { describeShareGroupOffsets } from '../messages/90-describe-share-group-offsets.ts';
import { alterShareGroupOffsets } from '../messages/91-alter-share-group-offsets.ts';
import { deleteShareGroupOffsets } from '../messages/92-delete-share-group-offsets.ts';
import type { Room } from '../room.ts';
import { ZERO_UUID } from '../rows.ts';

const GROUP = 'crew';
const MEMBER = 'member-1';
const { NONE, GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED } = KAFKA;

/** Ann has no rights but those that a test gives her; root made the group and is out of it. */
describe('rights on share groups', () => {
  let host: TestHost;
  let room: Room;
  let ann: Client;
  let topic: string;
  let topicId: string;

  function clientOf(user: string): Client {
    const identity = { commonName: user, digest: '', user, clientId: null };
    return new Client(room, { peer: { identity } });
  }

  before(async () => {
    host = await openTestHost();
    room = openRoom(host);
    await host.broker.principals.setUser('root', 'secret', { superuser: true });
    await host.broker.principals.setUser('ann', 'secret', { superuser: false });
    host.broker.principals.configure({ noMatch: 'deny' });
    ann = clientOf('ann');
    const root = clientOf('root');
    ({ name: topic, topicId } = await newTopic(root));
    await produceTo(root, topic, batchOf(['one']));
    room.groupConfigs.set(GROUP, { 'share.auto.offset.reset': 'earliest' });
    const beat = { groupId: GROUP, memberId: MEMBER, subscribedTopicNames: [topic] };
    const joined = await root.ask(shareGroupHeartbeat, 1, { ...beat, memberEpoch: 0 });
    assert.equal(joined.errorCode, NONE);
  });
  after(async () => {
    await room.close();
    await host.close();
  });
  beforeEach(() => {
    for (const { id } of host.broker.principals.rules()) {
      host.broker.principals.removeRule(id);
    }
  });

  function allow(kind: 'group' | 'stream', action: Action): void {
    host.broker.principals.putRule({
      ...{ id: `${kind}-${action}`, effect: 'allow', principal: 'ann', kind, actions: [action] },
      pattern: kind === 'group' ? GROUP : topic,
    });
  }

  const heartbeat = async () =>
    (
      await ann.ask(shareGroupHeartbeat, 1, {
        ...{ groupId: GROUP, memberId: 'member-2', memberEpoch: 0, subscribedTopicNames: [topic] },
      })
    ).errorCode;

  async function describeGroup() {
    const asked = { groupIds: [GROUP], includeAuthorizedOperations: false };
    const { groups } = await ann.ask(shareGroupDescribe, 1, asked);
    return [groups[0]!.errorCode, groups[0]!.members.length > 0];
  }

  async function fetchOnce() {
    const { errorCode, responses } = await ann.ask(shareFetch, 1, {
      ...{ groupId: GROUP, memberId: 'member-3', shareSessionEpoch: 0, maxWaitMs: 0, minBytes: 1 },
      ...{ maxBytes: 1 << 20, maxRecords: 10, batchSize: 10, forgottenTopicsData: [] },
      topics: [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [] }] }],
    });
    const part = responses[0]?.partitions[0];
    return [errorCode, part?.errorCode, part?.records?.length ?? 0];
  }

  async function acknowledgeOnce(shareSessionEpoch: number) {
    const batch = { firstOffset: 0, lastOffset: 0, acknowledgeTypes: [1] };
    const { errorCode, responses } = await ann.ask(shareAcknowledge, 1, {
      ...{ groupId: GROUP, memberId: 'member-3', shareSessionEpoch },
      topics: [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [batch] }] }],
    });
    return [errorCode, responses[0]?.partitions[0]?.errorCode];
  }

  async function offsets(topics: { topicName: string; partitions: number[] }[] | null) {
    const groups = [{ groupId: GROUP, topics }];
    const answer = await ann.ask(describeShareGroupOffsets, 1, { groups });
    const { errorCode, topics: told } = answer.groups[0]!;
    return [errorCode, told.map((one) => [one.topicId, one.partitions[0]!.errorCode])];
  }

  it('a heartbeat takes the right to read the group and to know its topics K66 K78 K176', async () => {
    assert.equal(await heartbeat(), GROUP_AUTHORIZATION_FAILED);
    allow('group', 'describe');
    assert.equal(await heartbeat(), GROUP_AUTHORIZATION_FAILED, 'to know it is not to read it');
    allow('group', 'subscribe');
    assert.equal(await heartbeat(), TOPIC_AUTHORIZATION_FAILED);
    allow('stream', 'describe');
    assert.equal(await heartbeat(), NONE);
  });

  it('a group is described to whom may know it and all of its topics K66 K78 K177', async () => {
    assert.deepEqual(await describeGroup(), [GROUP_AUTHORIZATION_FAILED, false]);
    allow('group', 'describe');
    assert.deepEqual(await describeGroup(), [TOPIC_AUTHORIZATION_FAILED, false]);
    allow('stream', 'describe');
    assert.deepEqual(await describeGroup(), [NONE, true]);
  });

  it('records are fetched and acknowledged with the right to read group and topic K66 K78 K178 K179', async () => {
    assert.deepEqual(await fetchOnce(), [GROUP_AUTHORIZATION_FAILED, undefined, 0]);
    allow('stream', 'subscribe');
    assert.deepEqual(await fetchOnce(), [GROUP_AUTHORIZATION_FAILED, undefined, 0]);
    assert.deepEqual(await acknowledgeOnce(1), [GROUP_AUTHORIZATION_FAILED, undefined]);
    host.broker.principals.removeRule('stream-subscribe');
    allow('group', 'subscribe');
    allow('stream', 'describe');
    assert.deepEqual(await fetchOnce(), [NONE, TOPIC_AUTHORIZATION_FAILED, 0]);
    allow('stream', 'subscribe');
    const [errorCode, partError, size] = await fetchOnce();
    assert.deepEqual([errorCode, partError, size! > 0], [NONE, NONE, true]);
    // The right ends while the session lasts.
    host.broker.principals.removeRule('stream-subscribe');
    assert.deepEqual(await acknowledgeOnce(1), [NONE, TOPIC_AUTHORIZATION_FAILED]);
    host.broker.principals.removeRule('group-subscribe');
    assert.deepEqual(await acknowledgeOnce(2), [GROUP_AUTHORIZATION_FAILED, undefined]);
  });

  it('places of a group are told to whom may know the group, topic by topic K78 K190', async () => {
    const asked = [{ topicName: topic, partitions: [0] }];
    assert.deepEqual(await offsets(asked), [GROUP_AUTHORIZATION_FAILED, []]);
    allow('group', 'describe');
    assert.deepEqual(await offsets(asked), [NONE, [[ZERO_UUID, TOPIC_AUTHORIZATION_FAILED]]]);
    assert.deepEqual(await offsets(null), [NONE, []], 'what may not be known is left out');
    const nothing = [{ topicName: 'nothing', partitions: [0] }];
    assert.deepEqual(await offsets(nothing), [NONE, [[ZERO_UUID, TOPIC_AUTHORIZATION_FAILED]]]);
    allow('stream', 'describe');
    assert.deepEqual(await offsets(asked), [NONE, [[topicId, NONE]]]);
    assert.deepEqual(await offsets(null), [NONE, [[topicId, NONE]]]);
  });

  it('places are moved with the right to read, deleted with that to delete, and the topic’s K78 K191 K192', async () => {
    const move = async () => {
      const partitions = [{ partitionIndex: 0, startOffset: 0 }];
      const topics = [{ topicName: topic, partitions }];
      const answer = await ann.ask(alterShareGroupOffsets, 0, { groupId: GROUP, topics });
      return [answer.errorCode, answer.responses[0]?.partitions[0]?.errorCode];
    };
    const forget = async () => {
      const topics = [{ topicName: topic }];
      const answer = await ann.ask(deleteShareGroupOffsets, 0, { groupId: GROUP, topics });
      return [answer.errorCode, answer.responses[0]?.errorCode];
    };
    const remove = async () => {
      const { results } = await ann.ask(deleteGroups, 2, { groupsNames: [GROUP] });
      return results[0]!.errorCode;
    };
    for (const { facts } of [...room.shares.find(GROUP)!.members.values()]) {
      const leave = { groupId: GROUP, memberId: facts.id, memberEpoch: -1 };
      await clientOf('root').ask(shareGroupHeartbeat, 1, leave);
    }
    allow('group', 'describe');
    assert.deepEqual(await move(), [GROUP_AUTHORIZATION_FAILED, undefined]);
    assert.deepEqual(await forget(), [GROUP_AUTHORIZATION_FAILED, undefined]);
    allow('group', 'subscribe');
    assert.deepEqual(await move(), [NONE, TOPIC_AUTHORIZATION_FAILED]);
    assert.deepEqual(await forget(), [GROUP_AUTHORIZATION_FAILED, undefined]);
    assert.equal(await remove(), GROUP_AUTHORIZATION_FAILED);
    allow('group', 'remove');
    assert.deepEqual(await forget(), [NONE, TOPIC_AUTHORIZATION_FAILED]);
    allow('stream', 'subscribe');
    assert.deepEqual(await move(), [NONE, NONE]);
    assert.deepEqual(await forget(), [NONE, NONE]);
    assert.equal(await remove(), NONE);
  });
});
