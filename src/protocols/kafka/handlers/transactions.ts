/**
 * What a transactional producer asks for (KIP-98, KIP-890). Version 2 of the protocol is what
 * clients speak with EndTxn and TxnOffsetCommit 5 and Produce 12.
 */
import type { CommittedOffset, Partition } from '#broker';
import { BrokerError } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { initProducerId } from '../messages/22-init-producer-id.ts';
import { addPartitionsToTxn } from '../messages/24-add-partitions-to-txn.ts';
import { addOffsetsToTxn } from '../messages/25-add-offsets-to-txn.ts';
import { endTxn } from '../messages/26-end-txn.ts';
import { txnOffsetCommit } from '../messages/28-txn-offset-commit.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import { findPartition } from '../topic-lookup.ts';

const NO_PRODUCER = { producerId: -1, producerEpoch: -1 };
/** Versions whose clients know PRODUCER_FENCED (KIP-588); others are told of the epoch. */
const FENCED_SINCE = 2;
const INIT_FENCED_SINCE = 4;
/** Versions whose clients know TRANSACTION_ABORTABLE (KIP-1050). */
const ABORTABLE_SINCE = 4;
const V2_SINCE = 5;
const BATCHED_SINCE = 4;

type Session = Pick<Call, 'session'>;

function told(errorCode: number, knowsFenced: boolean): number {
  if (errorCode !== KAFKA.PRODUCER_FENCED || knowsFenced) return errorCode;
  return KAFKA.INVALID_PRODUCER_EPOCH;
}

export const initProducerIdOperation = answers(initProducerId, async (request, call, room) => {
  const { transactionalId: id, transactionTimeoutMs, producerId, producerEpoch } = request;
  try {
    if (id === null) {
      // An idempotent producer that lost track raises its epoch itself (KIP-360): it asks for a
      // new id here, whatever id it names.
      const given = await room.broker.producerIds.next();
      return { errorCode: KAFKA.NONE, producerId: given, producerEpoch: 0 };
    }
    if (!room.mayUseTransaction(call.session, 'publish', id)) {
      return { errorCode: KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ...NO_PRODUCER };
    }
    if (producerId < 0 !== producerEpoch < 0) {
      return { errorCode: KAFKA.INVALID_REQUEST, ...NO_PRODUCER };
    }
    const expected = producerId < 0 ? null : { producerId, producerEpoch };
    const given = await room.transactions.init(id, transactionTimeoutMs, expected);
    return { ...given, errorCode: told(given.errorCode, call.version >= INIT_FENCED_SINCE) };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { errorCode: wireCode(error), ...NO_PRODUCER };
  }
});

interface AskedTransaction {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly verifyOnly: boolean;
  readonly topics: readonly { readonly name: string; readonly partitions: readonly number[] }[];
}

export const addPartitionsToTxnOperation = answers(
  addPartitionsToTxn,
  async (request, call, room) => {
    if (call.version >= BATCHED_SINCE) {
      const results = request.transactions.map((asked) => ({
        transactionalId: asked.transactionalId,
        topicResults: addTo(asked, call, room),
      }));
      const isStored = await room.transactions.committed();
      const errorCode = isStored ? KAFKA.NONE : KAFKA.COORDINATOR_NOT_AVAILABLE;
      return { errorCode, resultsByTransaction: results, resultsByTopicV3AndBelow: [] };
    }
    const asked = {
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
      verifyOnly: false,
      topics: request.v3AndBelowTopics,
    };
    const added = addTo(asked, call, room);
    const isStored = await room.transactions.committed();
    const results = isStored ? added : refuseAll(asked, KAFKA.COORDINATOR_NOT_AVAILABLE);
    return { resultsByTransaction: [], resultsByTopicV3AndBelow: results };
  },
);

type TopicResult = {
  name: string;
  resultsByPartition: { partitionIndex: number; partitionErrorCode: number }[];
};

/** All partitions, or none: what stands against one is said, the others are not attempted. */
function addTo(
  asked: AskedTransaction,
  call: Session & { readonly version: number },
  room: Room,
): TopicResult[] {
  const { transactionalId: id, topics, verifyOnly } = asked;
  const { session } = call;
  if (!room.mayUseTransaction(session, 'publish', id)) {
    return refuseAll(asked, KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  }
  if (id === '') return refuseAll(asked, KAFKA.INVALID_REQUEST);
  const partitions: Partition[] = [];
  let refused = false;
  const results = topics.map(({ name, partitions: indexes }) => ({
    name,
    resultsByPartition: indexes.map((partitionIndex) => {
      const found = findPartition(room, session.principal!, 'publish', name, partitionIndex);
      if (found.partition === null) refused = true;
      else partitions.push(found.partition);
      return { partitionIndex, partitionErrorCode: found.errorCode };
    }),
  }));
  if (refused) {
    for (const { resultsByPartition } of results) {
      for (const result of resultsByPartition) {
        result.partitionErrorCode ||= KAFKA.OPERATION_NOT_ATTEMPTED;
      }
    }
    return results;
  }
  const { producerId, producerEpoch } = asked;
  const producer = { producerId, producerEpoch };
  const { transactions } = room;
  const fault = verifyOnly
    ? transactions.partitionsFault(id, producer, partitions)
    : transactions.addPartitions(id, producer, partitions);
  return fault === KAFKA.NONE
    ? results
    : refuseAll(asked, told(fault, call.version >= FENCED_SINCE));
}

function refuseAll({ topics }: AskedTransaction, partitionErrorCode: number): TopicResult[] {
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({
      partitionIndex,
      partitionErrorCode,
    })),
  }));
}

export const addOffsetsToTxnOperation = answers(addOffsetsToTxn, async (request, call, room) => {
  const { transactionalId: id, groupId, producerId, producerEpoch } = request;
  if (!room.mayUseTransaction(call.session, 'publish', id)) {
    return { errorCode: KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
  }
  if (!room.mayUseGroup(call.session, 'subscribe', groupId)) {
    return { errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED };
  }
  if (groupId === '') return { errorCode: KAFKA.INVALID_GROUP_ID };
  const fault = room.transactions.addGroup(id, { producerId, producerEpoch }, groupId);
  if (fault !== KAFKA.NONE) return { errorCode: told(fault, call.version >= FENCED_SINCE) };
  const isStored = await room.transactions.committed();
  return { errorCode: isStored ? KAFKA.NONE : KAFKA.COORDINATOR_NOT_AVAILABLE };
});

export const endTxnOperation = answers(endTxn, async (request, call, room) => {
  const { transactionalId: id, producerId, producerEpoch, committed } = request;
  if (!room.mayUseTransaction(call.session, 'publish', id)) {
    return { errorCode: KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
  }
  const producer = { producerId, producerEpoch };
  const isV2 = call.version >= V2_SINCE;
  try {
    const ended = await room.transactions.end(id, producer, committed, isV2);
    return { ...ended, errorCode: told(ended.errorCode, call.version >= FENCED_SINCE) };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { errorCode: wireCode(error) };
  }
});

export const txnOffsetCommitOperation = answers(txnOffsetCommit, async (request, call, room) => {
  const { transactionalId: id, groupId, producerId, producerEpoch } = request;
  const entries: CommittedOffset[] = [];
  const taken: { errorCode: number }[] = [];
  const timeMs = room.host.clock.nowMs();
  const faultOfAll = groupFault(request, call, room);
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((one) => {
      const { partitionIndex, committedOffset: offset, committedLeaderEpoch: epoch } = one;
      const answer = { partitionIndex, errorCode: faultOfAll };
      if (faultOfAll !== KAFKA.NONE) return answer;
      const found = findPartition(room, call.session.principal!, 'subscribe', name, partitionIndex);
      const metadata = one.committedMetadata ?? '';
      answer.errorCode = found.errorCode;
      if (found.partition === null) return answer;
      if (Buffer.byteLength(metadata) > room.options.offsetMetadataBytesMax) {
        answer.errorCode = KAFKA.OFFSET_METADATA_TOO_LARGE;
        return answer;
      }
      const { stream, index: partition } = found.partition;
      entries.push({ stream: stream.name, partition, offset, epoch, metadata, timeMs });
      taken.push(answer);
      return answer;
    }),
  }));
  if (entries.length === 0) return { topics };
  const producer = { producerId, producerEpoch };
  const isV2 = call.version >= V2_SINCE;
  const fault = room.transactions.addOffsets(id, producer, groupId, entries, isV2);
  const isStored = fault !== KAFKA.NONE || (await room.transactions.committed());
  const errorCode = isStored ? offsetFault(fault, call.version) : KAFKA.COORDINATOR_NOT_AVAILABLE;
  for (const answer of taken) answer.errorCode = errorCode;
  return { topics };
});

function groupFault(
  request: {
    readonly transactionalId: string;
    readonly groupId: string;
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly generationId: number;
  },
  { session }: Session,
  room: Room,
): number {
  const { transactionalId, groupId, memberId, groupInstanceId, generationId } = request;
  if (!room.mayUseTransaction(session, 'publish', transactionalId)) {
    return KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
  }
  if (!room.mayUseGroup(session, 'subscribe', groupId)) return KAFKA.GROUP_AUTHORIZATION_FAILED;
  if (groupId === '') return KAFKA.INVALID_GROUP_ID;
  // Before KIP-447 producers did not say as which member they commit.
  if (generationId < 0 && memberId === '') return KAFKA.NONE;
  return room.groups.commitFault(groupId, memberId, groupInstanceId, generationId);
}

function offsetFault(fault: number, version: number): number {
  if (fault === KAFKA.PRODUCER_FENCED) return KAFKA.INVALID_PRODUCER_EPOCH;
  if (fault !== KAFKA.TRANSACTION_ABORTABLE || version >= ABORTABLE_SINCE) return fault;
  return KAFKA.INVALID_TXN_STATE;
}
