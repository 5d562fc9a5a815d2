/** ShareFetch and ShareAcknowledge: sessions, acknowledgements, and what is sent (KIP-932). */
import type { BrokerError } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { shareFetch } from '../messages/78-share-fetch.ts';
import { shareAcknowledge } from '../messages/79-share-acknowledge.ts';
import { answersLater } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf, ResponseOf } from '../rows.ts';
import { type AcknowledgedBatch, acknowledge } from '../share/acknowledge.ts';
import { ShareFetchCall } from '../share/share-fetch.ts';
import type { SharePartition, Taker } from '../share/share-partition.ts';
import { FINAL_EPOCH, type ShareSession } from '../share/share-sessions.ts';

const NO_LEADER = { leaderId: -1, leaderEpoch: -1 };
const NOTHING_RENEWED = 0;
/** Partitions that one session may name. */
const PARTS_MAX = 10_000;

type FetchAnswer = ResponseOf<typeof shareFetch>;
type PartAnswer = FetchAnswer['responses'][number]['partitions'][number];

interface AcknowledgedTopic {
  readonly topicId: string;
  readonly partitions: readonly {
    readonly partitionIndex: number;
    readonly acknowledgementBatches: readonly AcknowledgedBatch[];
  }[];
}

interface Place {
  readonly topicId: string;
  readonly index: number;
}

/** How the acknowledgements of one partition ended. */
interface Outcome extends Place {
  readonly share: SharePartition | null;
  errorCode: number;
}

export const shareFetchOperation = answersLater(shareFetch, (request, call, room) => {
  const fault = faultOf(request, call, room);
  const session = fault === KAFKA.NONE ? openSession(request, call, room) : fault;
  if (typeof session === 'number') {
    call.answer({ errorCode: session, responses: [], nodeEndpoints: [] });
    return;
  }
  const { groupId, memberId, shareSessionEpoch, isRenewAck } = request;
  const outcomes = acknowledgeAll(request.topics, isRenewAck, session, call, room);
  const isLast = shareSessionEpoch === FINAL_EPOCH;
  if (!isLast && !updateSession(session, request)) {
    room.shares.sessions.end(groupId!, memberId!);
    call.answer({ errorCode: KAFKA.INVALID_REQUEST, responses: [], nodeEndpoints: [] });
    return;
  }
  if (isLast) room.shares.sessions.end(groupId!, memberId!);
  // Others with the same quota took too much: nothing is read for now.
  const { throttle } = call.session;
  const debtMs = throttle.debtMs(call as unknown as Call, 'deliver-bytes');
  throttle.delay(call as unknown as Call, 'deliver-bytes', debtMs);
  const readsNothing = isLast || isRenewAck || debtMs > 0;
  const places = readsNothing ? [] : [...session.parts.values()];
  const found = new Map<Place, Taker | number>();
  for (const place of places) found.set(place, takerAt(place, session, call, room));
  const takers = [...found.values()].filter((taker): taker is Taker => typeof taker !== 'number');
  const turn = takers.length > 1 ? session.turn++ % takers.length : 0;
  const ordered = turn === 0 ? takers : [...takers.slice(turn), ...takers.slice(0, turn)];
  // The answer goes out when what was acknowledged is on disk, and the fetch has what it waits for.
  let missing = 2;
  const step = (): void => {
    missing--;
    if (missing > 0) return;
    throttle.take(call as unknown as Call, 'deliver-bytes', fetching.size);
    call.answer(answerOf(request, fetching, found, outcomes, room));
  };
  const fetching = new ShareFetchCall(ordered, request, call, room, step);
  whenSaved(outcomes, room, step);
  if (readsNothing) fetching.finish();
  else fetching.begin();
});

function faultOf(
  request: RequestOf<typeof shareFetch>,
  { session }: Call<typeof shareFetch>,
  room: Room,
): number {
  const { groupId, memberId } = request;
  if (!groupId || !memberId) return KAFKA.INVALID_REQUEST;
  if (!room.mayUseGroup(session, 'subscribe', groupId)) return KAFKA.GROUP_AUTHORIZATION_FAILED;
  const { maxWaitMs, minBytes, maxBytes, maxRecords, isRenewAck } = request;
  // A renewal fetches nothing (KIP-1222).
  const asksMore = [maxWaitMs, minBytes, maxBytes, maxRecords].some((n) => n !== NOTHING_RENEWED);
  return isRenewAck && asksMore ? KAFKA.INVALID_REQUEST : KAFKA.NONE;
}

function openSession(
  { groupId, memberId, shareSessionEpoch, topics }: RequestOf<typeof shareFetch>,
  { session }: Call<typeof shareFetch>,
  { shares }: Room,
): ShareSession | number {
  const hasAcknowledgements = topics.some(({ partitions }) =>
    partitions.some(({ acknowledgementBatches }) => acknowledgementBatches.length > 0),
  );
  const epoch = shareSessionEpoch;
  return shares.sessions.ofFetch(session, groupId!, memberId!, epoch, hasAcknowledgements);
}

/** @returns false when it names too many partitions */
function updateSession(session: ShareSession, request: RequestOf<typeof shareFetch>): boolean {
  for (const { topicId, partitions } of request.topics) {
    for (const { partitionIndex: index } of partitions) {
      session.parts.set(`${topicId}/${index}`, { topicId, index });
    }
  }
  for (const { topicId, partitions } of request.forgottenTopicsData) {
    for (const index of partitions) session.parts.delete(`${topicId}/${index}`);
  }
  return session.parts.size <= PARTS_MAX;
}

/** The partition as the group reads it, or an error code. */
function shareAt(
  { topicId, index }: Place,
  groupId: string,
  { session }: Pick<Call, 'session'>,
  room: Room,
): SharePartition | number {
  const stream = room.topics.byId(topicId);
  if (stream === undefined) return KAFKA.UNKNOWN_TOPIC_ID;
  if (!room.topics.may(session.principal!, 'subscribe', stream)) {
    return KAFKA.TOPIC_AUTHORIZATION_FAILED;
  }
  return room.shares.partition(groupId, topicId, index) ?? KAFKA.UNKNOWN_TOPIC_OR_PARTITION;
}

function takerAt(
  place: Place,
  session: ShareSession,
  call: Pick<Call, 'session'>,
  room: Room,
): Taker | number {
  const share = shareAt(place, session.groupId, call, room);
  return typeof share === 'number' ? share : session.taker(share);
}

function acknowledgeAll(
  topics: readonly AcknowledgedTopic[],
  renews: boolean,
  session: ShareSession,
  call: Pick<Call, 'session'>,
  room: Room,
): Outcome[] {
  const outcomes: Outcome[] = [];
  for (const { topicId, partitions } of topics) {
    for (const { partitionIndex: index, acknowledgementBatches: batches } of partitions) {
      if (batches.length === 0) continue;
      const share = shareAt({ topicId, index }, session.groupId, call, room);
      if (typeof share === 'number') {
        outcomes.push({ topicId, index, share: null, errorCode: share });
        continue;
      }
      const errorCode = acknowledge(session.known(share), batches, renews);
      outcomes.push({ topicId, index, share, errorCode });
    }
  }
  return outcomes;
}

/** Calls when what was acknowledged is on disk; what is not is told. */
function whenSaved(outcomes: readonly Outcome[], { broker }: Room, done: () => void): void {
  let missing = 1;
  const step = (): void => {
    missing--;
    if (missing === 0) done();
  };
  for (const outcome of outcomes) {
    if (outcome.share === null || outcome.errorCode !== KAFKA.NONE) continue;
    missing++;
    broker.queues.whenSaved(outcome.share.queue, (error: BrokerError | null) => {
      if (error !== null) outcome.errorCode = KAFKA.KAFKA_STORAGE_ERROR;
      step();
    });
  }
  step();
}

function answerOf(
  { groupId, batchSize }: RequestOf<typeof shareFetch>,
  fetching: ShareFetchCall,
  found: ReadonlyMap<Place, Taker | number>,
  outcomes: readonly Outcome[],
  room: Room,
): FetchAnswer {
  const topics = new Map<string, Map<number, PartAnswer>>();
  const put = ({ topicId, index }: Place, told: Partial<PartAnswer>): void => {
    const parts = topics.get(topicId) ?? new Map<number, PartAnswer>();
    topics.set(topicId, parts);
    const none = { currentLeader: NO_LEADER, records: [], acquiredRecords: [] };
    parts.set(index, { partitionIndex: index, ...none, ...parts.get(index), ...told });
  };
  for (const outcome of outcomes) put(outcome, { acknowledgeErrorCode: outcome.errorCode });
  const parts = new Map(fetching.parts.map((part) => [part.taker, part]));
  for (const [place, taker] of found) {
    if (typeof taker === 'number') {
      put(place, { errorCode: taker });
      continue;
    }
    const part = parts.get(taker)!;
    const acquiredRecords = part.ranges(batchSize);
    if (part.errorCode === KAFKA.NONE && acquiredRecords.length === 0) continue;
    const records = part.batches.map(({ bytes }) => bytes);
    put(place, { errorCode: part.errorCode, records, acquiredRecords });
  }
  const responses = [...topics].map(([topicId, its]) => ({
    topicId,
    partitions: [...its.values()],
  }));
  const { shareRecordLockMs } = room.groupConfigs.of(groupId!);
  return { acquisitionLockTimeoutMs: shareRecordLockMs, responses, nodeEndpoints: [] };
}

export const shareAcknowledgeOperation = answersLater(shareAcknowledge, (request, call, room) => {
  const { groupId, memberId, shareSessionEpoch, isRenewAck, topics } = request;
  const refuse = (errorCode: number): void => {
    call.answer({ errorCode, responses: [], nodeEndpoints: [] });
  };
  if (!groupId || !memberId) return refuse(KAFKA.INVALID_REQUEST);
  if (!room.mayUseGroup(call.session, 'subscribe', groupId)) {
    return refuse(KAFKA.GROUP_AUTHORIZATION_FAILED);
  }
  const { sessions } = room.shares;
  const session = sessions.ofAcknowledgement(groupId, memberId, shareSessionEpoch);
  if (typeof session === 'number') return refuse(session);
  const outcomes = acknowledgeAll(topics, isRenewAck, session, call, room);
  if (shareSessionEpoch === FINAL_EPOCH) sessions.end(groupId, memberId);
  whenSaved(outcomes, room, () => {
    const told = new Map(
      outcomes.map((outcome) => [`${outcome.topicId}/${outcome.index}`, outcome]),
    );
    const responses = topics.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: told.get(`${topicId}/${partitionIndex}`)?.errorCode ?? KAFKA.NONE,
        currentLeader: NO_LEADER,
      })),
    }));
    const { shareRecordLockMs: acquisitionLockTimeoutMs } = room.groupConfigs.of(groupId);
    call.answer({ acquisitionLockTimeoutMs, responses, nodeEndpoints: [] });
  });
});
