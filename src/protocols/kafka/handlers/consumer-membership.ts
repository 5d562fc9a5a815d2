/** ConsumerGroupHeartbeat and ConsumerGroupDescribe: between the wire and `groups/` (KIP-848). */
import { KAFKA } from '../error-codes.ts';
import { type Assignment, assignmentOf, listOf } from '../groups/assignment.ts';
import type { ConsumerGroup } from '../groups/consumer-group.ts';
import { type HeartbeatAnswer, refusedBeat } from '../groups/consumer-heartbeat.ts';
import type { ConsumerMember } from '../groups/consumer-member.ts';
import { areTooMany, TOO_MANY_TOPICS } from '../groups/topic-names.ts';
import { consumerGroupHeartbeat } from '../messages/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribe } from '../messages/69-consumer-group-describe.ts';
import { answers, answersLater } from '../operation.ts';
import { groupOperations } from '../operations-allowed.ts';
import type { Room } from '../room.ts';
import type { RequestOf } from '../rows.ts';
import type { Session } from '../session.ts';

const CLASSIC_MEMBER = 0;
const CONSUMER_MEMBER = 1;

export const consumerHeartbeatOperation = answersLater(
  consumerGroupHeartbeat,
  (request, call, room) => {
    const { groupId, topicPartitions } = request;
    const { session } = call;
    const reply = ({ assignment, ...told }: HeartbeatAnswer): void => {
      const wire = assignment === null ? null : { topicPartitions: listOf(assignment) };
      call.answer({ ...told, assignment: wire });
    };
    const refusal = refusalOf(request, session, room);
    if (refusal !== null) {
      reply(refusal);
      return;
    }
    const { address } = session.connection.peer;
    const principal = session.principal!;
    const beat = {
      version: call.version,
      memberId: request.memberId,
      memberEpoch: request.memberEpoch,
      instanceId: request.instanceId,
      rackId: request.rackId,
      clientId: call.clientId,
      clientHost: `/${address}`,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      topicNames: request.subscribedTopicNames,
      pattern: request.subscribedTopicRegex,
      assignor: request.serverAssignor,
      owned: topicPartitions === null ? null : assignmentOf(topicPartitions),
    };
    const allowed = (name: string): boolean => {
      const stream = room.topics.byName(name);
      return stream !== undefined && room.topics.may(principal, 'describe', stream);
    };
    room.groups.consumerHeartbeat(groupId, beat, allowed, reply);
  },
);

/** Rights on the group, and on the topics that the client names. */
function refusalOf(
  request: RequestOf<typeof consumerGroupHeartbeat>,
  session: Session,
  room: Room,
): HeartbeatAnswer | null {
  if (!room.mayUseGroup(session, 'subscribe', request.groupId)) {
    return refusedBeat(KAFKA.GROUP_AUTHORIZATION_FAILED, 'not authorized');
  }
  if (areTooMany(request.subscribedTopicNames)) {
    return refusedBeat(KAFKA.INVALID_REQUEST, TOO_MANY_TOPICS);
  }
  const denied = request.subscribedTopicNames?.find((name) => {
    const stream = room.topics.byName(name);
    return stream === undefined
      ? !room.topics.mayByName(session.principal!, 'describe', name)
      : !room.topics.may(session.principal!, 'describe', stream);
  });
  return denied === undefined
    ? null
    : refusedBeat(KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized');
}

export const consumerDescribeOperation = answers(consumerGroupDescribe, (request, call, room) => ({
  groups: request.groupIds.map((groupId) => {
    const nothing = {
      ...{ groupId, groupState: '', groupEpoch: 0, assignmentEpoch: 0 },
      ...{ assignorName: '', members: [] },
    };
    if (!room.mayUseGroup(call.session, 'describe', groupId)) {
      return { ...nothing, errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED };
    }
    const group = room.groups.find(groupId);
    if (group?.type !== 'consumer') {
      const errorMessage = room.groups.exists(groupId)
        ? `Group ${groupId} is not a consumer group.`
        : `Group ${groupId} not found.`;
      return { ...nothing, errorCode: KAFKA.GROUP_ID_NOT_FOUND, errorMessage };
    }
    if (!mayDescribe(group, call.session, room)) {
      const errorMessage = 'The group reads topics that the client is not authorized to describe.';
      return { ...nothing, errorCode: KAFKA.TOPIC_AUTHORIZATION_FAILED, errorMessage };
    }
    return {
      errorCode: KAFKA.NONE,
      groupId,
      groupState: group.state,
      groupEpoch: group.epoch,
      assignmentEpoch: group.assignmentEpoch,
      assignorName: group.assignor,
      members: [...group.members.values()].map((member) => memberRow(member, room)),
      ...(request.includeAuthorizedOperations && {
        authorizedOperations: groupOperations(room, call.session, groupId),
      }),
    };
  }),
}));

/** Who may not know all topics of a group does not see the group, as in Kafka. */
function mayDescribe(group: ConsumerGroup, session: Session, room: Room): boolean {
  const asked = new Set<string>();
  for (const { facts } of group.members.values()) {
    for (const assignment of [facts.assigned, facts.target]) {
      for (const topicId of assignment.keys()) asked.add(topicId);
    }
  }
  for (const topicId of asked) {
    const stream = room.topics.byId(topicId);
    if (stream !== undefined && !room.topics.may(session.principal!, 'describe', stream)) {
      return false;
    }
  }
  return true;
}

function memberRow({ facts }: ConsumerMember, room: Room) {
  return {
    memberId: facts.id,
    instanceId: facts.instanceId,
    rackId: facts.rackId,
    memberEpoch: facts.epoch,
    clientId: facts.clientId,
    clientHost: facts.clientHost,
    subscribedTopicNames: facts.topicNames,
    subscribedTopicRegex: facts.pattern,
    assignment: { topicPartitions: namedList(facts.assigned, room) },
    targetAssignment: { topicPartitions: namedList(facts.target, room) },
    memberType: facts.classic === null ? CONSUMER_MEMBER : CLASSIC_MEMBER,
  };
}

/** Topics that were removed have no name any more. */
function namedList(assignment: Assignment, room: Room) {
  return listOf(assignment).flatMap(({ topicId, partitions }) => {
    const topicName = room.topics.byId(topicId)?.safeName;
    return topicName === undefined ? [] : [{ topicId, topicName, partitions }];
  });
}
