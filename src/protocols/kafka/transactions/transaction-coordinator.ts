/**
 * The transactions of this server (KIP-98, KIP-890): who may write with a transactional id, what
 * takes part, and how each ends. State changes at once in memory, and is on disk before it is
 * answered; of a transaction one decision is made at a time. Version 2 of the protocol raises the
 * epoch with every end, and adds partitions when they are written to.
 */
import type { CommittedOffset, Partition } from '#broker';
import type { Host } from '#contract';
import type { Timer } from '#kit';
import { KAFKA } from '../error-codes.ts';
import type { Coordinator } from '../groups/coordinator.ts';
import type { KafkaOptions } from '../options.ts';
import { Ending } from './ending.ts';
import { PendingOffsets } from './pending-offsets.ts';
import { EPOCH_MAX, Transaction } from './transaction.ts';
import { TransactionStore } from './transaction-store.ts';

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface Given extends ProducerIdentity {
  readonly errorCode: number;
}

const NOBODY: ProducerIdentity = { producerId: -1, producerEpoch: -1 };
/** Groups whose offsets one transaction may commit. */
const GROUPS_MAX = 1_000;
/** `setTimeout` takes no more. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class TransactionCoordinator {
  /** Oldest change first. */
  readonly #all: Map<string, Transaction>;
  readonly #host: Host;
  readonly #options: KafkaOptions;
  readonly #store: TransactionStore;
  readonly #ending: Ending;
  readonly pending = new PendingOffsets();
  #expiry: Timer | null = null;
  #closed = false;

  constructor(host: Host, options: KafkaOptions, groups: Coordinator) {
    this.#host = host;
    this.#options = options;
    const { broker, log, clock } = host;
    this.#store = new TransactionStore(broker, log);
    this.#ending = new Ending({
      ...{ broker, log, store: this.#store },
      nowMs: () => clock.nowMs(),
      commitOffsets: (group, entries, done) => groups.commit(group, entries, done),
      settled: (transaction) => this.pending.remove(transaction),
    });
    const stored = [...this.#store.load().values()].sort((a, b) => a.updatedMs - b.updatedMs);
    this.#all = new Map(stored.map((transaction) => [transaction.id, transaction]));
    for (const transaction of stored) this.#reopen(transaction);
    this.#armExpiry();
  }

  get count(): number {
    return this.#all.size;
  }

  get openCount(): number {
    let count = 0;
    for (const { state } of this.#all.values()) if (state === 'Ongoing') count++;
    return count;
  }

  find(id: string): Transaction | undefined {
    return this.#all.get(id);
  }

  list(): Iterable<Transaction> {
    return this.#all.values();
  }

  close(): void {
    this.#closed = true;
    this.#expiry?.cancel();
    for (const { timer } of this.#all.values()) timer?.cancel();
  }

  /** InitProducerId: fences who had the id before, and ends what was open. */
  async init(id: string, timeoutMs: number, expected: ProducerIdentity | null): Promise<Given> {
    const { transactionTimeoutMax, transactionalIdsMax } = this.#options;
    if (id === '') return refusal(KAFKA.INVALID_REQUEST);
    if (timeoutMs <= 0 || timeoutMs > transactionTimeoutMax) {
      return refusal(KAFKA.INVALID_TRANSACTION_TIMEOUT);
    }
    let transaction = this.#all.get(id);
    if (transaction === undefined) {
      if (this.#all.size >= transactionalIdsMax) return refusal(KAFKA.POLICY_VIOLATION);
      transaction = new Transaction(id);
      this.#all.set(id, transaction);
    }
    return this.#exclusive(transaction, (owned) => this.#init(owned, timeoutMs, expected));
  }

  /**
   * Adds partitions to the producer's transaction, which begins with the first.
   * @returns an error code; when it is none, the change must still be committed
   */
  addPartitions(id: string, producer: ProducerIdentity, partitions: readonly Partition[]): number {
    const transaction = this.#all.get(id);
    const fault = producerFault(transaction, producer);
    if (fault !== KAFKA.NONE) return fault;
    this.#begin(transaction!);
    for (const partition of partitions) this.#take(transaction!, partition);
    return KAFKA.NONE;
  }

  /** Whether they all take part already. */
  partitionsFault(
    id: string,
    producer: ProducerIdentity,
    partitions: readonly Partition[],
  ): number {
    const transaction = this.#all.get(id);
    const fault = producerFault(transaction, producer);
    if (fault !== KAFKA.NONE) return fault;
    const isOpen = transaction!.state === 'Ongoing';
    const takePart = isOpen && partitions.every((one) => transaction!.partitions.has(one));
    return takePart ? KAFKA.NONE : KAFKA.TRANSACTION_ABORTABLE;
  }

  /** What stands against a batch of a transaction; version 2 of the protocol adds the partition. */
  writeFault(
    id: string,
    producer: ProducerIdentity,
    partition: Partition,
    addsPartition: boolean,
  ): number {
    const transaction = this.#all.get(id);
    const fault = producerFault(transaction, producer);
    if (fault === KAFKA.PRODUCER_FENCED) return KAFKA.INVALID_PRODUCER_EPOCH;
    if (fault !== KAFKA.NONE) return fault;
    const takesPart = transaction!.state === 'Ongoing' && transaction!.partitions.has(partition);
    if (takesPart) return KAFKA.NONE;
    if (!addsPartition) return KAFKA.TRANSACTION_ABORTABLE;
    this.#begin(transaction!);
    this.#take(transaction!, partition);
    return KAFKA.NONE;
  }

  addGroup(id: string, producer: ProducerIdentity, group: string): number {
    const transaction = this.#all.get(id);
    const fault = producerFault(transaction, producer);
    if (fault !== KAFKA.NONE) return fault;
    this.#begin(transaction!);
    if (transaction!.groups.has(group)) return KAFKA.NONE;
    if (transaction!.groups.size >= GROUPS_MAX) return KAFKA.POLICY_VIOLATION;
    transaction!.groups.set(group, new Map());
    this.#store.addGroup(transaction!, group);
    return KAFKA.NONE;
  }

  /** Offsets that a group gets when the transaction is committed. */
  addOffsets(
    id: string,
    producer: ProducerIdentity,
    group: string,
    entries: readonly CommittedOffset[],
    addsGroup: boolean,
  ): number {
    const fault = addsGroup
      ? this.addGroup(id, producer, group)
      : this.#groupFault(this.#all.get(id), producer, group);
    if (fault !== KAFKA.NONE) return fault;
    const transaction = this.#all.get(id)!;
    for (const entry of entries) {
      this.pending.add(transaction, group, entry);
      this.#store.addOffset(transaction, group, entry);
    }
    return KAFKA.NONE;
  }

  /** Ends the transaction of a producer; `isV2`: its next one has another epoch. */
  async end(
    id: string,
    producer: ProducerIdentity,
    isCommit: boolean,
    isV2: boolean,
  ): Promise<Given> {
    const transaction = this.#all.get(id);
    if (transaction === undefined) return refusal(KAFKA.INVALID_PRODUCER_ID_MAPPING);
    if (transaction.isPrepared) {
      const isSame = (transaction.state === 'PrepareCommit') === isCommit;
      const known = isV2 ? isRetry(transaction, producer) : isCurrent(transaction, producer);
      if (!known) return refusal(KAFKA.PRODUCER_FENCED);
      return refusal(isSame ? KAFKA.CONCURRENT_TRANSACTIONS : KAFKA.INVALID_TXN_STATE);
    }
    return this.#exclusive(transaction, (owned) => this.#end(owned, producer, isCommit, isV2));
  }

  /** Resolves when all changes so far are on disk. */
  committed(): Promise<boolean> {
    return this.#store.outcome().then((failure) => failure === null);
  }

  async #init(
    transaction: Transaction,
    timeoutMs: number,
    expected: ProducerIdentity | null,
  ): Promise<Given> {
    const { producerIds } = this.#host.broker;
    if (transaction.isPrepared) return refusal(KAFKA.CONCURRENT_TRANSACTIONS);
    // Before anything is looked at: while it is fetched, the producer may go on.
    const spareId = transaction.epoch < 0 || transaction.epoch >= EPOCH_MAX - 2;
    const newId = spareId ? await producerIds.next() : -1;
    const before = { producerId: transaction.producerId, producerEpoch: transaction.epoch };
    if (expected !== null && before.producerEpoch >= 0) {
      const known = expected.producerId === before.producerId || isRetired(transaction, expected);
      if (!known) return refusal(KAFKA.PRODUCER_FENCED);
      if (expected.producerEpoch !== before.producerEpoch) {
        // Asked again: the answer was lost.
        const { lastEpoch } = transaction;
        const isAgain = expected.producerEpoch === lastEpoch && transaction.state !== 'Ongoing';
        return isAgain ? answerOf(transaction) : refusal(KAFKA.PRODUCER_FENCED);
      }
    }
    if (transaction.state === 'Ongoing' && !(await this.#fence(transaction))) {
      return refusal(KAFKA.COORDINATOR_NOT_AVAILABLE);
    }
    if (transaction.epoch < 0 || transaction.isExhausted) {
      transaction.lastProducerId = transaction.producerId;
      transaction.producerId = newId;
      transaction.epoch = 0;
    } else transaction.epoch++;
    transaction.lastEpoch = expected === null ? -1 : before.producerEpoch;
    transaction.state = 'Empty';
    transaction.startedMs = -1;
    transaction.timeoutMs = timeoutMs;
    this.#changed(transaction);
    if (!(await this.committed())) return refusal(KAFKA.COORDINATOR_NOT_AVAILABLE);
    return answerOf(transaction);
  }

  async #end(
    transaction: Transaction,
    producer: ProducerIdentity,
    isCommit: boolean,
    isV2: boolean,
  ): Promise<Given> {
    const needsId = isV2 && transaction.isExhausted && isCurrent(transaction, producer);
    const newId = needsId ? await this.#host.broker.producerIds.next() : -1;
    const retry = isV2 && isRetry(transaction, producer);
    if (!retry && transaction.producerId !== producer.producerId) {
      return refusal(KAFKA.INVALID_PRODUCER_ID_MAPPING);
    }
    if (!retry && !isCurrent(transaction, producer)) return refusal(KAFKA.PRODUCER_FENCED);
    const { state } = transaction;
    if (state !== 'Ongoing') {
      const isDone = state === (isCommit ? 'CompleteCommit' : 'CompleteAbort');
      if (isDone && (retry || !isV2)) return answerOf(transaction);
      // With version 2 an abort without a transaction raises the epoch too.
      if (!isV2 || isCommit || retry) return refusal(KAFKA.INVALID_TXN_STATE);
    }
    if (isV2) this.#raise(transaction, newId);
    if (!(await this.#settle(transaction, isCommit))) {
      return refusal(KAFKA.COORDINATOR_NOT_AVAILABLE);
    }
    return answerOf(transaction);
  }

  /** The next transaction of the producer has another epoch, the markers of this one too. */
  #raise(transaction: Transaction, newId: number): void {
    transaction.lastProducerId = transaction.producerId;
    transaction.lastEpoch = transaction.epoch;
    transaction.epoch++;
    transaction.nextProducerId = newId;
  }

  /** Aborts what is open, in an epoch that nobody has. */
  #fence(transaction: Transaction): Promise<boolean> {
    transaction.lastEpoch = -1;
    if (transaction.epoch < EPOCH_MAX) transaction.epoch++;
    return this.#settle(transaction, false);
  }

  async #settle(transaction: Transaction, isCommit: boolean): Promise<boolean> {
    transaction.timer?.cancel();
    transaction.timer = null;
    transaction.state = isCommit ? 'PrepareCommit' : 'PrepareAbort';
    this.#changed(transaction);
    // The decision is on disk before the first marker is.
    if (!(await this.#ending.decided(transaction))) return false;
    return this.#ending.complete(transaction);
  }

  #begin(transaction: Transaction): void {
    if (transaction.state === 'Ongoing') return;
    transaction.state = 'Ongoing';
    transaction.startedMs = this.#host.clock.nowMs();
    this.#changed(transaction);
    this.#watch(transaction);
  }

  #take(transaction: Transaction, partition: Partition): void {
    if (transaction.partitions.has(partition)) return;
    transaction.partitions.add(partition);
    this.#store.addPartition(transaction, partition);
  }

  #groupFault(
    transaction: Transaction | undefined,
    producer: ProducerIdentity,
    group: string,
  ): number {
    const fault = producerFault(transaction, producer);
    if (fault !== KAFKA.NONE) return fault;
    const takesPart = transaction!.state === 'Ongoing' && transaction!.groups.has(group);
    return takesPart ? KAFKA.NONE : KAFKA.TRANSACTION_ABORTABLE;
  }

  #changed(transaction: Transaction): void {
    transaction.updatedMs = this.#host.clock.nowMs();
    this.#all.delete(transaction.id);
    this.#all.set(transaction.id, transaction);
    this.#store.save(transaction);
    this.#armExpiry();
  }

  /** Aborts it at its time. */
  #watch(transaction: Transaction): void {
    const { clock, timers } = this.#host;
    const endsMs = transaction.startedMs + transaction.timeoutMs;
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, endsMs - clock.nowMs()));
    transaction.timer?.cancel();
    transaction.timer = timers.after(delayMs, () => {
      transaction.timer = null;
      const { startedMs } = transaction;
      const abort = async (owned: Transaction): Promise<void> => {
        if (owned.state !== 'Ongoing' || owned.startedMs !== startedMs) return;
        const { id, producerId, epoch } = owned;
        this.#host.log.info('a transaction is aborted at its time', { id, producerId, epoch });
        await this.#fence(owned);
      };
      void this.#exclusive(transaction, abort);
    });
  }

  #reopen(transaction: Transaction): void {
    for (const [group, offsets] of transaction.groups) {
      for (const entry of offsets.values()) this.pending.add(transaction, group, entry);
    }
    if (transaction.state === 'Ongoing') this.#watch(transaction);
    if (!transaction.isPrepared) return;
    void this.#exclusive(transaction, (owned) => this.#ending.complete(owned));
  }

  /** One timer for the transactional id that was used longest ago (KIP-98, KIP-588). */
  #armExpiry(): void {
    if (this.#expiry !== null || this.#closed) return;
    const [oldest] = this.#all.values();
    if (oldest === undefined) return;
    const dueMs = oldest.updatedMs + this.#options.transactionalIdExpiration;
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(1, dueMs - this.#host.clock.nowMs()));
    this.#expiry = this.#host.timers.after(delayMs, () => {
      this.#expiry = null;
      this.#expire();
      this.#armExpiry();
    });
  }

  #expire(): void {
    const nowMs = this.#host.clock.nowMs();
    for (const transaction of [...this.#all.values()]) {
      if (transaction.updatedMs + this.#options.transactionalIdExpiration > nowMs) return;
      const isIdle = transaction.state !== 'Ongoing' && !transaction.isPrepared;
      if (isIdle) {
        this.#all.delete(transaction.id);
        this.#store.forget(transaction);
      } else this.#changed(transaction);
    }
  }

  /** Runs what decides about a transaction when whoever did before is done. */
  async #exclusive<T>(
    transaction: Transaction,
    decide: (owned: Transaction) => Promise<T>,
  ): Promise<T> {
    const before = transaction.turn;
    let done: () => void = () => {};
    transaction.turn = new Promise((resolve) => {
      done = resolve;
    });
    await before;
    try {
      return await decide(transaction);
    } finally {
      done();
    }
  }
}

function producerFault(transaction: Transaction | undefined, producer: ProducerIdentity): number {
  if (transaction === undefined || transaction.producerId !== producer.producerId) {
    return KAFKA.INVALID_PRODUCER_ID_MAPPING;
  }
  if (transaction.epoch !== producer.producerEpoch) return KAFKA.PRODUCER_FENCED;
  return transaction.isPrepared ? KAFKA.CONCURRENT_TRANSACTIONS : KAFKA.NONE;
}

function isCurrent(transaction: Transaction, producer: ProducerIdentity): boolean {
  return (
    transaction.producerId === producer.producerId && transaction.epoch === producer.producerEpoch
  );
}

/** The end of version 2 that was answered already: the epoch was raised by it. */
function isRetry(
  transaction: Transaction,
  { producerId, producerEpoch }: ProducerIdentity,
): boolean {
  return (
    transaction.lastProducerId === producerId &&
    transaction.lastEpoch === producerEpoch &&
    transaction.lastEpoch >= 0 &&
    transaction.state !== 'Empty' &&
    transaction.state !== 'Ongoing'
  );
}

/** Its epochs are used up, and it may not know yet. */
function isRetired(
  transaction: Transaction,
  { producerId, producerEpoch }: ProducerIdentity,
): boolean {
  return transaction.lastProducerId === producerId && producerEpoch >= EPOCH_MAX - 1;
}

function answerOf({ producerId, epoch }: Transaction): Given {
  return { errorCode: KAFKA.NONE, producerId, producerEpoch: epoch };
}

function refusal(errorCode: number): Given {
  return { errorCode, ...NOBODY };
}
