/**
 * OffsetCommit, OffsetFetch, OffsetDelete: the positions of groups, kept as the broker's cursors.
 */
import type { CommittedOffset, Stream } from '#broker';
import type { BrokerError } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { groupWireCode } from '../errors.ts';
import { readTopics } from '../groups/embedded-protocol.ts';
import { offsetCommit } from '../messages/08-offset-commit.ts';
import { offsetFetch } from '../messages/09-offset-fetch.ts';
import { offsetDelete } from '../messages/47-offset-delete.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import type { ResponseOf } from '../rows.ts';

const TOPIC_ID_SINCE = 10;
const BATCHED_GROUPS_SINCE = 8;
const MEMBER_EPOCH_SINCE = 9;

type CommitAnswer = ResponseOf<typeof offsetCommit>['topics'][number];

export const offsetCommitOperation = answers(offsetCommit, async (request, call, room) => {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generation } = request;
  const groupFault = room.mayUseGroup(call.session, 'subscribe', groupId)
    ? room.groups.commitFault(
        groupId,
        memberId,
        groupInstanceId,
        generation,
        call.version >= MEMBER_EPOCH_SINCE,
      )
    : KAFKA.GROUP_AUTHORIZATION_FAILED;
  const entries: CommittedOffset[] = [];
  const taken: { errorCode: number }[] = [];
  const timeMs = room.host.clock.nowMs();
  const topics = request.topics.map(({ name, topicId, partitions }): CommitAnswer => {
    const byId = call.version >= TOPIC_ID_SINCE;
    const stream = byId ? room.topics.byId(topicId) : room.topics.byName(name);
    const fault = groupFault || topicFault(stream, name, byId, call, room);
    const answersOfTopic = partitions.map((one) => {
      const metadata = one.committedMetadata ?? '';
      const partition = one.partitionIndex;
      const answer = { partitionIndex: partition, errorCode: fault as number };
      if (fault !== KAFKA.NONE) return answer;
      if (stream!.partitions[partition] === undefined) {
        answer.errorCode = KAFKA.UNKNOWN_TOPIC_OR_PARTITION;
      } else if (Buffer.byteLength(metadata) > room.options.offsetMetadataBytesMax) {
        answer.errorCode = KAFKA.OFFSET_METADATA_TOO_LARGE;
      } else {
        const { committedOffset: offset, committedLeaderEpoch: epoch } = one;
        entries.push({ stream: stream!.name, partition, offset, epoch, metadata, timeMs });
        taken.push(answer);
      }
      return answer;
    });
    return { name, topicId, partitions: answersOfTopic };
  });
  if (entries.length > 0) {
    const error = await new Promise<BrokerError | null>((done) => {
      room.groups.commit(groupId, entries, done);
    });
    if (error !== null) for (const answer of taken) answer.errorCode = groupWireCode(error);
  }
  return { topics };
});

function topicFault(
  stream: Stream | undefined,
  name: string,
  byId: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
): number {
  const principal = call.session.principal!;
  if (stream === undefined) {
    if (byId) return KAFKA.UNKNOWN_TOPIC_ID;
    return room.topics.mayByName(principal, 'subscribe', name)
      ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION
      : KAFKA.TOPIC_AUTHORIZATION_FAILED;
  }
  return room.topics.may(principal, 'subscribe', stream)
    ? KAFKA.NONE
    : KAFKA.TOPIC_AUTHORIZATION_FAILED;
}

interface OffsetAnswer {
  readonly partitionIndex: number;
  readonly committedOffset: number;
  readonly committedLeaderEpoch: number;
  readonly metadata: string;
  readonly errorCode: number;
}

interface AskedTopic {
  readonly name: string;
  readonly topicId?: string;
  readonly partitionIndexes: readonly number[];
}

interface TopicAnswer {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly OffsetAnswer[];
}

export const offsetFetchOperation = answers(offsetFetch, (request, call, room) => {
  if (call.version < BATCHED_GROUPS_SINCE) {
    const fault = groupFault(request.groupId, call, room);
    const { groupId, requireStable } = request;
    const topics = fault === 0 ? offsetsOf(groupId, request.topics, call, room, requireStable) : [];
    return {
      topics: fault === 0 ? topics : refusedTopics(request.topics, fault),
      errorCode: fault,
    };
  }
  return {
    groups: request.groups.map(({ groupId, memberId, memberEpoch, topics }) => {
      const fault =
        groupFault(groupId, call, room) || room.groups.fetchFault(groupId, memberId, memberEpoch);
      return {
        groupId,
        errorCode: fault,
        topics: fault === 0 ? offsetsOf(groupId, topics, call, room, request.requireStable) : [],
      };
    }),
  };
});

function groupFault(groupId: string, call: Pick<Call, 'session'>, room: Room): number {
  if (!room.mayUseGroup(call.session, 'describe', groupId)) return KAFKA.GROUP_AUTHORIZATION_FAILED;
  return KAFKA.NONE;
}

/** Before version 2 there is no error of the group as a whole: it stands at each partition. */
function refusedTopics(topics: readonly AskedTopic[] | null, errorCode: number): TopicAnswer[] {
  return (topics ?? []).map(({ name, topicId = '', partitionIndexes }) => ({
    name,
    topicId,
    partitions: partitionIndexes.map((index) => unknownOffset(index, errorCode)),
  }));
}

function offsetsOf(
  groupId: string,
  asked: readonly AskedTopic[] | null,
  call: Pick<Call, 'session' | 'version'>,
  room: Room,
  requireStable: boolean,
): TopicAnswer[] {
  const { pending } = room.transactions;
  if (asked === null) {
    const all = allOffsets(groupId, call, room);
    return requireStable ? all.map((topic) => onlyStable(topic, groupId, room)) : all;
  }
  return asked.map(({ name, topicId = '', partitionIndexes }) => {
    const byId = call.version >= TOPIC_ID_SINCE;
    const stream = byId ? room.topics.byId(topicId) : room.topics.byName(name);
    const fault = topicFault(stream, name, byId, call, room);
    // A topic that is unknown has no positions; that is not an error here.
    const told = fault === KAFKA.UNKNOWN_TOPIC_OR_PARTITION ? KAFKA.NONE : fault;
    return {
      name,
      topicId,
      partitions: partitionIndexes.map((index) => {
        // What an open transaction may commit is not known yet (KIP-447).
        if (requireStable && fault === KAFKA.NONE && pending.has(groupId, stream!.name, index)) {
          return unknownOffset(index, KAFKA.UNSTABLE_OFFSET_COMMIT);
        }
        const committed =
          fault === KAFKA.NONE ? room.groups.committed(groupId, stream!.name, index) : undefined;
        return committed === undefined ? unknownOffset(index, told) : knownOffset(committed);
      }),
    };
  });
}

function allOffsets(groupId: string, call: Pick<Call, 'session'>, room: Room): TopicAnswer[] {
  const topics = new Map<Stream, OffsetAnswer[]>();
  for (const committed of room.groups.allCommitted(groupId)) {
    const stream = room.broker.streams.get(committed.stream);
    if (stream === undefined) continue;
    if (!room.topics.may(call.session.principal!, 'describe', stream)) continue;
    const partitions = topics.get(stream) ?? [];
    partitions.push(knownOffset(committed));
    topics.set(stream, partitions);
  }
  return [...topics].map(([stream, partitions]) => ({
    name: stream.safeName,
    topicId: stream.id,
    partitions,
  }));
}

function onlyStable(topic: TopicAnswer, groupId: string, room: Room): TopicAnswer {
  const stream = room.topics.byName(topic.name);
  const { pending } = room.transactions;
  const partitions = topic.partitions.map((known) =>
    stream !== undefined && pending.has(groupId, stream.name, known.partitionIndex)
      ? unknownOffset(known.partitionIndex, KAFKA.UNSTABLE_OFFSET_COMMIT)
      : known,
  );
  return { ...topic, partitions };
}

function knownOffset({ partition, offset, epoch, metadata }: CommittedOffset): OffsetAnswer {
  return {
    partitionIndex: partition,
    committedOffset: offset,
    committedLeaderEpoch: epoch,
    metadata,
    errorCode: KAFKA.NONE,
  };
}

function unknownOffset(partitionIndex: number, errorCode: number): OffsetAnswer {
  return { partitionIndex, committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode };
}

export const offsetDeleteOperation = answers(offsetDelete, (request, call, room) => {
  const { groupId } = request;
  if (!room.mayUseGroup(call.session, 'remove', groupId)) {
    return { errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED, topics: [] };
  }
  if (!room.groups.exists(groupId)) return { errorCode: KAFKA.GROUP_ID_NOT_FOUND, topics: [] };
  const group = room.groups.find(groupId);
  const isRead = group === undefined ? () => false : readTopics(group);
  if (isRead === null) return { errorCode: KAFKA.NON_EMPTY_GROUP, topics: [] };
  return {
    errorCode: KAFKA.NONE,
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => {
        const stream = room.topics.byName(name);
        let errorCode: number = topicFault(stream, name, false, call, room);
        if (errorCode === KAFKA.NONE && isRead(name)) errorCode = KAFKA.GROUP_SUBSCRIBED_TO_TOPIC;
        if (errorCode === KAFKA.NONE) {
          room.groups.forgetOffset(groupId, stream!.name, partitionIndex);
        }
        return { partitionIndex, errorCode };
      }),
    })),
  };
});
