import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ManualTimers, openTestHost, type TestHost } from '../../../../test/contract/test-host.ts';
import { Client, openRoom } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { offsetCommit } from '../messages/08-offset-commit.ts';
import { joinGroup } from '../messages/11-join-group.ts';
import { heartbeat } from '../messages/12-heartbeat.ts';
import { leaveGroup } from '../messages/13-leave-group.ts';
import { syncGroup } from '../messages/14-sync-group.ts';
import { listGroups } from '../messages/16-list-groups.ts';
import { consumerGroupHeartbeat } from '../messages/68-consumer-group-heartbeat.ts';
import { Reader } from '../reader.ts';
import type { Room } from '../room.ts';
import { Writer } from '../writer.ts';
import { readAssignment, writeAssignment } from './embedded-protocol.ts';

describe('Kafka: groups that change over', () => {
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

  function open(groupMigration = 'bidirectional'): void {
    room = openRoom(host, { groupInitialRebalanceDelay: 0, groupMigration });
    client = new Client(room);
  }

  async function restart(groupMigration?: string): Promise<void> {
    client.memory.close();
    await room.close();
    open(groupMigration);
  }

  /** What a cooperative consumer says of itself, version 1. */
  function subscription(owned: readonly number[]): Buffer {
    const writer = new Writer();
    writer.int16(1);
    writer.arrayCount(1);
    writer.string('orders');
    writer.nullableBlob(null);
    writer.arrayCount(1);
    writer.string('orders');
    writer.arrayCount(owned.length);
    for (const partition of owned) writer.int32(partition);
    return Buffer.concat(writer.take());
  }

  function classicJoin(memberId: string, owned: readonly number[] = [], instance?: string) {
    return client.ask(joinGroup, 9, {
      ...{ groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberId },
      ...{ groupInstanceId: instance ?? null, protocolType: 'consumer' },
      protocols: [{ name: 'cooperative-sticky', metadata: subscription(owned) }],
    });
  }

  async function sync(memberId: string, generationId: number, own?: readonly number[]) {
    const assignment = writeAssignment(1, [{ name: 'orders', partitions: own ?? [] }]);
    const answer = await client.ask(syncGroup, 5, {
      ...{ groupId: 'g', generationId, memberId, protocolType: 'consumer' },
      protocolName: 'cooperative-sticky',
      assignments: own === undefined ? [] : [{ memberId, assignment }],
    });
    if (answer.errorCode !== KAFKA.NONE) return answer.errorCode;
    return readAssignment(answer.assignment)!.flatMap(({ partitions }) => partitions);
  }

  async function classicBeat(memberId: string, generationId: number): Promise<number> {
    return (await client.ask(heartbeat, 4, { groupId: 'g', generationId, memberId })).errorCode;
  }

  async function beat(memberId: string, memberEpoch: number, owned: number[] | null = null) {
    const answer = await client.ask(consumerGroupHeartbeat, 1, {
      ...{ groupId: 'g', memberId, memberEpoch },
      rebalanceTimeoutMs: memberEpoch === 0 ? 60_000 : -1,
      subscribedTopicNames: memberEpoch === 0 ? ['orders'] : null,
      topicPartitions:
        owned === null ? null : owned.length === 0 ? [] : [{ topicId: orders, partitions: owned }],
    });
    if (answer.errorCode !== KAFKA.NONE) return answer.errorCode;
    const { assignment } = answer;
    const own = assignment?.topicPartitions.flatMap(({ partitions }) => partitions);
    return [answer.memberEpoch, own ?? null] as const;
  }

  async function commit(memberId: string, generation: number): Promise<number> {
    const partitions = [{ partitionIndex: 0, committedOffset: 0, committedMetadata: '' }];
    const { topics } = await client.ask(offsetCommit, 9, {
      ...{ groupId: 'g', memberId, generationIdOrMemberEpoch: generation },
      topics: [{ name: 'orders', partitions }],
    });
    return topics[0]!.partitions[0]!.errorCode;
  }

  async function listed(): Promise<string[]> {
    const { groups } = await client.ask(listGroups, 5, {});
    return groups.map(({ groupType, groupState }) => `${groupType} ${groupState}`);
  }

  /** A classic member that has all four partitions, in generation 1. */
  async function classicMember(): Promise<string> {
    const { memberId } = await classicJoin('');
    await classicJoin(memberId);
    assert.deepEqual(await sync(memberId, 1, [0, 1, 2, 3]), [0, 1, 2, 3]);
    return memberId;
  }

  test('a classic group goes over with its first new member, and back with its last one K65', async () => {
    const old = await classicMember();
    assert.deepEqual(await beat('new', 0, []), [2, []]);
    assert.deepEqual(await listed(), ['consumer Reconciling']);
    assert.equal(await commit(old, 1), KAFKA.NONE, 'the old member works on');
    assert.equal(await classicBeat(old, 1), KAFKA.REBALANCE_IN_PROGRESS);
    const first = await classicJoin(old, [0, 1, 2, 3]);
    assert.deepEqual([first.errorCode, first.generationId, first.leader], [0, 1, '']);
    assert.deepEqual(await sync(old, 1), [0, 1], 'it gives up two');
    await restart();
    assert.equal(await classicBeat(old, 1), KAFKA.REBALANCE_IN_PROGRESS);
    const second = await classicJoin(old, [0, 1]);
    assert.equal(second.generationId, 2);
    assert.deepEqual(await sync(old, 2), [0, 1]);
    assert.equal(await classicBeat(old, 2), KAFKA.NONE);
    assert.deepEqual(await beat('new', 2), [2, [2, 3]]);
    assert.deepEqual(await listed(), ['consumer Stable']);
    assert.equal(await commit(old, 2), KAFKA.NONE);
    assert.equal(await commit(old, 1), KAFKA.ILLEGAL_GENERATION);

    assert.deepEqual(await beat('new', -1), [-1, null]);
    assert.deepEqual(await listed(), ['classic PreparingRebalance']);
    assert.equal(await classicBeat(old, 3), KAFKA.REBALANCE_IN_PROGRESS);
    const back = await classicJoin(old, [0, 1]);
    assert.deepEqual([back.errorCode, back.leader, back.members.length], [0, old, 1]);
    assert.deepEqual(await sync(old, back.generationId, [0, 1, 2, 3]), [0, 1, 2, 3]);
    await restart();
    assert.equal(await classicBeat(old, back.generationId), KAFKA.NONE);
    assert.deepEqual(await listed(), ['classic Stable']);
  });

  test('a classic member that joins a new group follows, and goes by LeaveGroup or silence K65', async () => {
    assert.deepEqual(await beat('new', 0, []), [1, [0, 1, 2, 3]]);
    const { memberId: old, errorCode } = await classicJoin('');
    assert.equal(errorCode, KAFKA.MEMBER_ID_REQUIRED);
    const joined = await classicJoin(old);
    assert.deepEqual([joined.errorCode, joined.generationId], [KAFKA.NONE, 2]);
    assert.deepEqual(await sync(old, 2), []);
    assert.equal(await classicBeat(old, 2), KAFKA.NONE, 'nothing is free yet');
    assert.deepEqual(await beat('new', 1, [0, 1, 2, 3]), [1, [0, 1]]);
    assert.deepEqual(await beat('new', 1, [0, 1]), [2, null]);
    assert.equal(await classicBeat(old, 2), KAFKA.REBALANCE_IN_PROGRESS);
    assert.equal((await classicJoin(old)).generationId, 2);
    assert.deepEqual(await sync(old, 2), [2, 3]);
    const members = [{ memberId: old, groupInstanceId: null }];
    const left = await client.ask(leaveGroup, 5, { groupId: 'g', members });
    assert.equal(left.members[0]!.errorCode, KAFKA.NONE);
    assert.deepEqual(await beat('new', 2), [3, [0, 1, 2, 3]]);
    const silent = (await classicJoin((await classicJoin('')).memberId)).memberId;
    time.pass(10_001);
    assert.equal(await classicBeat(silent, 4), KAFKA.UNKNOWN_MEMBER_ID);
    const { errorCode: foreign } = await client.ask(joinGroup, 9, {
      ...{ groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberId: 'x' },
      protocolType: 'connect',
      protocols: [{ name: 'range', metadata: Buffer.alloc(2) }],
    });
    assert.equal(foreign, KAFKA.INCONSISTENT_GROUP_PROTOCOL);
  });

  test('a static member changes its protocol and keeps its place K65', async () => {
    const first = await classicJoin('', [], 'pod-1');
    const assignment = writeAssignment(1, [{ name: 'orders', partitions: [0, 1, 2, 3] }]);
    await client.ask(syncGroup, 5, {
      ...{ groupId: 'g', generationId: 1, memberId: first.memberId, groupInstanceId: 'pod-1' },
      ...{ protocolType: 'consumer', protocolName: 'cooperative-sticky' },
      assignments: [{ memberId: first.memberId, assignment }],
    });
    const joined = await client.ask(consumerGroupHeartbeat, 1, {
      ...{ groupId: 'g', memberId: 'new', memberEpoch: 0, instanceId: 'pod-1' },
      ...{ rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['orders'], topicPartitions: [] },
    });
    assert.deepEqual(joined.assignment?.topicPartitions[0]?.partitions, [0, 1, 2, 3]);
    assert.deepEqual(await listed(), ['consumer Stable']);
    const back = await classicJoin('', [], 'pod-1');
    assert.equal(back.errorCode, KAFKA.NONE);
    assert.equal(back.leader, back.memberId, 'a classic group again, which it leads');
    assert.deepEqual(await listed(), ['classic CompletingRebalance']);
  });

  test('an empty group changes over whatever the policy; one with members only if it may K65', async () => {
    await restart('disabled');
    const old = await classicMember();
    assert.equal(await beat('new', 0, []), KAFKA.GROUP_ID_NOT_FOUND);
    await commit(old, 1);
    const members = [{ memberId: old, groupInstanceId: null }];
    await client.ask(leaveGroup, 5, { groupId: 'g', members });
    const joined = await beat('new', 0, []);
    assert.ok(Array.isArray(joined) && joined[1]?.length === 4);
    await beat('new', -1);
    assert.deepEqual(await listed(), ['consumer Empty']);
    const { memberId } = await classicJoin('');
    assert.equal((await classicJoin(memberId)).leader, memberId);
    assert.deepEqual(await listed(), ['classic CompletingRebalance']);
  });

  test('groups of something else than consumers do not change over K65', async () => {
    const body = (memberId: string) => ({
      ...{ groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberId },
      protocolType: 'connect',
      protocols: [{ name: 'default', metadata: Buffer.from('whatever') }],
    });
    const { memberId } = await client.ask(joinGroup, 9, body(''));
    await client.ask(joinGroup, 9, body(memberId));
    assert.equal(await beat('new', 0, []), KAFKA.GROUP_ID_NOT_FOUND);
    assert.equal(new Reader(subscription([])).int16('version'), 1);
  });
});
