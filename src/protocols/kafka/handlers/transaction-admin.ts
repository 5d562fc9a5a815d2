/**
 * What tools ask about transactions (KIP-664): which there are, who writes where, and markers by
 * hand for what hangs.
 */
import type { Partition } from '#broker';
import { BrokerError } from '#kit';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { PatternError } from '../groups/pattern-syntax.ts';
import { TopicPattern } from '../groups/topic-pattern.ts';
import { writeTxnMarkers } from '../messages/27-write-txn-markers.ts';
import { describeProducers } from '../messages/61-describe-producers.ts';
import { describeTransactions } from '../messages/65-describe-transactions.ts';
import { listTransactions } from '../messages/66-list-transactions.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import { findPartition } from '../topic-lookup.ts';
import { STATES, type Transaction } from '../transactions/transaction.ts';

/** States of Kafka that no transaction here is in. */
const OTHER_STATES = ['Dead', 'PrepareEpochFence'];
const V2 = 2;

export const describeTransactionsOperation = answers(
  describeTransactions,
  (request, call, room) => ({
    transactionStates: request.transactionalIds.map((transactionalId) => {
      const allowed = room.mayUseTransaction(call.session, 'describe', transactionalId);
      const transaction = room.transactions.find(transactionalId);
      if (allowed && transaction !== undefined) return describe(transaction, call.session, room);
      return {
        errorCode: allowed
          ? KAFKA.TRANSACTIONAL_ID_NOT_FOUND
          : KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ...{ transactionalId, transactionState: '', transactionTimeoutMs: 0, topics: [] },
        ...{ transactionStartTimeMs: -1, producerId: -1, producerEpoch: -1 },
      };
    }),
  }),
);

function describe(transaction: Transaction, session: Session, room: Room) {
  const topics = new Map<string, number[]>();
  for (const { stream, index } of transaction.partitions) {
    if (!room.topics.may(session.principal!, 'describe', stream)) continue;
    const partitions = topics.get(stream.safeName) ?? [];
    partitions.push(index);
    topics.set(stream.safeName, partitions);
  }
  const isOpen = transaction.state === 'Ongoing' || transaction.isPrepared;
  return {
    errorCode: KAFKA.NONE,
    transactionalId: transaction.id,
    transactionState: transaction.state,
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStartTimeMs: isOpen ? transaction.startedMs : -1,
    producerId: transaction.producerId,
    producerEpoch: transaction.epoch,
    topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
  };
}

export const listTransactionsOperation = answers(listTransactions, (request, call, room) => {
  const { stateFilters, producerIdFilters, durationFilter, transactionalIdPattern } = request;
  const known = stateFilters.filter((name) => (STATES as readonly string[]).includes(name));
  const unknownStateFilters = stateFilters.filter(
    (name) => !known.includes(name) && !OTHER_STATES.includes(name),
  );
  const none = { unknownStateFilters, transactionStates: [] };
  const pattern = patternOf(transactionalIdPattern);
  if (pattern === 'invalid') return { errorCode: KAFKA.INVALID_REGULAR_EXPRESSION, ...none };
  const nowMs = room.host.clock.nowMs();
  const transactionStates = [];
  for (const { id, state, producerId, startedMs } of room.transactions.list()) {
    if (stateFilters.length > 0 && !known.includes(state)) continue;
    if (producerIdFilters.length > 0 && !producerIdFilters.includes(producerId)) continue;
    if (durationFilter >= 0 && !(startedMs >= 0 && nowMs - startedMs > durationFilter)) continue;
    if (pattern !== null && !pattern.matches(id)) continue;
    if (!room.mayUseTransaction(call.session, 'describe', id)) continue;
    transactionStates.push({ transactionalId: id, producerId, transactionState: state });
  }
  return { errorCode: KAFKA.NONE, unknownStateFilters, transactionStates };
});

function patternOf(text: string | null): TopicPattern | 'invalid' | null {
  if (!text) return null;
  try {
    return new TopicPattern(text);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return 'invalid';
  }
}

export const describeProducersOperation = answers(describeProducers, (request, call, room) => ({
  topics: request.topics.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => {
      // As in Kafka this takes the right to read: it tells who writes.
      const principal = call.session.principal!;
      const found = findPartition(room, principal, 'subscribe', name, partitionIndex);
      const activeProducers = found.partition === null ? [] : producersOf(found.partition, room);
      return { partitionIndex, errorCode: found.errorCode, errorMessage: null, activeProducers };
    }),
  })),
}));

function producersOf(partition: Partition, room: Room) {
  return partition.log.producers().map(({ producerId, epoch, lastSequence, lastTimeMs }) => ({
    producerId,
    producerEpoch: epoch,
    lastSequence,
    lastTimestamp: lastTimeMs,
    coordinatorEpoch: 0,
    currentTxnStartOffset: room.broker.transactions.find(partition, producerId)?.firstOffset ?? -1,
  }));
}

export const writeTxnMarkersOperation = answers(writeTxnMarkers, async (request, call, room) => {
  // Not only cluster actions: tools end by hand what hangs, with the right to alter (KIP-664).
  const { session } = call;
  const allowed = room.mayOnCluster(session, 'administer') || room.mayOnCluster(session, 'alter');
  const markers = request.markers.map(async (marker) => ({
    producerId: marker.producerId,
    topics: await Promise.all(
      marker.topics.map(async ({ name, partitionIndexes }) => ({
        name,
        partitions: await Promise.all(
          partitionIndexes.map(async (partitionIndex) => ({
            partitionIndex,
            errorCode: allowed
              ? await mark(room, room.topics.byName(name)?.partitions[partitionIndex], marker)
              : KAFKA.CLUSTER_AUTHORIZATION_FAILED,
          })),
        ),
      })),
    ),
  }));
  return { markers: await Promise.all(markers) };
});

interface AskedMarker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly transactionResult: boolean;
  readonly coordinatorEpoch: number;
  readonly transactionVersion: number;
}

async function mark(
  room: Room,
  partition: Partition | undefined,
  asked: AskedMarker,
): Promise<number> {
  if (partition === undefined) return KAFKA.UNKNOWN_TOPIC_OR_PARTITION;
  const { producerId, producerEpoch, coordinatorEpoch, transactionResult: isCommit } = asked;
  const open = room.broker.transactions.find(partition, producerId);
  // With version 2 the end has a higher epoch than what it ends.
  const isOld = asked.transactionVersion >= V2 && producerEpoch <= (open?.producerEpoch ?? -1);
  if (isOld) return KAFKA.INVALID_PRODUCER_EPOCH;
  const marker = { producerId, producerEpoch, isCommit, coordinatorEpoch };
  try {
    const failure = await new Promise<BrokerError | null>((done) =>
      room.broker.transactions.end(partition, marker, done),
    );
    return failure === null ? KAFKA.NONE : wireCode(failure);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return wireCode(error);
  }
}
