import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { realClock } from '#kit';
import { ManualTimers } from '../../../../test/contract/test-host.ts';
import { KAFKA } from '../error-codes.ts';
import { Group } from './group.ts';
import type { GroupProtocol, JoinRequest, JoinResult, SyncResult } from './member.ts';

const SESSION_MS = 10_000;
const REBALANCE_MS = 60_000;
const DELAY_MS = 100;
const NO_BYTES = Buffer.alloc(0);

let timers: ManualTimers;
let nowMs: number;
let emptied: number;
let ids: number;
let group: Group;

/** Lets time pass for timers and clock alike, in steps as fine as the shortest timeout. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 50) {
    nowMs += Math.min(50, left);
    timers.pass(Math.min(50, left));
  }
}

describe('Kafka: group', () => {
  beforeEach(() => {
    timers = new ManualTimers();
    nowMs = 0;
    emptied = 0;
    ids = 0;
    group = newGroup();
  });

  function newGroup(more: { initialRebalanceDelayMs?: number; membersMax?: number } = {}): Group {
    return new Group('g', {
      clock: { ...realClock, monotonicMs: () => nowMs },
      timers,
      newMemberId: (prefix) => `${prefix}-${++ids}`,
      initialRebalanceDelayMs: 0,
      membersMax: 100,
      emptied: () => {
        emptied++;
      },
      save: (_, done) => done(),
      ...more,
    });
  }

  const RANGE: GroupProtocol = { name: 'range', metadata: Buffer.from('range') };
  const STICKY: GroupProtocol = { name: 'sticky', metadata: Buffer.from('sticky') };

  interface Joining {
    result: JoinResult | null;
  }

  function join(request: Partial<JoinRequest> = {}, within = group): Joining {
    const joining: Joining = { result: null };
    const whole: JoinRequest = {
      memberId: '',
      groupInstanceId: null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      protocolType: 'consumer',
      protocols: [RANGE],
      idFirst: false,
      canSkipAssignment: true,
      ...request,
    };
    within.join(whole, (result) => {
      assert.equal(joining.result, null, 'a join is answered once');
      joining.result = result;
    });
    return joining;
  }

  function answered({ result }: Joining): boolean {
    return result !== null;
  }

  function sync(memberId: string, generationId: number, assignments: Record<string, string> = {}) {
    const syncing: { result: SyncResult | null } = { result: null };
    const list = Object.entries(assignments).map(([id, text]) => ({
      memberId: id,
      assignment: Buffer.from(text),
    }));
    const protocol = { protocolType: null, protocolName: null, groupInstanceId: null };
    group.sync({ memberId, generationId, ...protocol, assignments: list }, (result) => {
      syncing.result = result;
    });
    return syncing;
  }

  /** Two members, c-1 leads, both synced. */
  function stablePair(): void {
    const first = join();
    const second = join();
    assert.equal(first.result?.generationId, 1);
    assert.equal(answered(second), false);
    assert.equal(group.heartbeat('c-1', null, 1), KAFKA.REBALANCE_IN_PROGRESS);
    const again = join({ memberId: 'c-1' });
    assert.deepEqual([again.result?.generationId, second.result?.generationId], [2, 2]);
    sync('c-2', 2);
    sync('c-1', 2, { 'c-1': 'a', 'c-2': 'b' });
    assert.equal(group.state, 'Stable');
  }

  test('a first member leads alone, and gets what it assigns itself K60', () => {
    const { result } = join();
    assert.equal(result?.errorCode, KAFKA.NONE);
    assert.deepEqual(
      [result?.leader, result?.memberId, result?.protocolName],
      ['c-1', 'c-1', 'range'],
    );
    assert.deepEqual(result?.members, [
      { memberId: 'c-1', groupInstanceId: null, metadata: RANGE.metadata },
    ]);
    assert.equal(group.state, 'CompletingRebalance');
    assert.equal(sync('c-1', 1, { 'c-1': 'all' }).result?.assignment.toString(), 'all');
    assert.equal(group.state, 'Stable');
  });

  test('followers wait for the leader’s assignment, and only the leader sees the members K60 K61', () => {
    const first = join();
    const second = join();
    const again = join({ memberId: 'c-1' });
    assert.equal(first.result?.errorCode, KAFKA.NONE);
    assert.equal(again.result?.members.length, 2);
    assert.deepEqual(second.result?.members, []);
    const follower = sync('c-2', 2);
    assert.equal(follower.result, null);
    sync('c-1', 2, { 'c-2': 'yours' });
    assert.equal(follower.result!.assignment.toString(), 'yours');
    assert.equal(sync('c-1', 2).result?.assignment.length, 0);
  });

  test('a newer client is told its member id before it joins, and must use it in time K60', () => {
    const { result } = join({ idFirst: true });
    assert.deepEqual([result?.errorCode, result?.memberId], [KAFKA.MEMBER_ID_REQUIRED, 'c-1']);
    assert.equal(group.members.size, 0);
    assert.equal(join({ idFirst: true, memberId: 'c-1' }).result?.errorCode, KAFKA.NONE);
    const late = join({ idFirst: true });
    pass(SESSION_MS);
    const tooLate = join({ idFirst: true, memberId: late.result!.memberId });
    assert.equal(tooLate.result?.errorCode, KAFKA.UNKNOWN_MEMBER_ID);
  });

  test('the protocol that most members like best wins, of those that all can speak K60', () => {
    const like = (...protocols: GroupProtocol[]) => ({ protocols });
    join(like(STICKY, RANGE));
    join(like(RANGE, STICKY));
    join(like(RANGE, STICKY));
    assert.equal(join({ memberId: 'c-1', ...like(STICKY, RANGE) }).result?.protocolName, 'range');
  });

  test('protocols that nobody shares, or of another type, are refused K60', () => {
    join();
    const code = (request: Partial<JoinRequest>) => join(request).result?.errorCode;
    assert.equal(code({ protocols: [STICKY] }), KAFKA.INCONSISTENT_GROUP_PROTOCOL);
    assert.equal(code({ protocolType: 'connect' }), KAFKA.INCONSISTENT_GROUP_PROTOCOL);
    assert.equal(code({ protocols: [] }), KAFKA.INCONSISTENT_GROUP_PROTOCOL);
  });

  test('a member of an old generation, or none, is fenced everywhere K60', () => {
    stablePair();
    assert.equal(group.heartbeat('c-1', null, 1), KAFKA.ILLEGAL_GENERATION);
    assert.equal(group.heartbeat('c-9', null, 2), KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(sync('c-1', 1).result?.errorCode, KAFKA.ILLEGAL_GENERATION);
    assert.equal(group.commitFault('c-1', null, 1), KAFKA.ILLEGAL_GENERATION);
    assert.equal(group.commitFault('c-9', null, 2), KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(group.commitFault('', null, -1), KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(group.commitFault('c-1', null, 2), KAFKA.NONE);
  });

  test('a member without heartbeats is dropped after its session timeout, and the rest rebalances K60', () => {
    stablePair();
    pass(SESSION_MS / 2);
    assert.equal(group.heartbeat('c-1', null, 2), KAFKA.NONE);
    pass(SESSION_MS / 2 + 50);
    assert.deepEqual([...group.members.keys()], ['c-1']);
    assert.equal(group.heartbeat('c-1', null, 2), KAFKA.REBALANCE_IN_PROGRESS);
    assert.equal(join({ memberId: 'c-1' }).result?.generationId, 3);
  });

  test('a rebalance ends at the rebalance timeout without those who did not come back K60', () => {
    const patient = { sessionTimeoutMs: REBALANCE_MS * 2, rebalanceTimeoutMs: REBALANCE_MS };
    join(patient);
    const second = join(patient);
    pass(REBALANCE_MS - 50);
    assert.equal(second.result, null);
    pass(50);
    assert.equal(second.result!.generationId, 2);
    assert.equal(second.result!.leader, 'c-2');
    assert.deepEqual([...group.members.keys()], ['c-2']);
  });

  test('a member that never fetches its assignment is dropped after the rebalance timeout K60', () => {
    const patient = { sessionTimeoutMs: REBALANCE_MS * 2 };
    join(patient);
    assert.equal(group.state, 'CompletingRebalance');
    pass(REBALANCE_MS);
    assert.equal(group.members.size, 0);
    assert.equal(group.state, 'Empty');
    assert.equal(emptied, 1);
  });

  test('an empty group gathers members for the initial delay, and longer while more come K60', () => {
    const gathering = newGroup({ initialRebalanceDelayMs: DELAY_MS });
    const first = join({}, gathering);
    pass(DELAY_MS - 50);
    const second = join({}, gathering);
    pass(50);
    assert.equal(first.result, null);
    pass(DELAY_MS);
    assert.deepEqual([first.result!.generationId, second.result!.generationId], [1, 1]);
  });

  test('a full group takes nobody more, promised places included K60', () => {
    const small = newGroup({ membersMax: 2 });
    join({}, small);
    join({ idFirst: true }, small);
    assert.equal(join({}, small).result?.errorCode, KAFKA.GROUP_MAX_SIZE_REACHED);
  });

  test('a leave starts a rebalance at once, the last one empties the group K60', () => {
    stablePair();
    assert.equal(group.leave('c-1', null), KAFKA.NONE);
    assert.equal(group.leave('c-1', null), KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(group.heartbeat('c-2', null, 2), KAFKA.REBALANCE_IN_PROGRESS);
    assert.equal(join({ memberId: 'c-2' }).result?.leader, 'c-2');
    assert.equal(group.leave('c-2', null), KAFKA.NONE);
    assert.deepEqual([group.state, group.idle, emptied, timers.count], ['Empty', true, 1, 0]);
  });

  test('followers that wait for assignments are sent back to join when another member comes K60', () => {
    join();
    const second = join();
    join({ memberId: 'c-1' });
    assert.equal(second.result?.generationId, 2);
    const waiting = sync('c-2', 2);
    join();
    assert.equal(waiting.result!.errorCode, KAFKA.REBALANCE_IN_PROGRESS);
  });

  test('a static member that comes back keeps its place without a rebalance K60 K111', () => {
    const fixed = { groupInstanceId: 'i' };
    join(fixed);
    sync2('i-1', 1, 'i');
    assert.equal(group.state, 'Stable');
    const back = join(fixed);
    assert.deepEqual(
      [back.result?.errorCode, back.result?.generationId, back.result?.memberId],
      [KAFKA.NONE, 1, 'i-2'],
    );
    assert.equal(back.result?.skipAssignment, true);
    assert.equal(group.state, 'Stable');
    assert.equal(group.heartbeat('i-1', 'i', 1), KAFKA.FENCED_INSTANCE_ID);
    assert.equal(group.heartbeat('i-2', 'i', 1), KAFKA.NONE);
    assert.equal(group.commitFault('i-1', 'i', 1), KAFKA.FENCED_INSTANCE_ID);
    assert.equal(join({ ...fixed, memberId: 'i-1' }).result?.errorCode, KAFKA.FENCED_INSTANCE_ID);
    assert.equal(sync2('i-2', 1, 'i').assignment.toString(), 'mine');
  });

  test('an old client that comes back static does not believe to lead K60', () => {
    join({ groupInstanceId: 'i' });
    sync2('i-1', 1, 'i');
    const back = join({ groupInstanceId: 'i', canSkipAssignment: false });
    assert.deepEqual([back.result?.leader, back.result?.members], ['i-1', []]);
  });

  test('a static member keeps its place through a rebalance that it misses K60', () => {
    const patient = { sessionTimeoutMs: REBALANCE_MS * 2 };
    join({ groupInstanceId: 'i', ...patient });
    const second = join(patient);
    pass(REBALANCE_MS);
    assert.equal(second.result?.generationId, 2);
    assert.deepEqual(
      second.result?.members.map(({ memberId }) => memberId),
      ['i-1', 'c-2'],
    );
  });

  test('an administrator removes a static member by its instance id alone K60 K113', () => {
    join({ groupInstanceId: 'i' });
    assert.equal(group.leave('', 'other'), KAFKA.UNKNOWN_MEMBER_ID);
    assert.equal(group.leave('', 'i'), KAFKA.NONE);
    assert.equal(group.members.size, 0);
  });

  test('a group that ends answers all who wait and leaves no timer K62', () => {
    join();
    const second = join();
    join({ idFirst: true });
    group.end(KAFKA.COORDINATOR_NOT_AVAILABLE);
    assert.equal(second.result?.errorCode, KAFKA.COORDINATOR_NOT_AVAILABLE);
    assert.equal(timers.count, 0);
  });

  /** A sync of a static member that leads: returns its answer. */
  function sync2(memberId: string, generationId: number, groupInstanceId: string): SyncResult {
    let answer: SyncResult = {
      errorCode: -1,
      protocolType: null,
      protocolName: null,
      assignment: NO_BYTES,
    };
    const assignments = [{ memberId, assignment: Buffer.from('mine') }];
    const protocol = { protocolType: 'consumer', protocolName: 'range' };
    group.sync({ memberId, generationId, groupInstanceId, ...protocol, assignments }, (result) => {
      answer = result;
    });
    return answer;
  }
});
