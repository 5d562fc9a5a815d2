/**
 * Produce: checks each batch's header and CRC and hands the bytes to the broker as they came. Hot
 * path: nothing is done per record, and per partition there is one answer object and one callback.
 */
import {
  isCompacted,
  isCompressed,
  keyFaults,
  originOf,
  type Partition,
  type RecordFault,
  recompressed,
  recordFault,
  type Stream,
  timeFaults,
} from '#broker';
import { BrokerError } from '#kit';
import {
  type BatchFault,
  type BatchFields,
  batchFault,
  batchFields,
  compressionOf,
  isTransactional,
} from '../batch.ts';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { isInternalId } from '../internal-topics.ts';
import { produce } from '../messages/00-produce.ts';
import { answersLater } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf } from '../rows.ts';
import { codecOf, earliestTimeMs, lacksReplicas, latestTimeMs } from '../topic-limits.ts';

const TOPIC_ID_SINCE = 13;
/** Versions whose clients add partitions to their transactions by writing to them (KIP-890). */
const ADDS_PARTITIONS_SINCE = 12;
/** Versions whose clients know TRANSACTION_ABORTABLE (KIP-1050). */
const ABORTABLE_SINCE = 11;
const ORIGIN = originOf('kafka');
const NO_ERRORS: readonly RecordError[] = [];

interface RecordError {
  readonly batchIndex: number;
  readonly batchIndexErrorMessage: string | null;
}

interface PartitionAnswer {
  index: number;
  errorCode: number;
  baseOffset: number;
  logAppendTimeMs: number;
  logStartOffset: number;
  recordErrors: readonly RecordError[];
  errorMessage: string | null;
}

interface TopicAnswer {
  name: string;
  topicId: string;
  partitionResponses: PartitionAnswer[];
}

/** A produce request until all of its batches are committed or refused. */
class Production {
  readonly #call: Call<typeof produce>;
  readonly #acks: number;
  readonly #responses: TopicAnswer[] = [];
  /** Batches not settled yet, and one for the request being read still. */
  #open = 1;
  #failed = false;

  constructor(call: Call<typeof produce>, acks: number) {
    this.#call = call;
    this.#acks = acks;
  }

  topic(name: string, topicId: string): PartitionAnswer[] {
    const partitionResponses: PartitionAnswer[] = [];
    this.#responses.push({ name, topicId, partitionResponses });
    return partitionResponses;
  }

  begin(): void {
    this.#open++;
  }

  refuse(answer: PartitionAnswer, errorCode: number, message: string | null): void {
    answer.errorCode = errorCode;
    answer.baseOffset = -1;
    answer.errorMessage = message;
    this.#failed = true;
  }

  settle(answer: PartitionAnswer | null, error: BrokerError | null): void {
    if (error !== null && answer !== null) this.refuse(answer, wireCode(error), error.message);
    this.#open--;
    if (this.#open > 0) return;
    if (this.#acks !== 0) this.#call.answer({ responses: this.#responses });
    else if (this.#failed) {
      // Without responses a closed connection is all that can tell the producer (K10).
      this.#call.session.refuse('a produce request with acks=0 failed');
    } else this.#call.answerNothing();
  }
}

export const produceOperation = answersLater(produce, (request, call, room) => {
  const production = new Production(call, request.acks);
  // Now and not with the answer: those that came with it would be begun before.
  call.session.throttle.take(call as unknown as Call, 'publish-bytes', call.requestBytes);
  const requestFault = faultOf(request, call, room);
  const { transactionalId } = request;
  const nowMs = room.host.clock.nowMs();
  for (const { name, topicId, partitionData } of request.topicData) {
    const answers = production.topic(name, topicId);
    const byId = call.version >= TOPIC_ID_SINCE;
    const stream = byId ? room.topics.byId(topicId) : room.topics.byName(name);
    const fault = requestFault ?? topicFault(stream, name, topicId, call, room);
    for (const { index, records } of partitionData) {
      const answer = newAnswer(index);
      answers.push(answer);
      const refused =
        fault ??
        (index in stream!.partitions
          ? recordsFault(records, stream!, request.acks, nowMs, call, room)
          : UNKNOWN_PARTITION);
      if (refused !== null) production.refuse(answer, refused.errorCode, refused.message);
      else append(room, call, stream!, records!, answer, production, transactionalId);
    }
  }
  production.settle(null, null);
});

function append(
  room: Room,
  call: Call<typeof produce>,
  stream: Stream,
  sent: Buffer,
  answer: PartitionAnswer,
  production: Production,
  transactionalId: string | null,
): void {
  const partition = stream.partitions[answer.index]!;
  const limit = stream.settings.messageBytesMax;
  if (!fits(sent, limit, answer, production)) return;
  const { settings } = stream;
  const codec = codecOf(settings);
  if (isCompacted(settings)) {
    if (!areKeyed(room, sent, answer, production)) return;
  } else if (!areWhole(room, sent, codec, answer, production)) return;
  // Checked, so it opens.
  const bytes = codec < 0 ? sent : recompressed(sent, codec, room.broker.options.openedBytesMax);
  if (bytes !== sent && !fits(bytes, limit, answer, production)) return;
  const fromMs = earliestTimeMs(settings, room.host.clock.nowMs());
  if (fromMs >= 0 && !areRecent(room, bytes, fromMs, answer, production)) return;
  const fields = batchFields(bytes);
  const fault = transactionFault(room, call, transactionalId, partition, fields, bytes);
  if (fault !== null) {
    production.refuse(answer, fault.errorCode, fault.message);
    return;
  }
  const facts = {
    kind: 'data' as const,
    count: fields.count,
    maxTimestampMs: fields.maxTimestampMs,
    serverPacked: false,
    origin: ORIGIN,
    principal: call.session.principal!.id,
    producerId: fields.producerId,
    producerEpoch: fields.producerEpoch,
    baseSequence: fields.baseSequence,
    attributes: fields.attributes,
  };
  production.begin();
  try {
    const appended = room.broker.appendBatch(partition, bytes, facts, (error) =>
      production.settle(answer, error),
    );
    if (answer.errorCode === KAFKA.NONE) answer.baseOffset = appended.baseOffset;
    answer.logStartOffset = partition.startOffset;
    // The broker wrote it.
    if (stream.settings.appendTime) answer.logAppendTimeMs = batchFields(bytes).maxTimestampMs;
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    production.settle(answer, error);
  }
}

function fits(
  { length }: Buffer,
  limit: number,
  answer: PartitionAnswer,
  production: Production,
): boolean {
  if (length <= limit) return true;
  const message = `the batch has ${length} bytes, at most ${limit} are accepted`;
  production.refuse(answer, KAFKA.MESSAGE_TOO_LARGE, message);
  return false;
}

/** What a topic has against records, before they are looked at one by one; or null. */
function recordsFault(
  records: Buffer | null,
  { settings }: Stream,
  acks: number,
  nowMs: number,
  call: Call<typeof produce>,
  room: Room,
): BatchFault | null {
  if (acks === -1 && lacksReplicas(settings)) return LACKS_REPLICAS;
  const latestMs = latestTimeMs(settings, nowMs, room.options.timestampAheadMax);
  return batchFault(records, call.version, latestMs);
}

const LACKS_REPLICAS: BatchFault = {
  errorCode: KAFKA.NOT_ENOUGH_REPLICAS,
  message: 'there is one replica, and min.insync.replicas asks for more',
};

/**
 * Refuses a batch whose records are not what its header says; compressed ones as configured, and
 * those that are to be packed in another way.
 */
function areWhole(
  room: Room,
  bytes: Buffer,
  codec: number,
  answer: PartitionAnswer,
  production: Production,
): boolean {
  const stays = codec < 0 || compressionOf(bytes) === codec;
  if (stays && isCompressed(bytes) && !room.options.checkCompressed) return true;
  try {
    const fault = recordFault(bytes, room.broker.options.openedBytesMax);
    if (fault === null) return true;
    const { index, message } = fault;
    production.refuse(answer, KAFKA.INVALID_RECORD, `record ${index}: ${message}`);
    if (index >= 0) answer.recordErrors = [{ batchIndex: index, batchIndexErrorMessage: message }];
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    production.refuse(answer, wireCode(error), error.message);
  }
  return false;
}

/** Refuses a batch with records that a compacted topic cannot take. */
function areKeyed(
  room: Room,
  bytes: Buffer,
  answer: PartitionAnswer,
  production: Production,
): boolean {
  const find = () => keyFaults(bytes, room.broker.options.openedBytesMax);
  return areGood(find, KAFKA.INVALID_RECORD, answer, production);
}

/** Refuses a batch with records that are older than the topic takes. */
function areRecent(
  room: Room,
  bytes: Buffer,
  fromMs: number,
  answer: PartitionAnswer,
  production: Production,
): boolean {
  const find = () => timeFaults(bytes, room.broker.options.openedBytesMax, fromMs);
  return areGood(find, KAFKA.INVALID_TIMESTAMP, answer, production);
}

function areGood(
  find: () => RecordFault[],
  errorCode: number,
  answer: PartitionAnswer,
  production: Production,
): boolean {
  try {
    const faults = find();
    if (faults.length === 0) return true;
    production.refuse(answer, errorCode, faults[0]!.message);
    answer.recordErrors = faults
      .filter(({ index }) => index >= 0)
      .map(({ index, message }) => ({ batchIndex: index, batchIndexErrorMessage: message }));
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    production.refuse(answer, wireCode(error), error.message);
  }
  return false;
}

const UNKNOWN_PARTITION: BatchFault = {
  errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION,
  message: 'there is no such partition',
};

/** Whether the batch belongs to an open transaction of its producer; it may begin it. */
function transactionFault(
  room: Room,
  call: Call<typeof produce>,
  id: string | null,
  partition: Partition,
  fields: BatchFields,
  bytes: Buffer,
): BatchFault | null {
  if (id === null || !isTransactional(bytes)) return null;
  const { version } = call;
  const adds = version >= ADDS_PARTITIONS_SINCE;
  const errorCode = room.transactions.writeFault(id, fields, partition, adds);
  if (errorCode === KAFKA.NONE) return null;
  const message = `the producer may not write to transaction '${id}' here and now`;
  return { errorCode: toldTransactionFault(errorCode, version), message };
}

function toldTransactionFault(errorCode: number, version: number): number {
  if (errorCode === KAFKA.TRANSACTION_ABORTABLE && version < ABORTABLE_SINCE) {
    return KAFKA.INVALID_TXN_STATE;
  }
  // Older producers retry on this one, and give up on the other.
  const isBusy = errorCode === KAFKA.CONCURRENT_TRANSACTIONS;
  return isBusy && version < ADDS_PARTITIONS_SINCE ? KAFKA.NOT_ENOUGH_REPLICAS : errorCode;
}

/** What is wrong with the request as a whole, or null. */
function faultOf(
  request: RequestOf<typeof produce>,
  call: Call<typeof produce>,
  room: Room,
): BatchFault | null {
  if (request.acks < -1 || request.acks > 1) {
    return { errorCode: KAFKA.INVALID_REQUIRED_ACKS, message: `acks ${request.acks}` };
  }
  const { transactionalId: id } = request;
  if (id !== null && room.mayUseTransaction(call.session, 'publish', id)) return null;
  for (const { partitionData } of request.topicData) {
    for (const { records } of partitionData) {
      if (!isTransactional(records)) continue;
      const errorCode = KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
      return { errorCode, message: 'not authorized for the transaction' };
    }
  }
  return null;
}

const NOT_AUTHORIZED: BatchFault = {
  errorCode: KAFKA.TOPIC_AUTHORIZATION_FAILED,
  message: 'not authorized',
};

function topicFault(
  stream: Stream | undefined,
  name: string,
  topicId: string,
  call: Call<typeof produce>,
  room: Room,
): BatchFault | null {
  const principal = call.session.principal!;
  if (stream === undefined) {
    if (isInternalId(topicId)) return NOT_AUTHORIZED;
    if (call.version >= TOPIC_ID_SINCE) {
      return { errorCode: KAFKA.UNKNOWN_TOPIC_ID, message: 'there is no topic of this id' };
    }
    return room.topics.mayByName(principal, 'publish', name)
      ? { errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION, message: 'there is no such topic' }
      : NOT_AUTHORIZED;
  }
  return room.topics.may(principal, 'publish', stream) ? null : NOT_AUTHORIZED;
}

function newAnswer(index: number): PartitionAnswer {
  return {
    index,
    errorCode: KAFKA.NONE,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
    recordErrors: NO_ERRORS,
    errorMessage: null,
  };
}
