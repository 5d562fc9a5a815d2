/**
 * Transactions as partitions see them: a producer's batches that count only when a marker says so.
 * Who decides, and who may write in which transaction, is not known here. Open transactions are
 * rows of state that commit with their first batch; the row goes with the marker.
 */
import type { BrokerError, Clock, Timers } from '#kit';
import type { BatchFacts, LogEngine } from '#storage';
import { MARKER_ATTRIBUTES, type Marker, markerBatch } from '../records/control-batch.ts';
import { originOf } from '../records/origin.ts';
import type { StateTable } from '../state/state-table.ts';
import { type AbortedTransaction, AbortedTransactions } from './aborted-transactions.ts';
import type { LateDeliveries } from './late-deliveries.ts';
import { type Partition, Touched } from './partition.ts';
import type { OpenTransaction } from './partition-transactions.ts';
import type { Stream } from './stream.ts';
import type { Streams } from './streams.ts';

const KIND = 'transaction.open';
const ORIGIN = originOf('server');

export interface TransactionsParts {
  readonly engine: LogEngine;
  readonly state: StateTable;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly late: LateDeliveries;
}

export class Transactions {
  readonly #parts: TransactionsParts;
  readonly #aborted: AbortedTransactions;

  constructor(parts: TransactionsParts) {
    this.#parts = parts;
    this.#aborted = new AbortedTransactions(parts.state);
    this.#restore();
    parts.streams.watch((event, stream) => {
      if (event === 'removed') this.#forget(stream);
    });
  }

  /** Those of a partition that have no marker yet. */
  openIn(partition: Partition): Iterable<OpenTransaction> {
    return partition.transactions?.list() ?? [];
  }

  find(partition: Partition, producerId: number): OpenTransaction | undefined {
    return partition.transactions?.find(producerId);
  }

  /** A batch of a transaction was appended just now. */
  wrote(partition: Partition, facts: BatchFacts, baseOffset: number): void {
    if (this.find(partition, facts.producerId) !== undefined) return;
    const { producerId, producerEpoch } = facts;
    const sinceMs = this.#parts.clock.nowMs();
    const opened = { producerId, producerEpoch, firstOffset: baseOffset, sinceMs };
    this.#parts.late.begin(partition, baseOffset).add(opened);
    const value = Buffer.from(JSON.stringify([producerEpoch, baseOffset, sinceMs]));
    this.#parts.state.put(KIND, keyOf(partition, producerId), value, partition.stream.name);
  }

  /**
   * Ends what a producer has open in a partition. What was committed is delivered to all protocols
   * then, what was aborted to none.
   * @param done told when the marker is on disk, or why not
   * @throws BrokerError `storage-full`, `storage-failed`, `stale-producer`: nothing was done
   */
  end(partition: Partition, marker: Marker, done: (error: BrokerError | null) => void): void {
    const { engine, state, clock, late } = this.#parts;
    const { producerId, producerEpoch, isCommit } = marker;
    const { transactions, stream } = partition;
    const ended = transactions?.find(producerId);
    const timeMs = clock.nowMs();
    const facts: BatchFacts = {
      ...{ kind: 'data', count: 1, maxTimestampMs: timeMs, serverPacked: false },
      ...{ origin: ORIGIN, principal: 0, producerId, producerEpoch, baseSequence: -1 },
      attributes: MARKER_ATTRIBUTES,
    };
    const committed = (error: BrokerError | null): void => {
      if (error === null && ended !== undefined) {
        partition.transactions!.remove(ended);
        partition.stabilised();
        late.advance(partition);
      }
      done(error);
    };
    // It belongs to what was accepted: there is room for it in a busy engine.
    engine.sealing(() => {
      const bytes = markerBatch(marker, timeMs);
      const { baseOffset } = partition.appendBatch(bytes, facts, committed, new Touched());
      if (ended === undefined) return;
      transactions!.mark(producerId);
      state.delete(KIND, keyOf(partition, producerId), stream.name);
      const stableAfter = transactions!.firstBeside(ended);
      if (!isCommit) this.#aborted.add(partition, ended, baseOffset, stableAfter);
      late.save(partition);
    });
  }

  isAborted(partition: Partition, producerId: number, offset: number): boolean {
    return this.#aborted.has(partition, producerId, offset);
  }

  /** What `read_committed` readers of Kafka are told with a range of offsets. */
  abortedBetween(partition: Partition, from: number, before: number): AbortedTransaction[] {
    return this.#aborted.between(partition, from, before);
  }

  /** The object store answers again: what could not be delivered for want of it is tried again. */
  readAgain(): void {
    this.#parts.late.readAgain();
  }

  close(): void {
    this.#parts.late.close();
  }

  #restore(): void {
    const { state, late } = this.#parts;
    const open: { partition: Partition; transaction: OpenTransaction }[] = [];
    const stale: [key: string, slotName: string][] = [];
    for (const [key, value] of state.scan(KIND)) {
      const [id, index, producerId] = JSON.parse(key) as [string, number, number];
      const [producerEpoch, firstOffset, sinceMs] = JSON.parse(value.toString()) as number[];
      const partition = this.#parts.streams.byId(id)?.partitions[index];
      // A stream in memory begins anew.
      if (partition === undefined || partition.endOffset <= firstOffset!) {
        stale.push([key, partition?.stream.name ?? key]);
        continue;
      }
      const transaction = {
        ...{ producerId, producerEpoch: producerEpoch!, firstOffset: firstOffset! },
        sinceMs: sinceMs!,
      };
      open.push({ partition, transaction });
    }
    open.sort((a, b) => a.transaction.firstOffset - b.transaction.firstOffset);
    for (const { partition, transaction } of open) {
      late.begin(partition, transaction.firstOffset).add(transaction);
    }
    for (const [key, slotName] of stale) state.delete(KIND, key, slotName);
    if (this.#aborted.any) {
      for (const stream of this.#parts.streams.list()) {
        if (stream.settings.durability === 'memory') this.#sweep(stream);
      }
    }
    late.restore();
  }

  #forget(stream: Stream): void {
    const { state, late } = this.#parts;
    for (const partition of stream.partitions) {
      for (const { producerId } of this.openIn(partition)) {
        state.delete(KIND, keyOf(partition, producerId), stream.name);
      }
      late.forget(partition);
    }
    this.#sweep(stream);
  }

  #sweep(stream: Stream): void {
    if (!this.#aborted.forget(stream)) this.#parts.timers.soon(() => this.#sweep(stream));
  }
}

function keyOf({ stream, index }: Partition, producerId: number): string {
  return JSON.stringify([stream.id, index, producerId]);
}
