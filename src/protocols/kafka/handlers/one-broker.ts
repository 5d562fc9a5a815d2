/**
 * What a cluster does with several brokers, answered as the one broker that there is: leaders are
 * elected already, replicas are where they can be, in the one directory, and the quorum has one
 * voter.
 */
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { alterReplicaLogDirs } from '../messages/34-alter-replica-log-dirs.ts';
import { electLeaders } from '../messages/43-elect-leaders.ts';
import { alterPartitionReassignments } from '../messages/45-alter-partition-reassignments.ts';
import { listPartitionReassignments } from '../messages/46-list-partition-reassignments.ts';
import { describeQuorum } from '../messages/55-describe-quorum.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import { ZERO_UUID } from '../rows.ts';
import { LEADER_EPOCH, LOG_DIR, NODE_ID } from '../topics.ts';

const METADATA_TOPIC = '__cluster_metadata';
const DENIED = {
  errorCode: KAFKA.CLUSTER_AUTHORIZATION_FAILED,
  errorMessage: 'not authorized',
} as const;

function isThere(room: Room, topic: string, partition: number): boolean {
  return room.topics.byName(topic)?.partitions[partition] !== undefined;
}

const UNKNOWN = {
  errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION,
  errorMessage: 'there is no such partition',
} as const;

export const electLeadersOperation = answers(electLeaders, (request, call, room) => {
  if (!room.mayOnCluster(call.session, 'alter')) {
    return { errorCode: KAFKA.CLUSTER_AUTHORIZATION_FAILED, replicaElectionResults: [] };
  }
  // For all partitions together only those are told of for which there was an election.
  const asked = request.topicPartitions ?? [];
  return {
    errorCode: KAFKA.NONE,
    replicaElectionResults: asked.map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => ({
        partitionId,
        ...(isThere(room, topic, partitionId)
          ? { errorCode: KAFKA.ELECTION_NOT_NEEDED, errorMessage: 'the one replica leads' }
          : UNKNOWN),
      })),
    })),
  };
});

export const alterReassignmentsOperation = answers(
  alterPartitionReassignments,
  (request, call, room) => {
    if (!room.mayOnCluster(call.session, 'alter')) return { ...DENIED, responses: [] };
    return {
      errorCode: KAFKA.NONE,
      responses: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, replicas }) => ({
          partitionIndex,
          ...reassign(name, partitionIndex, replicas, room),
        })),
      })),
    };
  },
);

function reassign(name: string, index: number, replicas: readonly number[] | null, room: Room) {
  if (!isThere(room, name, index)) return UNKNOWN;
  if (replicas === null) {
    const errorMessage = 'no reassignment is in progress';
    return { errorCode: KAFKA.NO_REASSIGNMENT_IN_PROGRESS, errorMessage };
  }
  if (replicas.length === 1 && replicas[0] === NODE_ID) {
    return { errorCode: KAFKA.NONE, errorMessage: null };
  }
  const errorMessage = `broker ${NODE_ID} is the only one, and holds one replica`;
  return { errorCode: KAFKA.INVALID_REPLICA_ASSIGNMENT, errorMessage };
}

export const listReassignmentsOperation = answers(listPartitionReassignments, () => ({
  errorCode: KAFKA.NONE,
  topics: [],
}));

export const alterReplicaLogDirsOperation = answers(alterReplicaLogDirs, (request, call, room) => {
  const allowed = room.mayOnCluster(call.session, 'alter');
  const move = (path: string, name: string, index: number): number => {
    if (!allowed) return KAFKA.CLUSTER_AUTHORIZATION_FAILED;
    if (path !== LOG_DIR) return KAFKA.LOG_DIR_NOT_FOUND;
    return isThere(room, name, index) ? KAFKA.NONE : KAFKA.UNKNOWN_TOPIC_OR_PARTITION;
  };
  return {
    results: request.dirs.flatMap(({ path, topics }) =>
      topics.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map((partitionIndex) => ({
          partitionIndex,
          errorCode: move(path, name, partitionIndex),
        })),
      })),
    ),
  };
});

export const describeQuorumOperation = answers(describeQuorum, (request, call, room) => ({
  errorCode: KAFKA.NONE,
  topics: request.topics.map(({ topicName, partitions }) => ({
    topicName,
    partitions: partitions.map(({ partitionIndex }) =>
      topicName === METADATA_TOPIC && partitionIndex === 0
        ? quorumOf(room)
        : { partitionIndex, ...UNKNOWN, ...NOBODY },
    ),
  })),
  nodes: [{ nodeId: NODE_ID, listeners: [listenerOf(call, room)] }],
}));

const NOBODY = {
  ...{ leaderId: -1, leaderEpoch: -1, highWatermark: -1, currentVoters: [], observers: [] },
};

/** The catalogue takes the place of the log of metadata: its one voter has all of it, always. */
function quorumOf(room: Room) {
  const nowMs = room.host.clock.nowMs();
  const logEndOffset = room.broker.streams.version;
  const voter = {
    ...{ replicaId: NODE_ID, replicaDirectoryId: ZERO_UUID, logEndOffset },
    ...{ lastFetchTimestamp: nowMs, lastCaughtUpTimestamp: nowMs },
  };
  return {
    partitionIndex: 0,
    errorCode: KAFKA.NONE,
    leaderId: NODE_ID,
    leaderEpoch: LEADER_EPOCH,
    highWatermark: logEndOffset,
    currentVoters: [voter],
    observers: [],
  };
}

function listenerOf({ session }: Pick<Call, 'session'>, room: Room) {
  return { name: session.connection.listener.toUpperCase(), ...room.advertised(session) };
}
