/**
 * Fetch: batches go out as storage holds them. A request that finds too little waits on the tails
 * of its partitions and on one timer (K30); nothing polls. Fetch sessions are not kept: every
 * request is answered as a full one, with session id 0 (KIP-227 allows it).
 */
import type { Partition, StoredBatch, Stream } from '#broker';
import { BrokerError, type Timer } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { fetch } from '../messages/01-fetch.ts';
import { answersLater } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf } from '../rows.ts';
import { leaderEpochFault } from '../topic-lookup.ts';

const TOPIC_ID_SINCE = 13;
const READ_COMMITTED = 1;
/** A session epoch that asks for a new session, and one that wants none. */
const INITIAL_EPOCH = 0;
const FINAL_EPOCH = -1;
const NO_BATCHES: readonly Buffer[] = [];

type FetchRequest = RequestOf<typeof fetch>;

/** One partition of a fetch request and what was read for it. */
class Part {
  readonly index: number;
  readonly offset: number;
  readonly bytesMax: number;
  readonly partition: Partition | null;
  errorCode: number;
  batches: readonly Buffer[] = NO_BATCHES;
  size = 0;
  /** There is something new since it was read last. */
  stale = true;

  constructor(
    index: number,
    offset: number,
    bytesMax: number,
    partition: Partition | null,
    errorCode: number,
  ) {
    this.index = index;
    this.offset = offset;
    this.bytesMax = Math.max(0, bytesMax);
    this.partition = partition;
    this.errorCode = errorCode;
  }
}

class FetchCall {
  readonly #call: Call<typeof fetch>;
  readonly #room: Room;
  readonly #request: FetchRequest;
  readonly #topics: { topic: string; topicId: string; parts: Part[] }[] = [];
  /** All parts, in the order in which they may take from the response's size. */
  readonly #order: Part[];
  readonly #bytesMax: number;
  #timer: Timer | null = null;
  #tails: (() => void)[] = [];
  #reading = false;
  #expired: boolean;
  #wakePending = false;

  constructor(request: FetchRequest, call: Call<typeof fetch>, room: Room) {
    this.#call = call;
    this.#room = room;
    this.#request = request;
    this.#bytesMax = Math.min(Math.max(0, request.maxBytes), room.options.fetchBytesMax);
    this.#expired = request.maxWaitMs <= 0;
    const all: Part[] = [];
    for (const { topic, topicId, partitions } of request.topics) {
      const byId = call.version >= TOPIC_ID_SINCE;
      const stream = byId ? room.topics.byId(topicId) : room.topics.byName(topic);
      const fault = this.#topicFault(stream, topic, byId);
      const parts = partitions.map((asked) => {
        const partition = fault === KAFKA.NONE ? stream!.partitions[asked.partition] : undefined;
        return new Part(
          asked.partition,
          asked.fetchOffset,
          asked.partitionMaxBytes,
          partition ?? null,
          fault !== KAFKA.NONE ? fault : partFault(partition, asked.currentLeaderEpoch),
        );
      });
      this.#topics.push({ topic, topicId, parts });
      all.push(...parts);
    }
    // Clients repeat their list in the same order: begin elsewhere each time, so that a busy
    // partition at the front cannot starve the others (K30).
    const turn = all.length > 1 ? call.session.fetchTurn++ % all.length : 0;
    this.#order = turn === 0 ? all : [...all.slice(turn), ...all.slice(0, turn)];
  }

  begin(): void {
    this.#read();
  }

  #topicFault(stream: Stream | undefined, name: string, byId: boolean): number {
    const principal = this.#call.session.principal!;
    if (stream !== undefined) {
      const allowed = this.#room.topics.may(principal, 'subscribe', stream);
      return allowed ? KAFKA.NONE : KAFKA.TOPIC_AUTHORIZATION_FAILED;
    }
    if (byId) return KAFKA.UNKNOWN_TOPIC_ID;
    return this.#room.topics.mayByName(principal, 'subscribe', name)
      ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION
      : KAFKA.TOPIC_AUTHORIZATION_FAILED;
  }

  /** Reads what is new, and answers if that is enough. */
  #read(): void {
    const pending: Promise<void>[] = [];
    let left = this.#bytesMax;
    let first = true;
    for (const part of this.#order) {
      if (part.stale && part.errorCode === KAFKA.NONE && (left > 0 || first)) {
        const read = this.#readPart(part, Math.min(part.bytesMax, left));
        if (read !== null) pending.push(read);
      }
      left -= part.size;
      if (part.size > 0) first = false;
    }
    if (pending.length === 0) {
      this.#decide();
      return;
    }
    this.#reading = true;
    Promise.all(pending).then(
      () => {
        this.#reading = false;
        if (!this.#call.settled) this.#decide();
      },
      (error: unknown) => this.#call.session.crash(error),
    );
  }

  #readPart(part: Part, bytesMax: number): Promise<void> | null {
    const { offset } = part;
    const partition = part.partition!;
    part.stale = false;
    if (offset < partition.startOffset || offset > partition.highWatermark) {
      part.errorCode = KAFKA.OFFSET_OUT_OF_RANGE;
      return null;
    }
    if (offset === partition.highWatermark) return null;
    try {
      const read = partition.readBatches(offset, Math.max(1, bytesMax));
      if (Array.isArray(read)) this.#keep(part, read);
      else {
        return read.then(
          (batches) => this.#keep(part, batches),
          (error: unknown) => failPart(part, error),
        );
      }
    } catch (error) {
      failPart(part, error);
    }
    return null;
  }

  #keep(part: Part, batches: readonly StoredBatch[]): void {
    part.batches = batches.map((batch) => batch.bytes);
    part.size = 0;
    for (const { length } of part.batches) part.size += length;
  }

  #decide(): void {
    let size = 0;
    let failed = false;
    for (const part of this.#order) {
      size += part.size;
      if (part.errorCode !== KAFKA.NONE) failed = true;
    }
    const enough = size >= this.#request.minBytes || size >= this.#bytesMax;
    if (this.#expired || failed || enough || this.#order.length === 0) this.#answer();
    else this.#wait();
  }

  #wait(): void {
    if (this.#timer !== null) {
      // Told of news while the last read was under way.
      if (this.#order.some((part) => part.stale)) this.#wake();
      return;
    }
    // No longer than an idle connection may last: behind a waiting request a hang-up can go unseen.
    const waitMs = Math.min(this.#request.maxWaitMs, this.#room.options.idleTimeout);
    this.#timer = this.#room.host.timers.after(waitMs, () => this.#expire());
    this.#call.hurry = () => this.#expire();
    this.#call.onClosed = () => this.#stopWaiting();
    for (const part of this.#order) {
      if (part.partition === null) continue;
      this.#tails.push(
        part.partition.tail(() => {
          part.stale = true;
          this.#wake();
        }),
      );
      // A commit between the read and this line would be waited for in vain.
      if (part.size === 0 && part.partition.highWatermark !== part.offset) {
        part.stale = true;
        this.#wake();
      }
    }
  }

  /** One commit may move many of the partitions: look once, when all of them have been told. */
  #wake(): void {
    if (this.#wakePending) return;
    this.#wakePending = true;
    this.#room.host.timers.soon(() => {
      this.#wakePending = false;
      if (this.#timer !== null && !this.#reading) this.#read();
    });
  }

  #expire(): void {
    this.#expired = true;
    if (!this.#reading) this.#answer();
  }

  #stopWaiting(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const end of this.#tails) end();
    this.#tails = [];
  }

  #answer(): void {
    if (this.#call.settled) return;
    this.#stopWaiting();
    this.#cutToSize();
    const aborted = this.#request.isolationLevel === READ_COMMITTED ? [] : null;
    this.#call.answer({
      responses: this.#topics.map(({ topic, topicId, parts }) => ({
        topic,
        topicId,
        partitions: parts.map((part) => ({
          partitionIndex: part.index,
          errorCode: part.errorCode,
          highWatermark: part.partition?.highWatermark ?? -1,
          lastStableOffset: part.partition?.highWatermark ?? -1,
          logStartOffset: part.partition?.startOffset ?? -1,
          abortedTransactions: aborted,
          preferredReadReplica: -1,
          records: part.batches,
        })),
      })),
    });
  }

  /** Whole batches within the limits; the very first batch goes out whatever its size (KIP-74). */
  #cutToSize(): void {
    let left = this.#bytesMax;
    let first = true;
    for (const part of this.#order) {
      const limit = Math.min(part.bytesMax, left);
      let size = 0;
      let count = 0;
      for (const { length } of part.batches) {
        if (size + length > limit && !(first && count === 0)) break;
        size += length;
        count++;
      }
      if (count < part.batches.length) part.batches = part.batches.slice(0, count);
      part.size = size;
      left = Math.max(0, left - size);
      if (count > 0) first = false;
    }
  }
}

function partFault(partition: Partition | undefined, currentLeaderEpoch: number): number {
  return partition === undefined
    ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION
    : leaderEpochFault(currentLeaderEpoch);
}

function failPart(part: Part, error: unknown): void {
  if (!(error instanceof BrokerError)) throw error;
  part.errorCode = wireCode(error);
  part.batches = NO_BATCHES;
  part.size = 0;
}

export const fetchOperation = answersLater(fetch, (request, call, room) => {
  const fault = sessionFault(request);
  if (fault === KAFKA.NONE) new FetchCall(request, call, room).begin();
  else call.answer({ errorCode: fault, responses: [] });
});

function sessionFault({ sessionId, sessionEpoch }: FetchRequest): number {
  if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) return KAFKA.NONE;
  return sessionId === 0 ? KAFKA.INVALID_FETCH_SESSION_EPOCH : KAFKA.FETCH_SESSION_ID_NOT_FOUND;
}
