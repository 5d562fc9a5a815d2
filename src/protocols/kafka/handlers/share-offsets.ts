/** Describe, Alter and DeleteShareGroupOffsets: where share groups are, for administrators. */
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { describeShareGroupOffsets } from '../messages/90-describe-share-group-offsets.ts';
import { alterShareGroupOffsets } from '../messages/91-alter-share-group-offsets.ts';
import { deleteShareGroupOffsets } from '../messages/92-delete-share-group-offsets.ts';
import { answers, answersLater } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf } from '../rows.ts';
import { ZERO_UUID } from '../rows.ts';
import type { ShareGroup } from '../share/share-group.ts';
import { LEADER_EPOCH } from '../topics.ts';

type Asked = RequestOf<typeof describeShareGroupOffsets>['groups'][number];

interface Fault {
  readonly errorCode: number;
  readonly errorMessage: string;
}

export const describeShareOffsetsOperation = answers(
  describeShareGroupOffsets,
  (request, call, room) => ({
    groups: request.groups.map((asked) => {
      const { groupId } = asked;
      if (!room.mayUseGroup(call.session, 'describe', groupId)) {
        return { groupId, topics: [], errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED };
      }
      const group = room.shares.find(groupId);
      if (group === undefined) return { groupId, topics: [], ...notFound(groupId) };
      return { groupId, topics: describeTopics(asked, group, call, room) };
    }),
  }),
);

function notFound(groupId: string): Fault {
  return { errorCode: KAFKA.GROUP_ID_NOT_FOUND, errorMessage: `Group ${groupId} not found.` };
}

function describeTopics(
  { topics }: Asked,
  group: ShareGroup,
  { session }: Pick<Call, 'session'>,
  room: Room,
) {
  const asked = topics ?? allTopics(group, session.principal!, room);
  return asked.map(({ topicName, partitions }) => {
    const stream = room.topics.byName(topicName);
    const allowed =
      stream === undefined
        ? room.topics.mayByName(session.principal!, 'describe', topicName)
        : room.topics.may(session.principal!, 'describe', stream);
    const topicId = allowed ? (stream?.id ?? ZERO_UUID) : ZERO_UUID;
    return {
      topicName,
      topicId,
      partitions: partitions.map((partitionIndex) => {
        const unknown = { partitionIndex, startOffset: -1, leaderEpoch: LEADER_EPOCH };
        if (!allowed) return { ...unknown, errorCode: KAFKA.TOPIC_AUTHORIZATION_FAILED };
        if (stream?.partitions[partitionIndex] === undefined) {
          return { ...unknown, errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION };
        }
        const share = room.shares.partition(group.id, topicId, partitionIndex);
        if (share === undefined) return unknown;
        return { ...unknown, startOffset: share.startOffset, lag: share.lag };
      }),
    };
  });
}

/** Every topic that the group has a place in, as far as the client may know it. */
function allTopics(group: ShareGroup, principal: Parameters<Room['topics']['may']>[0], room: Room) {
  return [...group.topics].flatMap(([topicId, count]) => {
    const stream = room.topics.byId(topicId);
    if (stream === undefined || !room.topics.may(principal, 'describe', stream)) return [];
    return { topicName: stream.safeName, partitions: Array.from({ length: count }, (_, n) => n) };
  });
}

/** What stands against changing the places of a group, or the group. */
function changeable(groupId: string, room: Room): ShareGroup | Fault {
  const group = room.shares.find(groupId);
  if (group === undefined) return notFound(groupId);
  if (group.members.size === 0) return group;
  return { errorCode: KAFKA.NON_EMPTY_GROUP, errorMessage: `Group ${groupId} is not empty.` };
}

export const alterShareOffsetsOperation = answersLater(
  alterShareGroupOffsets,
  (request, call, room) => {
    const { groupId, topics } = request;
    if (!room.mayUseGroup(call.session, 'subscribe', groupId)) {
      call.answer({ errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED, responses: [] });
      return;
    }
    const group = changeable(groupId, room);
    if ('errorCode' in group) {
      call.answer({ ...group, responses: [] });
      return;
    }
    const responses = topics.map(({ topicName, partitions }) => {
      const stream = room.topics.byName(topicName);
      const fault = topicFault(topicName, call, room);
      return {
        topicName,
        topicId: fault === KAFKA.NONE ? stream!.id : ZERO_UUID,
        partitions: partitions.map(({ partitionIndex, startOffset }) => {
          const partition = stream?.partitions[partitionIndex];
          if (fault !== KAFKA.NONE) return { partitionIndex, errorCode: fault };
          if (partition === undefined) {
            return { partitionIndex, errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION };
          }
          const offset = Math.min(Math.max(0, startOffset), partition.highWatermark);
          room.shares.moveTo(group, stream!, partition, offset);
          return { partitionIndex };
        }),
      };
    });
    room.shares.saved(group, () => call.answer({ responses }));
  },
);

export const deleteShareOffsetsOperation = answersLater(
  deleteShareGroupOffsets,
  (request, call, room) => {
    const { groupId, topics } = request;
    if (!room.mayUseGroup(call.session, 'remove', groupId)) {
      call.answer({ errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED, responses: [] });
      return;
    }
    const group = changeable(groupId, room);
    if ('errorCode' in group) {
      call.answer({ ...group, responses: [] });
      return;
    }
    const responses = topics.map(({ topicName }) => {
      const fault = topicFault(topicName, call, room);
      if (fault !== KAFKA.NONE) return { topicName, topicId: ZERO_UUID, errorCode: fault };
      const { id: topicId } = room.topics.byName(topicName)!;
      if (room.shares.forgetTopic(group, topicId)) return { topicName, topicId };
      const errorMessage = 'There is no offset information to delete.';
      return { topicName, topicId, errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION, errorMessage };
    });
    room.shares.saved(group, () => call.answer({ responses }));
  },
);

function topicFault(name: string, { session }: Pick<Call, 'session'>, { topics }: Room): number {
  const stream = topics.byName(name);
  const principal = session.principal!;
  if (stream === undefined) {
    return topics.mayByName(principal, 'subscribe', name)
      ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION
      : KAFKA.TOPIC_AUTHORIZATION_FAILED;
  }
  return topics.may(principal, 'subscribe', stream) ? KAFKA.NONE : KAFKA.TOPIC_AUTHORIZATION_FAILED;
}
