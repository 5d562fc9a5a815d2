/** Questions about positions in logs: ListOffsets, OffsetForLeaderEpoch, DeleteRecords. */
import type { Partition } from '#broker';
import { BrokerError } from '#kit';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { internalTopic } from '../internal-topics.ts';
import { listOffsets } from '../messages/02-list-offsets.ts';
import { deleteRecords } from '../messages/21-delete-records.ts';
import { offsetForLeaderEpoch } from '../messages/23-offset-for-leader-epoch.ts';
import { answers } from '../operation.ts';
import { findPartition, leaderEpochFault } from '../topic-lookup.ts';
import { LEADER_EPOCH } from '../topics.ts';

/** Special timestamps of ListOffsets, and the first version that may use them. */
const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
const EARLIEST_LOCAL = -4;
const LATEST_TIERED = -5;
const EARLIEST_PENDING_UPLOAD = -6;
const SPECIAL_SINCE: Readonly<Record<number, number>> = {
  [LATEST]: 1,
  [EARLIEST]: 1,
  [MAX_TIMESTAMP]: 7,
  [EARLIEST_LOCAL]: 8,
  [LATEST_TIERED]: 9,
  [EARLIEST_PENDING_UPLOAD]: 11,
};

const READ_COMMITTED = 1;

const NOT_FOUND = { offset: -1, timestamp: -1, leaderEpoch: -1 };

export const listOffsetsOperation = answers(listOffsets, async (request, call, room) => {
  const principal = call.session.principal!;
  const answerOf = async (name: string, asked: Asked) => {
    const { partitionIndex, timestamp } = asked;
    if (internalTopic(name, room, principal) !== undefined) {
      return { partitionIndex, ...emptyAt(partitionIndex, timestamp) };
    }
    const found = findPartition(room, principal, 'describe', name, partitionIndex);
    if (found.partition === null) return { partitionIndex, errorCode: found.errorCode };
    const errorCode =
      timestamp < 0 && call.version < (SPECIAL_SINCE[timestamp] ?? 0x7fff)
        ? KAFKA.UNSUPPORTED_VERSION
        : leaderEpochFault(asked.currentLeaderEpoch);
    if (errorCode !== KAFKA.NONE) return { partitionIndex, errorCode };
    try {
      const at = await lookUp(
        found.partition,
        timestamp,
        request.isolationLevel === READ_COMMITTED,
      );
      return { partitionIndex, errorCode, ...at };
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      return { partitionIndex, errorCode: wireCode(error) };
    }
  };
  const topics = request.topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(partitions.map((asked) => answerOf(name, asked))),
  }));
  return { topics: await Promise.all(topics) };
});

interface Asked {
  readonly partitionIndex: number;
  readonly currentLeaderEpoch: number;
  readonly timestamp: number;
}

/** A topic of the server's own state has no records to show. */
function emptyAt(partitionIndex: number, timestamp: number) {
  if (partitionIndex !== 0) return { errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION };
  const isEnd = timestamp === LATEST || timestamp === EARLIEST || timestamp === EARLIEST_LOCAL;
  const at = isEnd ? { offset: 0, timestamp: -1, leaderEpoch: LEADER_EPOCH } : NOT_FOUND;
  return { errorCode: KAFKA.NONE, ...at };
}

async function lookUp(
  partition: Partition,
  timestamp: number,
  isCommitted: boolean,
): Promise<typeof NOT_FOUND> {
  const leaderEpoch = LEADER_EPOCH;
  const here = { timestamp: -1, leaderEpoch };
  switch (timestamp) {
    case LATEST:
      return { offset: isCommitted ? partition.stableOffset : partition.highWatermark, ...here };
    case EARLIEST:
    case EARLIEST_LOCAL:
      return { offset: partition.startOffset, ...here };
    // Nothing is tiered.
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD:
      return NOT_FOUND;
    default: {
      const found =
        timestamp === MAX_TIMESTAMP
          ? await latestInTime(partition)
          : await partition.findByTime(timestamp);
      if (found === null) return NOT_FOUND;
      if (isCommitted && found.offset >= partition.stableOffset) return NOT_FOUND;
      return { offset: found.offset, timestamp: found.timestampMs, leaderEpoch };
    }
  }
}

/**
 * The first record with the largest time: a binary search for the last moment that has a record at
 * or after it. A rare question, so it costs the log no index of its own.
 */
async function latestInTime(
  partition: Partition,
): Promise<{ offset: number; timestampMs: number } | null> {
  let found = await partition.findByTime(0);
  if (found === null) return null;
  let stepMs = 1;
  let missMs = Number.POSITIVE_INFINITY;
  while (found.timestampMs + 1 < missMs) {
    const probeMs: number =
      missMs === Number.POSITIVE_INFINITY
        ? found.timestampMs + stepMs
        : Math.ceil((found.timestampMs + missMs) / 2);
    stepMs *= 2;
    const later = await partition.findByTime(probeMs);
    if (later === null) missMs = probeMs;
    else found = later;
  }
  return found;
}

export const offsetForLeaderEpochOperation = answers(
  offsetForLeaderEpoch,
  (request, call, room) => ({
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
        const found = findPartition(room, call.session.principal!, 'describe', topic, index);
        const errorCode = found.errorCode || leaderEpochFault(currentLeaderEpoch);
        // An epoch that never was has no end here: -1, as for a log that knows none.
        if (found.partition === null || errorCode !== 0 || leaderEpoch !== LEADER_EPOCH) {
          return { partition: index, errorCode };
        }
        return {
          partition: index,
          errorCode,
          leaderEpoch: LEADER_EPOCH,
          endOffset: found.partition.highWatermark,
        };
      }),
    })),
  }),
);

export const deleteRecordsOperation = answers(deleteRecords, (request, call, room) => ({
  topics: request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, offset }) => {
      const principal = call.session.principal!;
      const found = findPartition(room, principal, 'remove', name, partitionIndex);
      if (found.partition === null) {
        return { partitionIndex, lowWatermark: -1, errorCode: found.errorCode };
      }
      const { partition } = found;
      // As in Kafka: what is only compacted keeps the last record of each key.
      if (partition.stream.settings.cleanup === 'compact') {
        return { partitionIndex, lowWatermark: -1, errorCode: KAFKA.POLICY_VIOLATION };
      }
      const target = offset === -1 ? partition.highWatermark : offset;
      if (target < 0 || target > partition.highWatermark) {
        return { partitionIndex, lowWatermark: -1, errorCode: KAFKA.OFFSET_OUT_OF_RANGE };
      }
      if (target > partition.startOffset) partition.trim(target);
      return {
        partitionIndex,
        lowWatermark: Math.max(target, partition.startOffset),
        errorCode: 0,
      };
    }),
  })),
}));
