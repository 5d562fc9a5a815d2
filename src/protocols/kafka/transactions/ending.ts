/**
 * The end of a transaction: what was decided is on disk first; then markers go to all partitions
 * that it wrote to, and its offsets become those of their groups. Begun again after a restart, each
 * marker is written once: a partition without an open transaction of the producer has its own.
 */
import type { Broker, CommittedOffset, Partition } from '#broker';
import { BrokerError, type Log } from '#kit';
import type { Transaction } from './transaction.ts';
import type { TransactionStore } from './transaction-store.ts';

const COORDINATOR_EPOCH = 0;

export interface EndingHost {
  readonly broker: Broker;
  readonly store: TransactionStore;
  readonly log: Log;
  nowMs(): number;
  commitOffsets(
    group: string,
    entries: CommittedOffset[],
    done: (error: BrokerError | null) => void,
  ): void;
  /** Its offsets are not pending any more. */
  settled(transaction: Transaction): void;
}

export class Ending {
  readonly #host: EndingHost;

  constructor(host: EndingHost) {
    this.#host = host;
  }

  /** Waits until a decision is on disk, for room as well. False when it never will be. */
  async decided(transaction: Transaction): Promise<boolean> {
    const { store } = this.#host;
    while (true) {
      const failure = await store.outcome();
      if (failure === null) return true;
      if (!(await this.#room(failure))) return false;
      // What was refused is kept, and goes with what is new.
      store.save(transaction);
    }
  }

  /** Does what a prepared transaction needs. False when the store takes nothing any more. */
  async complete(transaction: Transaction): Promise<boolean> {
    const isCommit = transaction.state === 'PrepareCommit';
    if (!(await this.#mark(transaction, isCommit))) return false;
    if (isCommit && !(await this.#commitOffsets(transaction))) return false;
    const { store } = this.#host;
    store.clearParts(transaction);
    transaction.partitions.clear();
    this.#host.settled(transaction);
    transaction.groups.clear();
    transaction.state = isCommit ? 'CompleteCommit' : 'CompleteAbort';
    transaction.updatedMs = this.#host.nowMs();
    if (transaction.nextProducerId >= 0) {
      transaction.producerId = transaction.nextProducerId;
      transaction.nextProducerId = -1;
      transaction.epoch = 0;
    }
    // Whether this is on disk may stay open: after a crash the same is done again, to the same end.
    store.save(transaction);
    return true;
  }

  async #mark(transaction: Transaction, isCommit: boolean): Promise<boolean> {
    while (true) {
      const markers: Promise<BrokerError | null>[] = [];
      let refusal: BrokerError | null = null;
      for (const partition of transaction.partitions) {
        try {
          const marker = this.#append(transaction, partition, isCommit);
          if (marker !== null) markers.push(marker);
        } catch (error) {
          if (!(error instanceof BrokerError)) throw error;
          refusal = error;
          break;
        }
      }
      const failures = (await Promise.all(markers)).filter((error) => error !== null);
      refusal = failures[0] ?? refusal;
      if (refusal === null) return true;
      if (!(await this.#room(refusal))) return false;
    }
  }

  /** Null when there is nothing to mark (any more). */
  #append(
    { producerId, epoch, id }: Transaction,
    partition: Partition,
    isCommit: boolean,
  ): Promise<BrokerError | null> | null {
    const { broker, log } = this.#host;
    const isThere = broker.streams.byId(partition.stream.id) !== undefined;
    if (!isThere || broker.transactions.find(partition, producerId) === undefined) return null;
    const coordinatorEpoch = COORDINATOR_EPOCH;
    const marker = { producerId, producerEpoch: epoch, isCommit, coordinatorEpoch };
    let told: (error: BrokerError | null) => void = () => {};
    const done = new Promise<BrokerError | null>((resolve) => {
      told = resolve;
    });
    try {
      broker.transactions.end(partition, marker, told);
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'stale-producer') throw error;
      // Somebody ended it by hand, with a higher epoch.
      log.warn('a marker is refused', { transaction: id, reason: error.message });
      return null;
    }
    return done;
  }

  async #commitOffsets({ groups }: Transaction): Promise<boolean> {
    const { streams } = this.#host.broker;
    for (const [group, offsets] of groups) {
      const all = [...offsets.values()];
      // A topic of that name that comes later must not inherit positions.
      const entries = all.filter(({ stream }) => streams.get(stream) !== undefined);
      if (entries.length === 0) continue;
      while (true) {
        const failure = await new Promise<BrokerError | null>((done) =>
          this.#host.commitOffsets(group, entries, done),
        );
        if (failure === null) break;
        if (!(await this.#room(failure))) return false;
      }
    }
    return true;
  }

  /** Waits for room after a refusal. False when there will be none. */
  #room({ code }: BrokerError): Promise<boolean> {
    const { broker } = this.#host;
    if (code === 'busy') return new Promise((resolve) => broker.onRoom(() => resolve(true)));
    if (code !== 'storage-full') return Promise.resolve(false);
    if (broker.health === 'ok') return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = broker.onHealth((health) => {
        if (health === 'full') return;
        end();
        resolve(health === 'ok');
      });
    });
  }
}
