/**
 * Fetch: batches go out as storage holds them. A request that finds too little waits on the tails
 * of its partitions and on one timer (K30); nothing polls. Which partitions it asks for, and which
 * of them need an answer, is a matter of its session (`fetch-plan.ts`).
 */
import type { AbortedTransaction, Partition, StoredBatch } from '#broker';
import { BrokerError, type Timer } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { type AskedPart, type FetchPlan, planOf } from '../fetch-plan.ts';
import { fetch } from '../messages/01-fetch.ts';
import { answersLater } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf, ResponseOf } from '../rows.ts';
import { LEADER_EPOCH, NODE_ID } from '../topics.ts';

const READ_COMMITTED = 1;
const TRANSACTIONAL = 0x10;
const NO_BATCHES: readonly StoredBatch[] = [];
const LEADER = { leaderId: NODE_ID, leaderEpoch: LEADER_EPOCH };
const NONE_ABORTED: readonly AbortedTransaction[] = [];

type FetchRequest = RequestOf<typeof fetch>;
type TopicAnswer = ResponseOf<typeof fetch>['responses'][number];
type PartitionAnswer = TopicAnswer['partitions'][number];

/** One partition of a fetch request and what was read for it. */
class Part {
  readonly asked: AskedPart;
  readonly offset: number;
  readonly bytesMax: number;
  readonly partition: Partition | null;
  errorCode: number;
  batches: readonly StoredBatch[] = NO_BATCHES;
  size = 0;
  /** The log ends before what the client has: it lost its end (KIP-595). */
  diverges = false;
  /** There is something new since it was read last. */
  stale = true;

  constructor(asked: AskedPart) {
    this.asked = asked;
    this.offset = asked.fetchOffset;
    this.bytesMax = Math.max(0, asked.bytesMax);
    this.partition = asked.partition;
    this.errorCode = asked.errorCode;
  }
}

class FetchCall {
  readonly #call: Call<typeof fetch>;
  readonly #room: Room;
  readonly #request: FetchRequest;
  readonly #plan: FetchPlan;
  /** All parts, in the order in which they may take from the response's size. */
  readonly #order: Part[];
  readonly #parts: readonly Part[];
  readonly #bytesMax: number;
  readonly #isCommitted: boolean;
  #timer: Timer | null = null;
  #tails: (() => void)[] = [];
  #reading = false;
  #expired: boolean;
  #wakePending = false;

  constructor(request: FetchRequest, plan: FetchPlan, call: Call<typeof fetch>, room: Room) {
    this.#call = call;
    this.#room = room;
    this.#request = request;
    this.#plan = plan;
    // What its quota gives at once: a client that takes more at a time would wait for long.
    const most = call.session.throttle.most(call as unknown as Call, 'deliver-bytes');
    const { fetchBytesMax } = room.options;
    this.#bytesMax = Math.min(Math.max(0, request.maxBytes), fetchBytesMax, Math.floor(most));
    this.#isCommitted = request.isolationLevel === READ_COMMITTED;
    this.#expired = request.maxWaitMs <= 0;
    const all = plan.asked.map((asked) => new Part(asked));
    this.#parts = all;
    // Clients repeat their list in the same order: begin elsewhere each time, so that a busy
    // partition at the front cannot starve the others (K30).
    const turn = all.length > 1 ? call.session.fetchTurn++ % all.length : 0;
    this.#order = turn === 0 ? all : [...all.slice(turn), ...all.slice(0, turn)];
  }

  begin(): void {
    this.#read();
  }

  /** How far this reader may see. */
  #endOf(partition: Partition): number {
    return this.#isCommitted ? partition.stableOffset : partition.highWatermark;
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
    const isPast = offset > partition.highWatermark;
    if (isPast && part.asked.lastEpoch === LEADER_EPOCH) {
      part.diverges = true;
      return null;
    }
    if (isPast || offset < partition.startOffset || part.asked.lastEpoch > LEADER_EPOCH) {
      part.errorCode = KAFKA.OFFSET_OUT_OF_RANGE;
      return null;
    }
    if (offset >= this.#endOf(partition)) return null;
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
    const end = this.#endOf(part.partition!);
    let count = 0;
    part.size = 0;
    // The stable end is where a batch begins.
    for (; count < batches.length && batches[count]!.baseOffset < end; count++) {
      part.size += batches[count]!.bytes.length;
    }
    part.batches = count < batches.length ? batches.slice(0, count) : batches;
  }

  #decide(): void {
    let size = 0;
    let failed = false;
    for (const part of this.#order) {
      size += part.size;
      if (part.errorCode !== KAFKA.NONE || part.diverges) failed = true;
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
      if (part.size === 0 && this.#endOf(part.partition) > part.offset) {
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
      if (this.#timer !== null && !this.#reading) {
        this.#call.session.throttle.again(this.#call as unknown as Call, () => this.#read());
      }
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
    const responses: TopicAnswer[] = [];
    let size = 0;
    let fenced = false;
    let last: { topic: string; topicId: string; partitions: PartitionAnswer[] } | null = null;
    for (const part of this.#parts) {
      const answer = this.#answerOf(part);
      const { topic, topicId } = part.asked;
      if (!this.#plan.tells(part.asked, answer, part.size > 0 || part.diverges)) continue;
      if (last === null || last.topic !== topic || last.topicId !== topicId) {
        last = { topic, topicId, partitions: [] };
        responses.push(last);
      }
      last.partitions.push(answer);
      size += part.size;
      fenced ||= part.errorCode === KAFKA.FENCED_LEADER_EPOCH;
    }
    const call = this.#call as unknown as Call;
    call.session.throttle.take(call, 'deliver-bytes', size);
    this.#call.answer({
      sessionId: this.#plan.answered(),
      responses,
      ...(fenced && {
        nodeEndpoints: [{ nodeId: NODE_ID, ...this.#room.advertised(call.session) }],
      }),
    });
  }

  #answerOf(part: Part): PartitionAnswer {
    const { partition } = part;
    return {
      partitionIndex: part.asked.index,
      errorCode: part.errorCode,
      highWatermark: partition?.highWatermark ?? -1,
      lastStableOffset: partition?.stableOffset ?? -1,
      logStartOffset: partition?.startOffset ?? -1,
      ...(part.diverges && {
        divergingEpoch: { epoch: LEADER_EPOCH, endOffset: partition!.highWatermark },
      }),
      // Who has another leader in mind is told which one it is, and where (KIP-951).
      ...(part.errorCode === KAFKA.FENCED_LEADER_EPOCH && { currentLeader: LEADER }),
      abortedTransactions: this.#isCommitted ? this.#abortedIn(part) : null,
      preferredReadReplica: -1,
      records: part.batches.map((batch) => batch.bytes),
    };
  }

  #abortedIn({ partition, batches }: Part): readonly AbortedTransaction[] {
    const first = batches.find(({ attributes }) => (attributes & TRANSACTIONAL) !== 0);
    if (first === undefined) return NONE_ABORTED;
    const { baseOffset, count } = batches[batches.length - 1]!;
    const { transactions } = this.#room.broker;
    return transactions.abortedBetween(partition!, first.baseOffset, baseOffset + count);
  }

  /** Whole batches within the limits; the very first batch goes out whatever its size (KIP-74). */
  #cutToSize(): void {
    let left = this.#bytesMax;
    let first = true;
    for (const part of this.#order) {
      const limit = Math.min(part.bytesMax, left);
      let size = 0;
      let count = 0;
      for (const { bytes } of part.batches) {
        const { length } = bytes;
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

function failPart(part: Part, error: unknown): void {
  if (!(error instanceof BrokerError)) throw error;
  part.errorCode = wireCode(error);
  part.batches = NO_BATCHES;
  part.size = 0;
}

export const fetchOperation = answersLater(fetch, (request, call, room) => {
  const plan = planOf(request, call, room);
  if (typeof plan === 'number') {
    call.answer({ errorCode: plan, responses: [] });
    return;
  }
  const { throttle } = call.session;
  const debtMs = throttle.debtMs(call as unknown as Call, 'deliver-bytes');
  if (debtMs === 0) {
    new FetchCall(request, plan, call, room).begin();
    return;
  }
  // Others with the same quota took too much: nothing is read for now.
  throttle.delay(call as unknown as Call, 'deliver-bytes', debtMs);
  call.answer({ sessionId: plan.held(), responses: [] });
});
