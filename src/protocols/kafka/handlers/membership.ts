/** JoinGroup, SyncGroup, Heartbeat, LeaveGroup: between the wire and `groups/`. */
import { KAFKA } from '../error-codes.ts';
import { type JoinResult, refusedJoin, refusedSync, type SyncResult } from '../groups/member.ts';
import { joinGroup } from '../messages/11-join-group.ts';
import { heartbeat } from '../messages/12-heartbeat.ts';
import { leaveGroup } from '../messages/13-leave-group.ts';
import { syncGroup } from '../messages/14-sync-group.ts';
import { answers, answersLater } from '../operation.ts';
import type { ResponseOf } from '../rows.ts';

const ID_FIRST_SINCE = 4;
const NULLABLE_PROTOCOL_SINCE = 7;
const SKIP_ASSIGNMENT_SINCE = 9;
const BATCHED_LEAVE_SINCE = 3;

export const joinGroupOperation = answersLater(joinGroup, (request, call, room) => {
  const { groupId } = request;
  const reply = (result: JoinResult): void => call.answer(joinResponse(result, call.version));
  if (!room.mayUseGroup(call.session, 'subscribe', groupId)) {
    reply(refusedJoin(KAFKA.GROUP_AUTHORIZATION_FAILED, request.memberId));
    return;
  }
  const idFirst = call.version >= ID_FIRST_SINCE;
  const { address } = call.session.connection.peer;
  let memberId = '';
  const join = {
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: call.clientId,
    clientHost: `/${address}`,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs:
      request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
    protocolType: request.protocolType,
    protocols: request.protocols,
    idFirst,
    canSkipAssignment: call.version >= SKIP_ASSIGNMENT_SINCE,
    entered: (id: string) => {
      memberId = id;
    },
  };
  room.groups.join(groupId, join, reply);
  if (call.settled || idFirst || request.memberId !== '') return;
  // Nobody will ever know the id of a member that vanishes before it was told.
  call.onClosed = () => {
    if (memberId !== '') room.groups.leave(groupId, memberId, request.groupInstanceId);
  };
});

function joinResponse(result: JoinResult, version: number): ResponseOf<typeof joinGroup> {
  const nullable = version >= NULLABLE_PROTOCOL_SINCE;
  return { ...result, protocolName: result.protocolName ?? (nullable ? null : '') };
}

export const syncGroupOperation = answersLater(syncGroup, (request, call, room) => {
  const reply = (result: SyncResult): void => call.answer(result);
  if (!room.mayUseGroup(call.session, 'subscribe', request.groupId)) {
    reply(refusedSync(KAFKA.GROUP_AUTHORIZATION_FAILED));
  } else room.groups.sync(request.groupId, request, reply);
});

export const heartbeatOperation = answers(heartbeat, (request, call, room) => {
  const { groupId, memberId, groupInstanceId, generationId } = request;
  const errorCode = room.mayUseGroup(call.session, 'subscribe', groupId)
    ? room.groups.heartbeat(groupId, memberId, groupInstanceId, generationId)
    : KAFKA.GROUP_AUTHORIZATION_FAILED;
  return { errorCode };
});

export const leaveGroupOperation = answers(leaveGroup, (request, call, room) => {
  const { groupId } = request;
  if (!room.mayUseGroup(call.session, 'subscribe', groupId)) {
    return { errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED, members: [] };
  }
  if (call.version < BATCHED_LEAVE_SINCE) {
    return { errorCode: room.groups.leave(groupId, request.memberId, null), members: [] };
  }
  return {
    errorCode: KAFKA.NONE,
    members: request.members.map(({ memberId, groupInstanceId }) => ({
      memberId,
      groupInstanceId,
      errorCode: room.groups.leave(groupId, memberId, groupInstanceId),
    })),
  };
});
