import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ManualTimers, openTestHost, type TestHost } from '../../../../test/contract/test-host.ts';
import { Client, openRoom } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { offsetCommit } from '../messages/08-offset-commit.ts';
import { offsetFetch } from '../messages/09-offset-fetch.ts';
import { describeGroups } from '../messages/15-describe-groups.ts';
import { listGroups } from '../messages/16-list-groups.ts';
import { deleteGroups } from '../messages/42-delete-groups.ts';
import { offsetDelete } from '../messages/47-offset-delete.ts';
import { consumerGroupHeartbeat } from '../messages/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribe } from '../messages/69-consumer-group-describe.ts';
import type { KafkaOptions } from '../options.ts';
import type { Room } from '../room.ts';

const SESSION_MS = 45_000;
const REBALANCE_MS = 60_000;

describe('Kafka: consumer groups', () => {
  let time: ManualTimers;
  let host: TestHost;
  let room: Room;
  let client: Client;
  let orders: string;

  beforeEach(async () => {
    time = new ManualTimers();
    host = await openTestHost({ clock: time.clock, timers: time });
    orders = host.broker.streams.create('orders', { partitions: 4 }).id;
    open();
  });

  afterEach(async () => {
    await room.close();
    await host.close();
  });

  function open(options: Partial<KafkaOptions> = {}): void {
    room = openRoom(host, options);
    client = new Client(room);
  }

  async function restart(): Promise<void> {
    client.memory.close();
    await room.close();
    open();
  }

  interface Beat {
    readonly topics?: readonly string[] | null;
    readonly regex?: string | null;
    readonly owned?: readonly number[] | null;
    readonly instance?: string | null;
    readonly assignor?: string;
    readonly group?: string;
  }

  function send(memberId: string, memberEpoch: number, beat: Beat, version = 1) {
    const { owned = null, topics = null } = beat;
    const partitions = (list: readonly number[]) =>
      list.length === 0 ? [] : [{ topicId: orders, partitions: list }];
    return client.ask(consumerGroupHeartbeat, version, {
      ...{ groupId: beat.group ?? 'g', memberId, memberEpoch, instanceId: beat.instance ?? null },
      rebalanceTimeoutMs: memberEpoch === 0 ? REBALANCE_MS : -1,
      ...{ subscribedTopicNames: topics, subscribedTopicRegex: beat.regex ?? null },
      serverAssignor: beat.assignor ?? null,
      topicPartitions: owned === null ? null : partitions(owned),
    });
  }

  /** Epoch and partitions of `orders`, null when they are as before; or the error. */
  async function beat(memberId: string, epoch: number, more: Beat = {}) {
    const answer = await send(memberId, epoch, more);
    if (answer.errorCode !== KAFKA.NONE) return answer.errorCode;
    const { assignment } = answer;
    const own = assignment?.topicPartitions.find(({ topicId }) => topicId === orders);
    return [answer.memberEpoch, assignment === null ? null : (own?.partitions ?? [])] as const;
  }

  const join = (memberId: string, more: Beat = {}) =>
    beat(memberId, 0, { topics: ['orders'], owned: [], ...more });

  async function commit(memberId: string, epoch: number, version = 9): Promise<number> {
    const partitions = [{ partitionIndex: 0, committedOffset: 0, committedMetadata: '' }];
    const { topics } = await client.ask(offsetCommit, version, {
      ...{ groupId: 'g', memberId, generationIdOrMemberEpoch: epoch },
      topics: [{ name: 'orders', partitions }],
    });
    return topics[0]!.partitions[0]!.errorCode;
  }

  async function described() {
    const { groups } = await client.ask(consumerGroupDescribe, 1, {
      ...{ groupIds: ['g'], includeAuthorizedOperations: true },
    });
    return groups[0]!;
  }

  test('a first member gets all; a second one gets half when the first has given it up K64 K168', async () => {
    assert.deepEqual(await join('a'), [1, [0, 1, 2, 3]]);
    assert.deepEqual(await join('b'), [2, []], 'nothing is free yet');
    assert.deepEqual(await beat('a', 1, { owned: [0, 1, 2, 3] }), [1, [0, 1]], 'gives up two');
    assert.deepEqual(await beat('b', 2, { owned: [] }), [2, null], 'still not');
    assert.equal((await described()).groupState, 'Reconciling');
    assert.deepEqual(await beat('a', 1), [1, null], 'who does not say what it has has it');
    assert.deepEqual(await beat('a', 1, { owned: [0, 1] }), [2, null]);
    assert.deepEqual(await beat('b', 2, { owned: [] }), [2, [2, 3]]);
    const { groupState, groupEpoch, assignmentEpoch, members, assignorName } = await described();
    assert.deepEqual([groupState, groupEpoch, assignmentEpoch], ['Stable', 2, 2]);
    assert.equal(assignorName, 'uniform');
    assert.deepEqual(members[1]!.assignment, members[1]!.targetAssignment);
    assert.deepEqual(members[1]!.assignment.topicPartitions, [
      { topicId: orders, topicName: 'orders', partitions: [2, 3] },
    ]);
    assert.deepEqual([members[1]!.memberType, members[1]!.clientId], [1, 'test-client']);
    assert.deepEqual(await beat('a', -1), [-1, null], 'leaves');
    assert.deepEqual(await beat('b', 2), [3, [0, 1, 2, 3]]);
  });

  test('epochs fence: too new, too old, unknown; one lost answer is forgiven K64', async () => {
    await join('a');
    assert.equal(await beat('a', 2), KAFKA.FENCED_MEMBER_EPOCH);
    assert.equal(await beat('nobody', 1), KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(await beat('nobody', -1), KAFKA.UNKNOWN_MEMBER_ID);
    await join('b');
    await beat('a', 1, { owned: [0, 1, 2, 3] });
    assert.deepEqual(await beat('a', 1, { owned: [0, 1] }), [2, null]);
    assert.deepEqual(await beat('a', 1, { owned: [0] }), [2, null], 'it did not hear of epoch 2');
    assert.equal(await beat('a', 1, { owned: [0, 2] }), KAFKA.FENCED_MEMBER_EPOCH);
    assert.equal(await beat('a', 1), KAFKA.FENCED_MEMBER_EPOCH);
    const again = await join('a');
    assert.deepEqual(again, [2, [0, 1]], 'a fenced member begins anew at once');
    const whole = await client.ask(consumerGroupHeartbeat, 1, {
      ...{ groupId: 'g', memberId: 'a', memberEpoch: 2, rebalanceTimeoutMs: REBALANCE_MS },
      subscribedTopicNames: ['orders'],
      topicPartitions: [{ topicId: orders, partitions: [0, 1] }],
    });
    assert.deepEqual(whole.assignment?.topicPartitions[0]?.partitions, [0, 1], 'a full request');
  });

  test('commits and fetches of offsets need the right member epoch K64 K108 K109', async () => {
    assert.equal(await commit('', -1), KAFKA.NONE, 'an empty group');
    await join('a');
    assert.equal(await commit('a', 1), KAFKA.NONE);
    assert.equal(await commit('a', 1, 8), KAFKA.UNSUPPORTED_VERSION);
    assert.equal(await commit('a', 0), KAFKA.STALE_MEMBER_EPOCH);
    assert.equal(await commit('b', 1), KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(await commit('', -1), KAFKA.UNKNOWN_MEMBER_ID);
    const fetched = async (memberId: string | null, memberEpoch: number) => {
      const topics = [{ name: 'orders', partitionIndexes: [0] }];
      const asked = { groupId: 'g', memberId, memberEpoch, topics };
      return (await client.ask(offsetFetch, 9, { groups: [asked] })).groups[0]!.errorCode;
    };
    assert.equal(await fetched('a', 1), KAFKA.NONE);
    assert.equal(await fetched(null, -1), KAFKA.NONE);
    assert.equal(await fetched('a', 2), KAFKA.STALE_MEMBER_EPOCH);
    assert.equal(await fetched('b', 1), KAFKA.UNKNOWN_MEMBER_ID);
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0 }] }];
    const gone = await client.ask(offsetDelete, 0, { groupId: 'g', topics });
    assert.equal(gone.topics[0]!.partitions[0]!.errorCode, KAFKA.GROUP_SUBSCRIBED_TO_TOPIC);
    const { results } = await client.ask(deleteGroups, 2, { groupsNames: ['g'] });
    assert.equal(results[0]!.errorCode, KAFKA.NON_EMPTY_GROUP);
  });

  test('who is silent for a session, or does not give up in time, loses its place K64', async () => {
    await join('a');
    time.pass(SESSION_MS - 1);
    assert.deepEqual(await beat('a', 1), [1, null]);
    time.pass(SESSION_MS + 1);
    assert.equal(await beat('a', 1), KAFKA.UNKNOWN_MEMBER_ID);
    const [epoch] = (await join('a')) as readonly [number, number[]];
    await join('b');
    assert.deepEqual(await beat('a', epoch), [epoch, [0, 1]]);
    for (let passed = 0; passed < REBALANCE_MS - 10_000; passed += 10_000) {
      time.pass(10_000);
      await beat('b', epoch + 1);
      await beat('a', epoch);
    }
    time.pass(10_000);
    assert.equal(await beat('a', epoch), KAFKA.UNKNOWN_MEMBER_ID);
    assert.deepEqual(await beat('b', epoch + 1), [epoch + 2, [0, 1, 2, 3]]);
  });

  test('a static member that went for now finds its place; an instance has one member K64', async () => {
    const instance = 'pod-1';
    await join('a', { instance });
    await join('b');
    await beat('a', 1, { instance, owned: [0, 1] });
    await beat('a', 1, { instance, owned: [0, 1] });
    assert.deepEqual(await beat('b', 2), [2, [2, 3]]);
    assert.equal(await join('a2', { instance }), KAFKA.UNRELEASED_INSTANCE_ID);
    assert.deepEqual(await beat('a', -2, { instance }), [-2, null]);
    assert.deepEqual(await beat('b', 2), [2, null], 'nothing moves while it is away');
    assert.deepEqual(await join('a2', { instance }), [2, [0, 1]]);
    assert.equal(await beat('a', 2, { instance }), KAFKA.FENCED_INSTANCE_ID);
    assert.equal(await beat('a2', -2), KAFKA.INVALID_REQUEST);
    await beat('a2', -2, { instance });
    time.pass(SESSION_MS - 1);
    await beat('b', 2);
    time.pass(2);
    assert.deepEqual(await beat('b', 2), [3, [0, 1, 2, 3]], 'it did not come back');
  });

  test('a member that becomes an instance under its old id leaves nothing behind K64', async () => {
    await join('a');
    assert.deepEqual(await join('a', { instance: 'pod-1' }), [2, [0, 1, 2, 3]]);
    await join('b');
    await beat('a', 2, { instance: 'pod-1', owned: [0, 1, 2, 3] });
    await beat('a', 2, { instance: 'pod-1', owned: [0, 1] });
    assert.deepEqual(await beat('b', 3), [3, [2, 3]]);
    assert.equal((await described()).members.length, 2);
  });

  test('members, epochs and assignments survive a restart, a revocation under way too K64 K62', async () => {
    await join('a');
    await join('b');
    assert.deepEqual(await beat('a', 1, { owned: [0, 1, 2, 3] }), [1, [0, 1]]);
    await restart();
    assert.deepEqual(await beat('b', 2), [2, null]);
    assert.deepEqual(await beat('a', 1, { owned: [0, 1] }), [2, null]);
    assert.deepEqual(await beat('b', 2), [2, [2, 3]]);
    await restart();
    assert.equal((await described()).groupState, 'Stable');
    assert.equal(await commit('a', 2), KAFKA.NONE);
    await restart();
    await beat('b', 2);
    time.pass(SESSION_MS + 1);
    assert.equal(await beat('b', 2), KAFKA.UNKNOWN_MEMBER_ID, 'nobody was heard of');
    assert.equal((await described()).groupState, 'Empty');
    await restart();
    assert.equal((await described()).groupState, 'Empty');
    await client.ask(deleteGroups, 2, { groupsNames: ['g'] });
    await restart();
    assert.equal((await described()).errorCode, KAFKA.GROUP_ID_NOT_FOUND);
  });

  test('topics that come, grow and go change who reads what K64', async () => {
    const { streams } = host.broker;
    assert.deepEqual(await join('a', { topics: ['orders', 'later'] }), [1, [0, 1, 2, 3]]);
    const later = streams.create('later', { partitions: 1 }).id;
    const answer = await send('a', 1, {});
    assert.deepEqual(answer.assignment?.topicPartitions.map(({ topicId }) => topicId).sort(), [
      ...[orders, later].sort(),
    ]);
    streams.addPartitions(streams.get('orders')!, 6);
    assert.deepEqual(await beat('a', 2), [3, [0, 1, 2, 3, 4, 5]]);
    streams.remove(streams.get('later')!);
    const gone = await send('a', 3, { owned: [0, 1, 2, 3, 4, 5] });
    assert.deepEqual([gone.memberEpoch, gone.assignment?.topicPartitions.length], [4, 1]);
    streams.create('other', {});
    assert.deepEqual(await beat('a', 4), [4, null], 'nobody reads that one');
    await restart();
    assert.deepEqual(await beat('a', 4), [4, null]);
  });

  test('topics that only a member that left has read are nobody’s any more K64', async () => {
    host.broker.streams.create('audit', { partitions: 2 });
    assert.deepEqual(await join('a'), [1, [0, 1, 2, 3]]);
    assert.deepEqual(await join('b', { topics: ['audit'] }), [2, []]);
    assert.deepEqual(await join('c', { topics: ['audit', 'orders'] }), [3, []]);
    await beat('b', -1);
    await beat('c', -1);
    const owned = [0, 1, 2, 3];
    assert.deepEqual(await beat('a', 1, { owned }), [5, null]);
    assert.equal((await described()).groupState, 'Stable');
  });

  test('a regular expression stands for the topics that match, also later ones K64', async () => {
    const { streams } = host.broker;
    const regex = 'ord.*|audit-\\d+';
    assert.deepEqual(await join('a', { topics: null, regex }), [1, [0, 1, 2, 3]]);
    streams.create('audit-1', {});
    assert.equal((await send('a', 1, {})).assignment?.topicPartitions.length, 2);
    streams.create('xorders', {});
    streams.create('__orders', {});
    assert.deepEqual(await beat('a', 2), [2, null]);
    await restart();
    streams.create('audit-2', {});
    assert.equal((await send('a', 2, {})).assignment?.topicPartitions.length, 3);
    streams.remove(streams.get('audit-1')!);
    const owned = await send('a', 3, { owned: [0, 1, 2, 3] });
    assert.deepEqual([owned.memberEpoch, owned.assignment?.topicPartitions.length], [4, 2]);
    assert.deepEqual(await beat('a', 4, { regex: '', owned: [] }), [5, []]);
    assert.equal(await beat('a', 5, { regex: '(' }), KAFKA.INVALID_REGULAR_EXPRESSION);
    assert.equal((await described()).members[0]!.subscribedTopicRegex, null);
  });

  test('wrong requests are refused with what is wrong K64', async () => {
    assert.equal(await join(''), KAFKA.INVALID_REQUEST);
    const made = await send('', 0, { topics: ['orders'], owned: [] }, 0);
    assert.match(made.memberId!, /^member-/, 'version 0 gets an id');
    assert.equal(await join('a', { group: '' }), KAFKA.INVALID_REQUEST);
    assert.equal(await join('a', { owned: [1] }), KAFKA.INVALID_REQUEST);
    assert.equal(await join('a', { topics: null }), KAFKA.INVALID_REQUEST);
    assert.equal(await beat('a', -3), KAFKA.INVALID_REQUEST);
    assert.equal(await join('a', { assignor: 'sticky' }), KAFKA.UNSUPPORTED_ASSIGNOR);
    assert.deepEqual(await join('a', { assignor: 'range', group: 'ranged' }), [1, [0, 1, 2, 3]]);
    await room.close();
    open({ consumerGroupMembersMax: 1 });
    assert.equal(await join('b'), KAFKA.GROUP_MAX_SIZE_REACHED);
  });

  test('the group is listed as what it is, and is no classic one K64 K115 K116', async () => {
    await join('a');
    const { groups } = await client.ask(listGroups, 5, { typesFilter: ['Consumer'] });
    assert.deepEqual(groups, [
      { groupId: 'g', protocolType: 'consumer', groupState: 'Stable', groupType: 'consumer' },
    ]);
    const none = await client.ask(listGroups, 5, { typesFilter: ['classic'] });
    assert.deepEqual(none.groups, []);
    const classic = await client.ask(describeGroups, 6, { groups: ['g'] });
    assert.equal(classic.groups[0]!.errorCode, KAFKA.GROUP_ID_NOT_FOUND);
  });
});
