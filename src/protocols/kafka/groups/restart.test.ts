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
import { describeGroups } from '../messages/15-describe-groups.ts';
import { listGroups } from '../messages/16-list-groups.ts';
import { deleteGroups } from '../messages/42-delete-groups.ts';
import type { Room } from '../room.ts';

const SESSION_MS = 10_000;
const GONE_MS = 600_000;

describe('Kafka: restart', () => {
  let time: ManualTimers;
  let host: TestHost;
  let room: Room;
  let client: Client;

  beforeEach(async () => {
    time = new ManualTimers();
    host = await openTestHost({ clock: time.clock, timers: time });
    host.broker.streams.create('orders', { partitions: 2 });
    open();
  });

  afterEach(async () => {
    await room.close();
    await host.close();
  });

  function open(): void {
    room = openRoom(host, { groupInitialRebalanceDelay: 0 });
    client = new Client(room);
  }

  /** The server ends and another one begins on what is stored. */
  async function restart(): Promise<void> {
    client.memory.close();
    await room.close();
    open();
  }

  function join(memberId: string, groupInstanceId: string | null = null, by = client) {
    return by.ask(joinGroup, 9, {
      groupId: 'g',
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: 60_000,
      memberId,
      groupInstanceId,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('metadata') }],
    });
  }

  interface Me {
    readonly memberId: string;
    readonly generationId: number;
    readonly groupInstanceId?: string | null;
  }

  function sync({ memberId, generationId, groupInstanceId = null }: Me, assignment: string | null) {
    const assignments =
      assignment === null ? [] : [{ memberId, assignment: Buffer.from(assignment) }];
    return client.ask(syncGroup, 5, {
      ...{ groupId: 'g', generationId, memberId, groupInstanceId },
      ...{ protocolType: 'consumer', protocolName: 'range', assignments },
    });
  }

  async function beat({ memberId, generationId, groupInstanceId = null }: Me): Promise<number> {
    const fields = { groupId: 'g', generationId, memberId, groupInstanceId };
    return (await client.ask(heartbeat, 4, fields)).errorCode;
  }

  async function commit({ memberId, generationId }: Me): Promise<number> {
    const partitions = [{ partitionIndex: 0, committedOffset: 0, committedMetadata: '' }];
    const { topics } = await client.ask(offsetCommit, 8, {
      ...{ groupId: 'g', memberId, generationIdOrMemberEpoch: generationId },
      topics: [{ name: 'orders', partitions }],
    });
    return topics[0]!.partitions[0]!.errorCode;
  }

  async function joined(): Promise<Me> {
    const { memberId } = await join('');
    const me = await join(memberId);
    assert.equal(me.errorCode, KAFKA.NONE);
    await sync(me, 'mine');
    return me;
  }

  async function stateOf(): Promise<string> {
    const { groups } = await client.ask(describeGroups, 5, { groups: ['g'] });
    return groups[0]!.groupState;
  }

  test('a member goes on after a restart as if nothing had been: no rebalance K60 K62', async () => {
    const me = await joined();
    await restart();
    assert.equal(await beat(me), KAFKA.NONE);
    assert.equal(await commit(me), KAFKA.NONE);
    const { errorCode, assignment } = await sync(me, null);
    assert.deepEqual([errorCode, assignment.toString()], [KAFKA.NONE, 'mine']);
    assert.equal(await stateOf(), 'Stable');
    const later = { ...me, generationId: me.generationId + 1 };
    assert.equal(await beat(later), KAFKA.ILLEGAL_GENERATION);
    assert.equal(await beat({ ...me, memberId: 'nobody' }), KAFKA.UNKNOWN_MEMBER_ID);
  });

  test('a member that is not heard of after a restart goes with its session K60 K62', async () => {
    const me = await joined();
    assert.equal(await commit(me), KAFKA.NONE);
    await restart();
    time.pass(SESSION_MS - 1);
    assert.equal(await beat(me), KAFKA.NONE);
    time.pass(SESSION_MS + 1);
    assert.equal(await stateOf(), 'Empty');
    assert.equal(await beat(me), KAFKA.UNKNOWN_MEMBER_ID);
  });

  test('a static member that starts again after a restart has its old assignment K60 K62', async () => {
    const first = await join('', 'pod-1');
    const me = { ...first, groupInstanceId: 'pod-1' };
    await sync(me, 'mine');
    await restart();
    const again = await join('', 'pod-1');
    assert.equal(again.errorCode, KAFKA.NONE);
    assert.equal(again.generationId, first.generationId, 'nobody was disturbed');
    assert.notEqual(again.memberId, first.memberId);
    const { assignment } = await sync({ ...again, groupInstanceId: 'pod-1' }, null);
    assert.equal(assignment.toString(), 'mine');
    assert.equal(await beat(me), KAFKA.FENCED_INSTANCE_ID);
    await restart();
    assert.equal(await beat({ ...again, groupInstanceId: 'pod-1' }), KAFKA.NONE);
  });

  test('a rebalance that a restart cut off begins anew, a generation later K60 K62', async () => {
    const me = await joined();
    const { memberId: other } = await join('');
    const second = new Client(room);
    const cutOff = assert.rejects(join(other, null, second));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await beat(me), KAFKA.REBALANCE_IN_PROGRESS);
    second.memory.close();
    await restart();
    await cutOff;
    assert.equal((await join(other)).errorCode, KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(await beat(me), KAFKA.NONE, 'it still has all that the last generation gave it');
    const again = await join(me.memberId);
    assert.deepEqual([again.errorCode, again.generationId], [KAFKA.NONE, me.generationId + 1]);
  });

  test('an empty group counts on with its generation; a deleted one is forgotten K60 K62', async () => {
    const me = await joined();
    assert.equal(await commit(me), KAFKA.NONE);
    const gone = { memberId: me.memberId, groupInstanceId: null };
    await client.ask(leaveGroup, 5, { groupId: 'g', members: [gone] });
    await restart();
    assert.equal(await stateOf(), 'Empty');
    const next = await joined();
    assert.ok(next.generationId > me.generationId);
    await client.ask(leaveGroup, 5, {
      groupId: 'g',
      members: [{ memberId: next.memberId, groupInstanceId: null }],
    });
    const { results } = await client.ask(deleteGroups, 2, { groupsNames: ['g'] });
    assert.equal(results[0]!.errorCode, KAFKA.NONE);
    await restart();
    assert.equal(await stateOf(), 'Dead');
    assert.equal((await joined()).generationId, 1);
  });

  test('a group that its members left without offsets is empty for a while, then gone K60 K62', async () => {
    const { memberId } = await joined();
    const members = [{ memberId, groupInstanceId: null }];
    await client.ask(leaveGroup, 5, { groupId: 'g', members });
    assert.equal(await stateOf(), 'Empty');
    await restart();
    const { groups } = await client.ask(listGroups, 5, { statesFilter: ['Empty'] });
    assert.deepEqual(
      groups.map(({ groupId, protocolType }) => [groupId, protocolType]),
      [['g', 'consumer']],
    );
    time.pass(GONE_MS - 1);
    assert.equal(await stateOf(), 'Empty');
    time.pass(1);
    assert.equal(await stateOf(), 'Dead');
  });

  test('a group whose first member never joined with its id leaves nothing behind K60 K62', async () => {
    const { errorCode } = await join('');
    assert.equal(errorCode, KAFKA.MEMBER_ID_REQUIRED);
    time.pass(SESSION_MS);
    assert.equal(await stateOf(), 'Dead');
  });
});
