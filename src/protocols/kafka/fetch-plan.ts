/**
 * Which partitions a fetch asks for, and which of them its answer must name: all of them, or by the
 * rules of a session (KIP-227).
 */
import type { Partition, Stream } from '#broker';
import type { Call } from './call.ts';
import { KAFKA } from './error-codes.ts';
import type { FetchSession, SessionPart } from './fetch-sessions.ts';
import { isInternalId } from './internal-topics.ts';
import type { fetch } from './messages/01-fetch.ts';
import type { Room } from './room.ts';
import type { RequestOf } from './rows.ts';
import { leaderEpochFault } from './topic-lookup.ts';

const TOPIC_ID_SINCE = 13;
const SESSIONS_SINCE = 7;
/** A session epoch that asks for a new session, and one that wants none. */
const INITIAL_EPOCH = 0;
const FINAL_EPOCH = -1;
/** Never a real offset: the client was not told of this partition yet. */
const UNTOLD = -2;

type FetchRequest = RequestOf<typeof fetch>;
type FetchContext = Call<typeof fetch>;

export interface AskedPart {
  readonly topic: string;
  readonly topicId: string;
  readonly index: number;
  readonly fetchOffset: number;
  readonly bytesMax: number;
  readonly lastEpoch: number;
  readonly partition: Partition | null;
  readonly errorCode: number;
}

/** What of an answer decides whether it is news. */
interface Told {
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly lastStableOffset?: number;
  readonly logStartOffset?: number;
}

export class FetchPlan {
  readonly asked: readonly AskedPart[];
  readonly #room: Room;
  readonly #session: FetchSession | null;
  readonly #isFull: boolean;

  constructor(
    asked: readonly AskedPart[],
    session: FetchSession | null,
    isFull: boolean,
    room: Room,
  ) {
    this.asked = asked;
    this.#session = session;
    this.#isFull = isFull;
    this.#room = room;
  }

  /** Whether the answer names this partition; `hasNews`: it brings records, or an end. */
  tells({ topic, topicId, index }: AskedPart, told: Told, hasNews: boolean): boolean {
    if (this.#session === null) return true;
    const key = keyOf(topic, topicId, index);
    const part = this.#session.parts.get(key);
    if (part === undefined) return this.#isFull;
    const { errorCode, highWatermark, lastStableOffset = -1, logStartOffset = -1 } = told;
    const isNews =
      hasNews ||
      errorCode !== KAFKA.NONE ||
      part.failed ||
      part.highWatermark !== highWatermark ||
      part.stableOffset !== lastStableOffset ||
      part.startOffset !== logStartOffset;
    part.highWatermark = highWatermark;
    part.stableOffset = lastStableOffset;
    part.startOffset = logStartOffset;
    part.failed = errorCode !== KAFKA.NONE;
    if (hasNews && !this.#isFull) {
      // Others come first the next time.
      this.#session.parts.delete(key);
      this.#session.parts.set(key, part);
    }
    return isNews || this.#isFull;
  }

  /**
   * The answer names nothing. A session that would begin with it does not: its first answer names
   * every partition. @returns the id of the session, or 0
   */
  held(): number {
    if (this.#session === null) return 0;
    if (!this.#isFull) return this.answered();
    this.#room.fetchSessions.end(this.#session);
    return 0;
  }

  /** The answer goes out. @returns the id of the session, or 0 */
  answered(): number {
    if (this.#session === null) return 0;
    this.#room.fetchSessions.used(this.#session);
    return this.#session.id;
  }
}

/** The plan, or an error code. */
export function planOf(request: FetchRequest, call: FetchContext, room: Room): FetchPlan | number {
  const { sessionId, sessionEpoch } = request;
  const lookUp = new LookUp(call, room);
  const owner = call.session.principal!.name;
  const isFull = sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH;
  const session = sessionId === 0 ? undefined : room.fetchSessions.find(sessionId, owner);
  if (isFull) {
    if (session !== undefined) room.fetchSessions.end(session);
    const parts = partsOf(request);
    const wantsOne = sessionEpoch === INITIAL_EPOCH && call.version >= SESSIONS_SINCE;
    const opened =
      wantsOne && parts.length > 0 ? room.fetchSessions.open(owner, parts.length) : null;
    for (const part of parts) opened?.parts.set(keyOf(part.topic, part.topicId, part.index), part);
    return new FetchPlan(
      parts.map((part) => lookUp.asked(part)),
      opened,
      true,
      room,
    );
  }
  if (session === undefined) return KAFKA.FETCH_SESSION_ID_NOT_FOUND;
  if (session.epoch !== sessionEpoch) return KAFKA.INVALID_FETCH_SESSION_EPOCH;
  const byId = call.version >= TOPIC_ID_SINCE;
  const [known] = session.parts.values();
  if (known !== undefined && (known.topic === '') !== byId) {
    return KAFKA.FETCH_SESSION_TOPIC_ID_ERROR;
  }
  session.advance();
  update(session, request);
  if (session.parts.size === 0) {
    room.fetchSessions.end(session);
    return new FetchPlan([], null, true, room);
  }
  const asked = Array.from(session.parts.values(), (part) => lookUp.asked(part));
  return new FetchPlan(asked, session, false, room);
}

function update(session: FetchSession, request: FetchRequest): void {
  for (const part of partsOf(request)) {
    const key = keyOf(part.topic, part.topicId, part.index);
    const known = session.parts.get(key);
    if (known === undefined) session.parts.set(key, part);
    else {
      known.fetchOffset = part.fetchOffset;
      known.bytesMax = part.bytesMax;
      known.leaderEpoch = part.leaderEpoch;
      known.lastEpoch = part.lastEpoch;
    }
  }
  for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
    for (const index of partitions) session.parts.delete(keyOf(topic, topicId, index));
  }
}

function partsOf({ topics }: FetchRequest): SessionPart[] {
  return topics.flatMap(({ topic, topicId, partitions }) =>
    partitions.map((asked) => ({
      ...{ topic, topicId, index: asked.partition, fetchOffset: asked.fetchOffset },
      ...{ bytesMax: asked.partitionMaxBytes, leaderEpoch: asked.currentLeaderEpoch },
      lastEpoch: asked.lastFetchedEpoch,
      ...{ highWatermark: UNTOLD, stableOffset: UNTOLD, startOffset: UNTOLD, failed: false },
    })),
  );
}

function keyOf(topic: string, topicId: string, index: number): string {
  return `${topic}/${topicId}/${index}`;
}

/** Finds partitions; a topic is looked up once per request. */
class LookUp {
  readonly #call: FetchContext;
  readonly #room: Room;
  readonly #found = new Map<string, { stream: Stream | undefined; fault: number }>();

  constructor(call: FetchContext, room: Room) {
    this.#call = call;
    this.#room = room;
  }

  asked(part: SessionPart): AskedPart {
    const { topic, topicId, index, fetchOffset, bytesMax, leaderEpoch, lastEpoch } = part;
    const { stream, fault } = this.#topic(topic, topicId);
    const partition = fault === KAFKA.NONE ? (stream!.partitions[index] ?? null) : null;
    let errorCode = fault;
    if (fault === KAFKA.NONE) {
      errorCode =
        partition === null ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION : leaderEpochFault(leaderEpoch);
    }
    return { topic, topicId, index, fetchOffset, bytesMax, lastEpoch, partition, errorCode };
  }

  #topic(name: string, topicId: string): { stream: Stream | undefined; fault: number } {
    const key = `${name}/${topicId}`;
    let found = this.#found.get(key);
    if (found === undefined) {
      const byId = this.#call.version >= TOPIC_ID_SINCE;
      const { topics } = this.#room;
      const stream = byId ? topics.byId(topicId) : topics.byName(name);
      found = { stream, fault: this.#fault(stream, name, topicId, byId) };
      this.#found.set(key, found);
    }
    return found;
  }

  #fault(stream: Stream | undefined, name: string, topicId: string, byId: boolean): number {
    const principal = this.#call.session.principal!;
    if (stream !== undefined) {
      const allowed = this.#room.topics.may(principal, 'subscribe', stream);
      return allowed ? KAFKA.NONE : KAFKA.TOPIC_AUTHORIZATION_FAILED;
    }
    if (byId) return unknownId(topicId);
    return this.#room.topics.mayByName(principal, 'subscribe', name)
      ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION
      : KAFKA.TOPIC_AUTHORIZATION_FAILED;
  }
}

/** Topics of the server's own state have ids as well, and are read by nobody. */
function unknownId(topicId: string): number {
  return isInternalId(topicId) ? KAFKA.TOPIC_AUTHORIZATION_FAILED : KAFKA.UNKNOWN_TOPIC_ID;
}
