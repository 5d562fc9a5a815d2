/**
 * Delivers what was stored behind an open transaction: other protocols get nothing past the stable
 * end of a partition, and then all of it in the order of the log. From the first open transaction
 * on, what comes is only stored; when the stable end moves, it is read from the log and handed out
 * here, until everything is and messages go their direct way again.
 *
 * How far that is, is a row of state from a marker on until nothing is left: it commits with the
 * references that the deliveries made, so a crash neither loses nor doubles them.
 */
import { BrokerError, type Log, type Timer, type Timers } from '#kit';
import type { Message } from '../records/message.ts';
import type { StateTable } from '../state/state-table.ts';
import type { Follower, Partition, Run } from './partition.ts';
import { PartitionTransactions } from './partition-transactions.ts';
import type { Streams } from './streams.ts';

const KIND = 'transaction.delivered';
const READ_BYTES = 256 << 10;
/** Reads from memory before others get their turn. */
const READS_PER_TURN = 4;
/** What cannot be read now, and is not lost, is tried again after this. */
const AGAIN_MS = 5_000;

export interface LateHost {
  readonly state: StateTable;
  readonly streams: Streams;
  readonly log: Log;
  readonly timers: Timers;
  readonly busy: () => boolean;
  readonly onRoom: (call: () => void) => void;
  /** Nobody takes batches of producers from this partition. */
  readonly isUnwatched: (partition: Partition) => boolean;
  /**
   * Routes and delivers messages of a partition that are stable.
   * @returns those who store what they note of them in a commit of their own
   */
  readonly deliver: (messages: readonly Message[], partition: Partition) => readonly Follower[];
}

export class LateDeliveries {
  readonly #host: LateHost;
  #waiting: Partition[] | null = [];
  /** Partitions that cannot be read now. What comes to them meanwhile waits behind. */
  readonly #unread = new Set<Partition>();
  #again: Timer | null = null;
  #closed = false;

  constructor(host: LateHost) {
    this.#host = host;
  }

  /** A transaction begins: from here on nothing is delivered at once. */
  begin(partition: Partition, offset: number): PartitionTransactions {
    if (partition.transactions !== null) return partition.transactions;
    const transactions = new PartitionTransactions(offset);
    partition.transactions = transactions;
    transactions.untail = partition.tail(() => this.advance(partition));
    this.#waiting?.push(partition);
    return transactions;
  }

  /** After a start: places that were stored. Nothing is delivered before `start`. */
  restore(): void {
    const { state, streams } = this.#host;
    for (const [key, value] of [...state.scan(KIND)]) {
      const [id, index] = JSON.parse(key) as [string, number];
      const partition = streams.byId(id)?.partitions[index];
      if (partition === undefined) continue;
      const delivered = Number(value.toString());
      const transactions = this.begin(partition, delivered);
      transactions.delivered = Math.min(delivered, transactions.delivered);
      transactions.saved = true;
    }
    for (const partition of this.#waiting ?? []) partition.transactions!.mixed = true;
  }

  /** Those who take messages are there again. */
  start(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const partition of waiting) this.advance(partition);
  }

  /** Stores how far it is, with the marker that lets more be delivered. */
  save(partition: Partition): void {
    const { transactions } = partition;
    if (transactions === null || this.#skips(partition, transactions)) return;
    this.#put(partition, transactions);
  }

  /** Something was stored behind a transaction, which may have its marker already. */
  stored(partition: Partition): void {
    const { saved, isCovered } = partition.transactions!;
    if (!saved && !isCovered) this.save(partition);
  }

  /** The stable end may have moved. */
  advance(partition: Partition): void {
    const { transactions } = partition;
    if (this.#waiting !== null || transactions === null || transactions.reading) return;
    for (let reads = 0; partition.transactions === transactions; reads++) {
      const stable = partition.stableOffset;
      if (transactions.delivered >= stable) break;
      if (this.#skips(partition, transactions)) {
        transactions.delivered = stable;
        break;
      }
      if (this.#host.busy()) {
        transactions.reading = true;
        this.#host.onRoom(() => this.#goOn(partition, transactions));
        return;
      }
      if (reads === READS_PER_TURN) {
        transactions.reading = true;
        this.#host.timers.soon(() => this.#goOn(partition, transactions));
        return;
      }
      if (!this.#read(partition, transactions)) return;
    }
    this.#finish(partition, transactions);
  }

  /** What could not be read is tried again: an object store may be back. */
  readAgain(): void {
    if (this.#closed) return;
    this.#again?.cancel();
    this.#again = null;
    const unread = [...this.#unread];
    this.#unread.clear();
    for (const partition of unread) {
      if (partition.transactions !== null) this.#goOn(partition, partition.transactions);
    }
  }

  close(): void {
    this.#closed = true;
    this.#again?.cancel();
  }

  forget(partition: Partition): void {
    const { transactions } = partition;
    if (transactions === null) return;
    this.#unread.delete(partition);
    transactions.untail?.();
    if (transactions.saved) this.#delete(partition);
    partition.transactions = null;
  }

  #skips(partition: Partition, { mixed }: PartitionTransactions): boolean {
    return !mixed && this.#host.isUnwatched(partition);
  }

  #goOn(partition: Partition, transactions: PartitionTransactions): void {
    transactions.reading = false;
    if (partition.transactions === transactions) this.advance(partition);
  }

  /** @returns false when it goes on later */
  #read(partition: Partition, transactions: PartitionTransactions): boolean {
    const from = Math.max(transactions.delivered, partition.startOffset);
    try {
      const run = partition.readRun(from, READ_BYTES);
      if (!(run instanceof Promise)) return this.#take(partition, transactions, run);
      transactions.reading = true;
      run.then(
        (read) => {
          if (partition.transactions !== transactions) return;
          if (this.#take(partition, transactions, read)) this.#goOn(partition, transactions);
        },
        (error: unknown) => {
          if (partition.transactions !== transactions) return;
          if (this.#failed(partition, transactions, error)) this.#goOn(partition, transactions);
        },
      );
      return false;
    } catch (error) {
      return this.#failed(partition, transactions, error);
    }
  }

  /** @returns false when it goes on later: what others note must be on disk before the place is */
  #take(partition: Partition, transactions: PartitionTransactions, run: Run): boolean {
    const apart = this.#host.deliver(run.messages, partition);
    let waiting = apart.length;
    if (waiting === 0) {
      this.#passed(partition, transactions, run.next);
      return true;
    }
    transactions.reading = true;
    let isLost = false;
    const stored = (error: BrokerError | null): void => {
      waiting--;
      isLost ||= error !== null;
      // The disk of its owner has failed: the place stays, and the next start delivers it again.
      if (waiting > 0 || isLost || partition.transactions !== transactions) return;
      this.#passed(partition, transactions, run.next);
      // Not in the middle of the commit that tells.
      this.#host.timers.soon(() => this.#goOn(partition, transactions));
    };
    for (const follower of apart) follower.stored!(partition, run.next, stored);
    return false;
  }

  #passed(partition: Partition, transactions: PartitionTransactions, next: number): void {
    transactions.delivered = Math.max(transactions.delivered, next);
    if (transactions.saved) this.#put(partition, transactions);
  }

  /**
   * What is damaged or trimmed does not exist any more and is passed over, which is said. All else
   * may be over later: an object store that is away, a disk that cannot read now.
   * @returns true when there is something to read behind it
   */
  #failed(partition: Partition, transactions: PartitionTransactions, error: unknown): boolean {
    if (!(error instanceof BrokerError)) throw error;
    if (this.#closed) return false;
    const { log } = this.#host;
    const from = transactions.delivered;
    const fields = { stream: partition.stream.name, partition: partition.index, from };
    const to = endOfGone(partition, error);
    if (to > from) {
      transactions.delivered = to;
      log.warn('messages behind a transaction are gone', { ...fields, to, reason: error.message });
      return true;
    }
    if (transactions.unreadFrom !== from) {
      log.warn('messages behind a transaction wait: they cannot be read now', {
        ...fields,
        reason: error.message,
      });
    }
    transactions.unreadFrom = from;
    transactions.reading = true;
    this.#unread.add(partition);
    this.#again ??= this.#host.timers.after(AGAIN_MS, () => this.readAgain());
    return false;
  }

  /** Everything is delivered: messages go their direct way again. */
  #finish(partition: Partition, transactions: PartitionTransactions): void {
    if (partition.transactions !== transactions) return;
    if (transactions.delivered < partition.stableOffset) return;
    const isOpen = transactions.firstOpen !== Number.POSITIVE_INFINITY;
    const isEnd = !isOpen && this.#isAtEnd(partition, transactions);
    if (!isEnd && !transactions.isCovered) return;
    if (transactions.saved) this.#delete(partition);
    transactions.saved = false;
    if (isEnd) this.forget(partition);
  }

  #isAtEnd(partition: Partition, transactions: PartitionTransactions): boolean {
    if (transactions.delivered === partition.endOffset) return true;
    return this.#skips(partition, transactions);
  }

  #put(partition: Partition, transactions: PartitionTransactions): void {
    const { stream, index } = partition;
    const value = Buffer.from(String(transactions.delivered));
    this.#host.state.put(KIND, JSON.stringify([stream.id, index]), value, stream.name);
    transactions.saved = true;
  }

  #delete({ stream, index }: Partition): void {
    this.#host.state.delete(KIND, JSON.stringify([stream.id, index]), stream.name);
  }
}

/** The offset before which nothing can ever be read, as the error tells; 0 when it does not. */
function endOfGone(partition: Partition, { code, details }: BrokerError): number {
  if (code === 'damaged') return Number(details['to']);
  return code === 'offset-out-of-range' ? partition.startOffset : 0;
}
