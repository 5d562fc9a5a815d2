import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { Client, openRoom } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { offsetCommit } from './messages/08-offset-commit.ts';
import { offsetFetch } from './messages/09-offset-fetch.ts';
import { findCoordinator } from './messages/10-find-coordinator.ts';
import { joinGroup } from './messages/11-join-group.ts';
import { heartbeat } from './messages/12-heartbeat.ts';
import { leaveGroup } from './messages/13-leave-group.ts';
import { syncGroup } from './messages/14-sync-group.ts';
import { describeGroups } from './messages/15-describe-groups.ts';
import { listGroups } from './messages/16-list-groups.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { deleteGroups } from './messages/42-delete-groups.ts';
import { offsetDelete } from './messages/47-offset-delete.ts';
import type { Room } from './room.ts';

let host: TestHost;
let room: Room;
before(async () => {
  host = await openTestHost();
  room = openRoom(host, { groupInitialRebalanceDelay: 0 });
  host.broker.streams.create('orders', { partitions: 2 });
});
after(async () => {
  await room.close();
  await host.close();
});

/** What a consumer says of itself: version 0, one topic, no user data. */
const SUBSCRIPTION = Buffer.from('000000000001' + '0006' + '6f7264657273' + '00000000', 'hex');

async function joinAlone(client: Client, groupId: string, version = 9) {
  const body = (memberId: string) => ({
    groupId,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    memberId,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: SUBSCRIPTION }],
  });
  const first = await client.ask(joinGroup, version, body(''));
  if (first.errorCode !== KAFKA.MEMBER_ID_REQUIRED) return first;
  return client.ask(joinGroup, version, body(first.memberId));
}

function commit(
  client: Client,
  groupId: string,
  offset: number,
  member: { id?: string; generation?: number } = {},
  metadata: string | null = '',
) {
  return client.ask(offsetCommit, 8, {
    groupId,
    memberId: member.id ?? '',
    generationIdOrMemberEpoch: member.generation ?? -1,
    topics: [
      {
        name: 'orders',
        partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: metadata }],
      },
    ],
  });
}

async function committed(client: Client, groupId: string): Promise<(number | string | null)[]> {
  const topics = [{ name: 'orders', partitionIndexes: [0] }];
  const answer = await client.ask(offsetFetch, 7, { groupId, topics });
  const { committedOffset, metadata, errorCode } = answer.topics[0]!.partitions[0]!;
  return [committedOffset, metadata, errorCode];
}

test('a member joins, syncs, beats, commits and leaves, in the oldest and the newest versions K60 K111 K112 K113 K114', async () => {
  for (const [join, sync, beat, leave] of [
    [0, 0, 0, 0],
    [5, 3, 3, 3],
    [9, 5, 4, 5],
  ] as const) {
    const client = new Client(room);
    const groupId = `life-${join}`;
    const joined = await joinAlone(client, groupId, join);
    assert.equal(joined.errorCode, KAFKA.NONE);
    const { memberId, generationId } = joined;
    assert.deepEqual(joined.members[0]!.metadata, SUBSCRIPTION);
    const assignments = [{ memberId, assignment: Buffer.from('mine') }];
    const synced = await client.ask(syncGroup, sync, {
      groupId,
      generationId,
      memberId,
      assignments,
    });
    assert.equal(synced.assignment.toString(), 'mine');
    const alive = await client.ask(heartbeat, beat, { groupId, generationId, memberId });
    assert.equal(alive.errorCode, KAFKA.NONE);
    await commit(client, groupId, 5, { id: memberId, generation: generationId });
    const left = await client.ask(leaveGroup, leave, {
      groupId,
      memberId,
      members: [{ memberId }],
    });
    assert.deepEqual([left.errorCode, left.members[0]?.errorCode ?? 0], [KAFKA.NONE, KAFKA.NONE]);
    assert.deepEqual(await committed(client, groupId), [5, '', KAFKA.NONE]);
  }
});

test('an unknown group has offset -1 and no error K63 K109', async () => {
  assert.deepEqual(await committed(new Client(room), 'nobody'), [-1, '', KAFKA.NONE]);
});

test('a client without membership commits for an empty group only K63 K108', async () => {
  const client = new Client(room);
  const code = async (answer: ReturnType<typeof commit>) =>
    (await answer).topics[0]!.partitions[0]!.errorCode;
  assert.equal(await code(commit(client, 'simple', 7, {}, 'note')), KAFKA.NONE);
  assert.deepEqual(await committed(client, 'simple'), [7, 'note', KAFKA.NONE]);
  assert.equal(
    await code(commit(client, 'simple', 8, { id: 'x', generation: 1 })),
    KAFKA.ILLEGAL_GENERATION,
  );
  assert.equal(
    await code(commit(client, 'simple', 8, {}, 'x'.repeat(4097))),
    KAFKA.OFFSET_METADATA_TOO_LARGE,
  );
  await joinAlone(client, 'simple');
  assert.equal(await code(commit(client, 'simple', 9)), KAFKA.UNKNOWN_MEMBER_ID);
  assert.deepEqual(await committed(client, 'simple'), [7, 'note', KAFKA.NONE]);
});

test('offsets of several groups are asked for at once, by name, by id, and all of them K63 K109', async () => {
  const client = new Client(room);
  const topicId = host.broker.streams.get('orders')!.id;
  await commit(client, 'many-1', 1);
  await commit(client, 'many-2', 2);
  const named = [{ name: 'orders', partitionIndexes: [0, 1] }];
  const eight = await client.ask(offsetFetch, 8, {
    groups: [
      { groupId: 'many-1', topics: named },
      { groupId: 'many-2', topics: null },
    ],
  });
  const offsets = eight.groups.map(({ topics }) =>
    topics[0]!.partitions.map(({ committedOffset }) => committedOffset),
  );
  assert.deepEqual(offsets, [[1, -1], [2]]);
  const ten = await client.ask(offsetFetch, 10, {
    groups: [{ groupId: 'many-2', topics: [{ topicId, partitionIndexes: [0] }] }],
  });
  assert.equal(ten.groups[0]!.topics[0]!.partitions[0]!.committedOffset, 2);
  const back = await client.ask(offsetCommit, 10, {
    groupId: 'many-2',
    topics: [
      {
        topicId,
        partitions: [{ partitionIndex: 1, committedOffset: 4, committedMetadata: null }],
      },
    ],
  });
  assert.deepEqual(back.topics[0]!.partitions, [{ partitionIndex: 1, errorCode: KAFKA.NONE }]);
});

test('groups are listed and described in their states, and deleted when empty K115 K116 K142', async () => {
  const client = new Client(room);
  const { memberId } = await joinAlone(client, 'shown');
  await commit(client, 'only-offsets', 1);
  const listed = await client.ask(listGroups, 5, { statesFilter: ['completingrebalance'] });
  assert.deepEqual(
    listed.groups.filter(({ groupId }) => groupId === 'shown'),
    [
      {
        groupId: 'shown',
        protocolType: 'consumer',
        groupState: 'CompletingRebalance',
        groupType: 'classic',
      },
    ],
  );
  const none = await client.ask(listGroups, 5, { typesFilter: ['share'] });
  assert.deepEqual(none.groups, []);
  const described = await client.ask(describeGroups, 6, {
    groups: ['shown', 'only-offsets', 'never'],
  });
  assert.deepEqual(
    described.groups.map(({ errorCode, groupState, members }) => [
      errorCode,
      groupState,
      members.length,
    ]),
    [
      [KAFKA.NONE, 'CompletingRebalance', 1],
      [KAFKA.NONE, 'Empty', 0],
      [KAFKA.GROUP_ID_NOT_FOUND, 'Dead', 0],
    ],
  );
  const remove = async () => {
    const { results } = await client.ask(deleteGroups, 2, {
      groupsNames: ['shown', 'only-offsets', 'never'],
    });
    return results.map(({ errorCode }) => errorCode);
  };
  assert.deepEqual(await remove(), [KAFKA.NON_EMPTY_GROUP, KAFKA.NONE, KAFKA.GROUP_ID_NOT_FOUND]);
  await client.ask(leaveGroup, 5, { groupId: 'shown', members: [{ memberId }] });
  // Without offsets either, it is a group without members until somebody deletes it.
  assert.equal((await remove())[0], KAFKA.NONE);
  assert.equal((await remove())[0], KAFKA.GROUP_ID_NOT_FOUND);
});

test('offsets of topics in use are not deleted K147', async () => {
  const client = new Client(room);
  await commit(client, 'used', 3);
  const { memberId } = await joinAlone(client, 'used');
  const remove = async () => {
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0 }] }];
    const answer = await client.ask(offsetDelete, 0, { groupId: 'used', topics });
    return answer.topics[0]!.partitions[0]!.errorCode;
  };
  assert.equal(await remove(), KAFKA.GROUP_SUBSCRIBED_TO_TOPIC);
  await client.ask(leaveGroup, 5, { groupId: 'used', members: [{ memberId }] });
  assert.equal(await remove(), KAFKA.NONE);
  assert.deepEqual(await committed(client, 'used'), [-1, '', KAFKA.NONE]);
});

test('a session timeout outside the bounds is refused, an empty group id too K60', async () => {
  const client = new Client(room);
  const body = {
    groupId: 'bounds',
    sessionTimeoutMs: 100,
    rebalanceTimeoutMs: 1000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: SUBSCRIPTION }],
  };
  const short = await client.ask(joinGroup, 5, body);
  assert.equal(short.errorCode, KAFKA.INVALID_SESSION_TIMEOUT);
  const nameless = await client.ask(joinGroup, 5, { ...body, groupId: '' });
  assert.equal(nameless.errorCode, KAFKA.INVALID_GROUP_ID);
});

test('an old client that vanishes while it joins leaves no member behind K60', async () => {
  const leader = new Client(room);
  const { memberId } = await joinAlone(leader, 'vanish');
  const gone = new Client(room);
  gone.send(joinGroup, 1, {
    groupId: 'vanish',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: SUBSCRIPTION }],
  });
  assert.equal(room.groups.find('vanish')!.members.size, 2);
  gone.memory.close();
  await gone.memory.closed;
  assert.deepEqual([...room.groups.find('vanish')!.members.keys()], [memberId]);
});

test('a topic that is removed takes its committed offsets along K45 K63', async () => {
  const client = new Client(room);
  const stream = host.broker.streams.create('short-lived');
  await client.ask(offsetCommit, 8, {
    groupId: 'heir',
    topics: [
      {
        name: 'short-lived',
        partitions: [{ partitionIndex: 0, committedOffset: 9, committedMetadata: null }],
      },
    ],
  });
  host.broker.streams.remove(stream);
  const wanted = { name: 'short-lived', numPartitions: 1, replicationFactor: 1 };
  await client.ask(createTopics, 7, { topics: [{ ...wanted, assignments: [], configs: [] }] });
  const answer = await client.ask(offsetFetch, 7, { groupId: 'heir', topics: null });
  assert.deepEqual(answer.topics, []);
});

test('every coordinator is this node, transactions included, share groups are refused K110', async () => {
  const client = new Client(room);
  const groups = await client.ask(findCoordinator, 6, { keyType: 0, coordinatorKeys: ['a', 'b'] });
  assert.deepEqual(
    groups.coordinators.map(({ key, nodeId, port }) => [key, nodeId, port]),
    [
      ['a', 0, 9092],
      ['b', 0, 9092],
    ],
  );
  const old = await client.ask(findCoordinator, 0, { key: 'a' });
  assert.deepEqual([old.errorCode, old.nodeId], [KAFKA.NONE, 0]);
  const share = await client.ask(findCoordinator, 6, { keyType: 2, coordinatorKeys: ['a:b:0'] });
  assert.equal(share.coordinators[0]!.errorCode, KAFKA.INVALID_REQUEST);
});
