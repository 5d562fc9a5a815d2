/**
 * A client with a transactional id: writes to both partitions of a topic and moves the position of
 * its group with each transaction, commits, aborts, waits too long, is fenced by its successor.
 * Where it does not know how a transaction ended, the position of its group tells it, as that of
 * clients that read, process and write (KIP-447).
 */
import { produce } from '../../../src/protocols/kafka/messages/00-produce.ts';
import { offsetFetch } from '../../../src/protocols/kafka/messages/09-offset-fetch.ts';
import { initProducerId } from '../../../src/protocols/kafka/messages/22-init-producer-id.ts';
import { addPartitionsToTxn } from '../../../src/protocols/kafka/messages/24-add-partitions-to-txn.ts';
import { addOffsetsToTxn } from '../../../src/protocols/kafka/messages/25-add-offsets-to-txn.ts';
import { endTxn } from '../../../src/protocols/kafka/messages/26-end-txn.ts';
import { txnOffsetCommit } from '../../../src/protocols/kafka/messages/28-txn-offset-commit.ts';
import { Actor, Lost } from '../actor.ts';
import type { Wire } from '../network.ts';
import { TransactionNote } from '../transaction-note.ts';
import type { World } from '../world.ts';
import { TRANSACTED } from './auditor.ts';
import { batchOf, KafkaLink } from './kafka-link.ts';
import { courseOf, type PlannedBatch, type TransactionPlan } from './transaction-plan.ts';

/** Errors after which the same is asked again, on another connection. */
const RETRIABLE: ReadonlySet<number> = new Set([3, 5, 6, 7, 14, 15, 16, 19, 51, 56, 88, 89]);
const CONCURRENT_TRANSACTIONS = 51;
/** Of an epoch that is over: INVALID_PRODUCER_EPOCH and PRODUCER_FENCED. */
const FENCED: ReadonlySet<number> = new Set([47, 90]);
const TIMEOUTS_MS = [400, 3_000] as const;
const BATCHES_MAX = 3;
const PARTITIONS = 2;

interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** The server says that somebody else has the id, or that time was up. */
class Fenced extends Error {}

export class TransactionalProducer extends Actor {
  protected readonly listener = 'kafka';
  readonly #total: number;
  /** Of the protocol of transactions. */
  readonly #isV2: boolean;
  readonly #timeoutMs: number;
  #identity: Identity | null = null;
  /** Next sequence by partition, in the epoch of now. */
  #sequences: number[] = [];
  #made = 0;
  #begun = 0;
  #position = 0;
  #plan: TransactionPlan | null = null;

  constructor(world: World, name: string, version: 1 | 2, total: number) {
    super(world, name);
    this.#isV2 = version === 2;
    this.#total = total;
    this.#timeoutMs = this.random.pick(TIMEOUTS_MS);
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    // A client that is started anew takes its id again; another goes on where it was.
    if (this.random.chance(0.3)) this.#identity = null;
    while (this.#plan !== null || this.#begun < this.#total) {
      if (this.#identity === null) await this.#init(link);
      this.#plan ??= this.#next();
      try {
        await this.#perform(link, this.#plan);
      } catch (error) {
        if (!(error instanceof Fenced)) throw error;
        this.#identity = null;
      }
      await this.pause(0, this.world.closing ? 1 : 200);
    }
    if (this.#identity === null) await this.#init(link);
    this.done = true;
  }

  /** Takes the id, which ends what was open, and learns how that ended. */
  async #init(link: KafkaLink): Promise<void> {
    const asked = { transactionalId: this.name, transactionTimeoutMs: this.#timeoutMs };
    const given = await link.ask(initProducerId, 4, asked);
    this.#check('InitProducerId', given.errorCode);
    const topics = [{ name: TRANSACTED, partitionIndexes: [0] }];
    const group = { groupId: this.name, topics, requireStable: true };
    const answer = await link.ask(offsetFetch, 7, group);
    const { errorCode, committedOffset } = answer.topics[0]!.partitions[0]!;
    this.#check('OffsetFetch', answer.errorCode || errorCode);
    this.#learn(Math.max(0, committedOffset));
    this.#identity = given;
    this.#sequences = [];
  }

  #learn(position: number): void {
    const { ledger } = this.world;
    const plan = this.#plan;
    if (plan !== null && position === plan.number) {
      if (plan.note.end !== 'asked') ledger.fail(`${plan.note.id} was committed by nobody`);
      this.#committed(plan);
    } else if (position !== this.#position) {
      ledger.fail(`the group of ${this.name} is at ${position}, not at ${this.#position}`);
    } else if (plan !== null) this.#aborted(plan);
  }

  #next(): TransactionPlan {
    const { random } = this;
    const number = ++this.#begun;
    const note = new TransactionNote(`${this.name}/${number}`);
    this.world.ledger.began(note);
    const batches = Array.from({ length: random.integer(1, BATCHES_MAX) }, () => this.#batch(note));
    const course = courseOf(random);
    return { number, note, course, batches, isJoined: false, hasOffsets: false };
  }

  #batch(note: TransactionNote): PlannedBatch {
    const { random, name } = this;
    const partition = random.integer(0, PARTITIONS - 1);
    const lane = `${name}@${TRANSACTED}/${partition}`;
    const messages = Array.from({ length: random.integer(1, 3) }, () => {
      const given = { publisher: name, sequence: this.#made++, stream: TRANSACTED, lane };
      const size = random.chance(0.2) ? 6_000 : random.integer(10, 300);
      const more = { address: TRANSACTED, mode: 'exactly-once' } as const;
      return this.world.ledger.make({ ...given, ...more }, size, null, note);
    });
    return { partition, messages, sequence: -1, timestampMs: 0, isStored: false };
  }

  async #perform(link: KafkaLink, plan: TransactionPlan): Promise<void> {
    const { course, batches, note } = plan;
    if (!this.#isV2 && !plan.isJoined) await this.#join(link, plan);
    for (const batch of batches) {
      if (!batch.isStored) await this.#produce(link, batch, this.#identity!);
      await this.pause(0, this.world.closing ? 1 : 40);
    }
    if (!plan.hasOffsets) await this.#commitOffsets(link, plan);
    if (course === 'fence') return this.#outlive(link, note);
    if (course === 'linger' && !this.world.closing) {
      await this.pause(this.#timeoutMs / 2, this.#timeoutMs * 2);
    }
    await this.#end(link, plan, course !== 'abort');
  }

  /** Version 1 says first what will take part. */
  async #join(link: KafkaLink, plan: TransactionPlan): Promise<void> {
    const { producerId, producerEpoch } = this.#identity!;
    const partitions = [...new Set(plan.batches.map(({ partition }) => partition))];
    const answer = await link.ask(addPartitionsToTxn, 3, {
      transactions: [],
      v3AndBelowTransactionalId: this.name,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: TRANSACTED, partitions }],
    });
    for (const { resultsByPartition } of answer.resultsByTopicV3AndBelow) {
      for (const { partitionErrorCode } of resultsByPartition) {
        this.#check('AddPartitionsToTxn', partitionErrorCode);
      }
    }
    const group = { ...this.#asked, groupId: this.name };
    const { errorCode } = await link.ask(addOffsetsToTxn, 3, group);
    this.#check('AddOffsetsToTxn', errorCode);
    plan.isJoined = true;
  }

  async #produce(link: KafkaLink, batch: PlannedBatch, identity: Identity): Promise<void> {
    const { partition, messages } = batch;
    if (batch.sequence < 0) {
      batch.sequence = this.#sequences[partition] ?? 0;
      batch.timestampMs = this.world.clock.nowMs();
      this.#sequences[partition] = batch.sequence + messages.length;
    }
    for (const message of messages) this.world.ledger.sending(message);
    const { sequence: baseSequence, timestampMs } = batch;
    const records = batchOf(
      messages.map(({ body }) => body),
      { ...identity, baseSequence, timestampMs, isTransactional: true },
    );
    const { responses } = await link.ask(produce, this.#isV2 ? 12 : 11, {
      ...{ transactionalId: this.name, acks: -1, timeoutMs: 5_000 },
      topicData: [{ name: TRANSACTED, partitionData: [{ index: partition, records }] }],
    });
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
    this.#check('produce', errorCode);
    batch.isStored = true;
    messages.forEach((message, index) => {
      this.world.ledger.placed(message, baseOffset + index);
    });
  }

  async #commitOffsets(link: KafkaLink, plan: TransactionPlan): Promise<void> {
    const position = { committedOffset: plan.number, committedMetadata: null };
    const { topics } = await link.ask(txnOffsetCommit, this.#isV2 ? 5 : 3, {
      ...this.#asked,
      groupId: this.name,
      topics: [{ name: TRANSACTED, partitions: [{ partitionIndex: 0, ...position }] }],
    });
    this.#check('TxnOffsetCommit', topics[0]!.partitions[0]!.errorCode);
    plan.hasOffsets = true;
  }

  async #end(link: KafkaLink, plan: TransactionPlan, isCommit: boolean): Promise<void> {
    if (isCommit) plan.note.end = 'asked';
    for (;;) {
      const asked = { ...this.#asked, committed: isCommit };
      const answer = await link.ask(endTxn, this.#isV2 ? 5 : 3, asked);
      if (answer.errorCode === CONCURRENT_TRANSACTIONS) {
        await this.pause(5, 50);
        continue;
      }
      this.#check('EndTxn', answer.errorCode);
      if (this.#isV2) {
        const { producerId, producerEpoch } = answer;
        if (producerEpoch < 0) this.world.ledger.fail(`${this.name}: an end without an epoch`);
        this.#identity = { producerId, producerEpoch };
        this.#sequences = [];
      }
      if (isCommit) this.#committed(plan);
      else this.#aborted(plan);
      return;
    }
  }

  /** Another instance takes the id; whatever the first one asks then is refused. */
  async #outlive(link: KafkaLink, note: TransactionNote): Promise<void> {
    const old = this.#identity!;
    await this.#init(link);
    const late = { ...this.#batch(note), sequence: 1_000, timestampMs: this.world.clock.nowMs() };
    await this.#mustBeFenced(this.#produce(link, late, old));
    const commit = { transactionalId: this.name, ...old, committed: true };
    const ended = link.ask(endTxn, this.#isV2 ? 5 : 3, commit);
    await this.#mustBeFenced(ended.then(({ errorCode }) => this.#check('EndTxn', errorCode)));
  }

  async #mustBeFenced(asked: Promise<void>): Promise<void> {
    try {
      await asked;
    } catch (error) {
      if (error instanceof Fenced) return;
      throw error;
    }
    this.world.ledger.fail(`${this.name}: an instance that was fenced is obeyed`);
  }

  get #asked() {
    const { producerId, producerEpoch } = this.#identity!;
    return { transactionalId: this.name, producerId, producerEpoch };
  }

  #committed(plan: TransactionPlan): void {
    this.world.ledger.committed(plan.note);
    this.#position = plan.number;
    this.#plan = null;
  }

  #aborted(plan: TransactionPlan): void {
    this.world.ledger.aborted(plan.note);
    this.#plan = null;
  }

  #check(what: string, code: number): void {
    if (code === 0) return;
    if (FENCED.has(code)) throw new Fenced(`${what}: error ${code}`);
    if (RETRIABLE.has(code)) throw new Lost(`${what}: error ${code}`);
    this.world.ledger.fail(`${this.name}: ${what} was refused with ${code}`);
  }
}
