/** Where things are: Metadata, DescribeTopicPartitions, DescribeCluster, FindCoordinator. */
import type { Stream } from '#broker';
import { BrokerError } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { type InternalTopic, internalTopic, internalTopics } from '../internal-topics.ts';
import { metadata } from '../messages/03-metadata.ts';
import { findCoordinator } from '../messages/10-find-coordinator.ts';
import { describeCluster } from '../messages/60-describe-cluster.ts';
import { describeTopicPartitions } from '../messages/75-describe-topic-partitions.ts';
import { answers } from '../operation.ts';
import { clusterOperations, DESCRIBE_ONLY, topicOperations } from '../operations-allowed.ts';
import type { Room } from '../room.ts';
import { type ResponseOf, ZERO_UUID } from '../rows.ts';
import { isLegalName, LEADER_EPOCH, NODE_ID } from '../topics.ts';

const NODES = [NODE_ID];
const NONE: readonly number[] = [];
const NULLABLE_TOPICS_SINCE = 1;
/** Versions 10 and 11 can ask by id, but cannot answer without a name. */
const NULL_NAME_SINCE = 12;
const BROKER_ENDPOINTS = 1;
const GROUP_KEY = 0;
const TRANSACTION_KEY = 1;
const BATCHED_KEYS_SINCE = 4;

type TopicMetadata = ResponseOf<typeof metadata>['topics'][number];

export const metadataOperation = answers(metadata, async (request, call, room) => {
  const { session } = call;
  const listAll =
    request.topics === null ||
    (call.version < NULLABLE_TOPICS_SINCE && request.topics.length === 0);
  const withOperations = request.includeTopicAuthorizedOperations;
  const topics: TopicMetadata[] = [];
  if (listAll) {
    for (const stream of room.topics.visible(session.principal!)) {
      topics.push(describeTopic(stream, room, call, withOperations));
    }
    topics.push(...internalTopics(room, session.principal!).map(describeInternal));
  } else {
    const { streams } = room.broker;
    const before = streams.version;
    for (const { name, topicId } of request.topics!) {
      topics.push(
        name === null
          ? topicById(topicId, room, call, withOperations)
          : topicByName(name, request.allowAutoTopicCreation, room, call, withOperations),
      );
    }
    if (streams.version !== before) await streams.durable();
  }
  return {
    brokers: [{ nodeId: NODE_ID, ...room.advertised(session) }],
    clusterId: room.host.serverId,
    controllerId: NODE_ID,
    topics,
    ...(request.includeClusterAuthorizedOperations && {
      clusterAuthorizedOperations: clusterOperations(room, session),
    }),
  };
});

function topicById(
  topicId: string,
  room: Room,
  call: Call<typeof metadata>,
  withOperations: boolean,
): TopicMetadata {
  const internal = internalTopic(topicId, room, call.session.principal!);
  if (internal !== undefined) return describeInternal(internal);
  const stream = room.topics.byId(topicId);
  // Whoever may not know of a topic cannot tell a hidden id from an unknown one.
  if (stream === undefined || !room.topics.may(call.session.principal!, 'describe', stream)) {
    const name = call.version >= NULL_NAME_SINCE ? null : '';
    return { errorCode: KAFKA.UNKNOWN_TOPIC_ID, name, topicId, partitions: [] };
  }
  return describeTopic(stream, room, call, withOperations);
}

function topicByName(
  name: string,
  mayCreate: boolean,
  room: Room,
  call: Call<typeof metadata>,
  withOperations: boolean,
): TopicMetadata {
  const principal = call.session.principal!;
  const internal = internalTopic(name, room, principal);
  if (internal !== undefined) return describeInternal(internal);
  const stream = room.topics.byName(name);
  if (stream !== undefined) {
    return room.topics.may(principal, 'describe', stream)
      ? describeTopic(stream, room, call, withOperations)
      : noTopic(name, KAFKA.TOPIC_AUTHORIZATION_FAILED);
  }
  if (!room.topics.mayByName(principal, 'describe', name)) {
    return noTopic(name, KAFKA.TOPIC_AUTHORIZATION_FAILED);
  }
  if (!isLegalName(name)) return noTopic(name, KAFKA.INVALID_TOPIC_EXCEPTION);
  if (!mayCreate || !room.options.autoCreate || !room.broker.options.autoCreate) {
    return noTopic(name, KAFKA.UNKNOWN_TOPIC_OR_PARTITION);
  }
  if (!room.topics.mayByName(principal, 'create', name)) {
    return noTopic(name, KAFKA.TOPIC_AUTHORIZATION_FAILED);
  }
  try {
    const { defaultPartitions: partitions } = room.options;
    const made = room.topics.create(name, { ...room.dynamicConfigs.settings, partitions });
    call.session.throttle.take(call as unknown as Call, 'definition-changes', partitions);
    return describeTopic(made, room, call, withOperations);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    // A reserved name is legal to ask for: it is just not there.
    const code = wireCode(error);
    const gone = code === KAFKA.INVALID_TOPIC_EXCEPTION;
    return noTopic(name, gone ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION : code);
  }
}

function noTopic(name: string, errorCode: number): TopicMetadata {
  return { errorCode, name, topicId: ZERO_UUID, partitions: [] };
}

function describeTopic(
  stream: Stream,
  room: Room,
  call: Call<typeof metadata>,
  withOperations: boolean,
): TopicMetadata {
  return {
    errorCode: KAFKA.NONE,
    name: stream.safeName,
    topicId: stream.id,
    isInternal: stream.hidden,
    partitions: stream.partitions.map(({ index }) => partitionMetadata(index)),
    ...(withOperations && {
      topicAuthorizedOperations: topicOperations(room, call.session, stream),
    }),
  };
}

/** It may be known, and that is all. */
function describeInternal({ name, id: topicId }: InternalTopic) {
  return {
    ...{ errorCode: KAFKA.NONE, name, topicId, isInternal: true },
    partitions: [partitionMetadata(0)],
    topicAuthorizedOperations: DESCRIBE_ONLY,
  };
}

function partitionMetadata(partitionIndex: number) {
  return {
    errorCode: KAFKA.NONE,
    partitionIndex,
    leaderId: NODE_ID,
    leaderEpoch: LEADER_EPOCH,
    replicaNodes: NODES,
    isrNodes: NODES,
    // Null is legal here, but the Java admin client of 4.3 cannot read it.
    eligibleLeaderReplicas: NONE,
    lastKnownElr: NONE,
    offlineReplicas: NONE,
  };
}

/** Paged by topic name and partition, so that huge listings come in pieces (KIP-966). */
export const describeTopicPartitionsOperation = answers(
  describeTopicPartitions,
  (request, call, room) => {
    const { session } = call;
    const { cursor } = request;
    const names =
      request.topics.length > 0
        ? request.topics.map(({ name }) => name)
        : [
            ...[...room.topics.visible(session.principal!)].map(({ safeName }) => safeName),
            ...internalTopics(room, session.principal!).map(({ name }) => name),
          ];
    const sorted = [...new Set(names)].sort();
    let left = Math.min(Math.max(1, request.responsePartitionLimit), 2000);
    const topics: ResponseOf<typeof describeTopicPartitions>['topics'][number][] = [];
    for (const name of sorted) {
      if (cursor !== null && name < cursor.topicName) continue;
      const from = cursor !== null && name === cursor.topicName ? cursor.partitionIndex : 0;
      if (left === 0) return { topics, nextCursor: { topicName: name, partitionIndex: from } };
      const internal = internalTopic(name, room, session.principal!);
      if (internal !== undefined) {
        if (from === 0) {
          topics.push(describeInternal(internal));
          left--;
        }
        continue;
      }
      const stream = room.topics.byName(name);
      const errorCode = topicFault(name, stream, room, call.session.principal!);
      if (stream === undefined || errorCode !== KAFKA.NONE) {
        topics.push({ errorCode, name, topicId: ZERO_UUID, partitions: [] });
        continue;
      }
      const shown = stream.partitions.slice(Math.max(0, from), Math.max(0, from) + left);
      topics.push({
        errorCode,
        name,
        topicId: stream.id,
        isInternal: stream.hidden,
        partitions: shown.map(({ index }) => partitionMetadata(index)),
        topicAuthorizedOperations: topicOperations(room, session, stream),
      });
      left -= shown.length;
      const next = Math.max(0, from) + shown.length;
      if (next < stream.partitions.length) {
        return { topics, nextCursor: { topicName: name, partitionIndex: next } };
      }
    }
    return { topics };
  },
);

function topicFault(
  name: string,
  stream: Stream | undefined,
  room: Room,
  principal: NonNullable<Call['session']['principal']>,
): number {
  const allowed =
    stream === undefined
      ? room.topics.mayByName(principal, 'describe', name)
      : room.topics.may(principal, 'describe', stream);
  if (!allowed) return KAFKA.TOPIC_AUTHORIZATION_FAILED;
  if (stream !== undefined) return KAFKA.NONE;
  return isLegalName(name) ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION : KAFKA.INVALID_TOPIC_EXCEPTION;
}

export const describeClusterOperation = answers(describeCluster, (request, call, room) => {
  const clusterId = room.host.serverId;
  if (request.endpointType !== BROKER_ENDPOINTS) {
    const { endpointType } = request;
    return {
      errorCode:
        endpointType === 2 ? KAFKA.MISMATCHED_ENDPOINT_TYPE : KAFKA.UNSUPPORTED_ENDPOINT_TYPE,
      errorMessage: 'this listener serves broker endpoints only',
      endpointType,
      clusterId,
      brokers: [],
    };
  }
  return {
    errorCode: KAFKA.NONE,
    clusterId,
    controllerId: NODE_ID,
    brokers: [{ brokerId: NODE_ID, ...room.advertised(call.session) }],
    ...(request.includeClusterAuthorizedOperations && {
      clusterAuthorizedOperations: clusterOperations(room, call.session),
    }),
  };
});

/** Every coordinator is this node. */
export const findCoordinatorOperation = answers(findCoordinator, (request, call, room) => {
  const { keyType } = request;
  const node = { nodeId: NODE_ID, ...room.advertised(call.session) };
  const nowhere = { nodeId: -1, host: '', port: -1 };
  const faultOf = (key: string): number => {
    if (keyType === TRANSACTION_KEY) {
      return room.mayUseTransaction(call.session, 'describe', key)
        ? KAFKA.NONE
        : KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    if (keyType !== GROUP_KEY) return KAFKA.INVALID_REQUEST;
    return room.mayUseGroup(call.session, 'describe', key)
      ? KAFKA.NONE
      : KAFKA.GROUP_AUTHORIZATION_FAILED;
  };
  if (call.version < BATCHED_KEYS_SINCE) {
    const errorCode = faultOf(request.key);
    return { errorCode, ...(errorCode === KAFKA.NONE ? node : nowhere) };
  }
  return {
    coordinators: request.coordinatorKeys.map((key) => {
      const errorCode = faultOf(key);
      return { key, errorCode, ...(errorCode === KAFKA.NONE ? node : nowhere) };
    }),
  };
});
