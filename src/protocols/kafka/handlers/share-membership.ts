/** ShareGroupHeartbeat and ShareGroupDescribe: between the wire and `share/` (KIP-932). */
import { KAFKA } from '../error-codes.ts';
import { type Assignment, listOf } from '../groups/assignment.ts';
import { type HeartbeatAnswer, refusedBeat } from '../groups/consumer-heartbeat.ts';
import { areTooMany, TOO_MANY_TOPICS } from '../groups/topic-names.ts';
import { shareGroupHeartbeat } from '../messages/76-share-group-heartbeat.ts';
import { shareGroupDescribe } from '../messages/77-share-group-describe.ts';
import { answers, answersLater } from '../operation.ts';
import { groupOperations } from '../operations-allowed.ts';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import { SHARE_ASSIGNOR } from '../share/share-assignor.ts';
import type { ShareGroup } from '../share/share-group.ts';

export const shareHeartbeatOperation = answersLater(shareGroupHeartbeat, (request, call, room) => {
  const { groupId, memberId, memberEpoch, rackId, subscribedTopicNames: topicNames } = request;
  const { session } = call;
  const reply = ({ assignment, ...told }: HeartbeatAnswer): void => {
    const wire = assignment === null ? null : { topicPartitions: listOf(assignment) };
    call.answer({ ...told, assignment: wire });
  };
  if (!room.mayUseGroup(session, 'subscribe', groupId)) {
    reply(refusedBeat(KAFKA.GROUP_AUTHORIZATION_FAILED, 'not authorized'));
    return;
  }
  if (areTooMany(topicNames)) {
    reply(refusedBeat(KAFKA.INVALID_REQUEST, TOO_MANY_TOPICS));
    return;
  }
  if (topicNames?.some((name) => !mayKnow(name, session, room))) {
    reply(refusedBeat(KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized'));
    return;
  }
  const clientHost = `/${session.connection.peer.address}`;
  const client = { clientId: call.clientId, clientHost };
  const beat = { memberId, memberEpoch, rackId, topicNames, ...client };
  room.shares.heartbeat(groupId, beat, reply);
});

function mayKnow(name: string, { principal }: Session, { topics }: Room): boolean {
  const stream = topics.byName(name);
  return stream === undefined
    ? topics.mayByName(principal!, 'describe', name)
    : topics.may(principal!, 'describe', stream);
}

export const shareDescribeOperation = answers(shareGroupDescribe, (request, call, room) => ({
  groups: request.groupIds.map((groupId) => {
    const nothing = {
      ...{ groupId, groupState: '', groupEpoch: 0, assignmentEpoch: 0 },
      ...{ assignorName: '', members: [] },
    };
    if (!room.mayUseGroup(call.session, 'describe', groupId)) {
      return { ...nothing, errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED };
    }
    const group = room.shares.find(groupId);
    if (group === undefined) {
      const what = room.groups.exists(groupId) ? 'is not a share group' : 'not found';
      const errorMessage = `Group ${groupId} ${what}.`;
      return { ...nothing, errorCode: KAFKA.GROUP_ID_NOT_FOUND, errorMessage };
    }
    if (!mayDescribe(group, call.session, room)) {
      const errorMessage = 'The group reads topics that the client is not authorized to describe.';
      return { ...nothing, errorCode: KAFKA.TOPIC_AUTHORIZATION_FAILED, errorMessage };
    }
    return {
      ...{ errorCode: KAFKA.NONE, groupId, groupState: group.state, groupEpoch: group.epoch },
      ...{ assignmentEpoch: group.assignmentEpoch, assignorName: SHARE_ASSIGNOR },
      members: [...group.members.values()].map(({ facts }) => ({
        ...{ memberId: facts.id, rackId: facts.rackId, memberEpoch: facts.epoch },
        ...{ clientId: facts.clientId, clientHost: facts.clientHost },
        subscribedTopicNames: facts.topicNames,
        assignment: { topicPartitions: namedList(facts.assigned, room) },
      })),
      ...(request.includeAuthorizedOperations && {
        authorizedOperations: groupOperations(room, call.session, groupId),
      }),
    };
  }),
}));

/** Who may not know all topics of a group does not see the group, as in Kafka. */
function mayDescribe(group: ShareGroup, session: Session, room: Room): boolean {
  for (const topicId of group.topics.keys()) {
    const stream = room.topics.byId(topicId);
    if (stream !== undefined && !room.topics.may(session.principal!, 'describe', stream)) {
      return false;
    }
  }
  return true;
}

/** Topics that were removed have no name any more. */
function namedList(assignment: Assignment, room: Room) {
  return listOf(assignment).flatMap(({ topicId, partitions }) => {
    const topicName = room.topics.byId(topicId)?.safeName;
    return topicName === undefined ? [] : [{ topicId, topicName, partitions }];
  });
}
