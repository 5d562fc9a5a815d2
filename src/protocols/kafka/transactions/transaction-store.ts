/**
 * Transactional ids on disk: rows of hot state. One row says who and in which state; what takes
 * part in an open transaction is a row each, so that a large one is not written again with every
 * part. They commit with what is appended in the same stretch.
 */
import type { Broker, CommittedOffset, Partition, StateTable } from '#broker';
import type { BrokerError, Log } from '#kit';
import { STATES, Transaction } from './transaction.ts';

const KIND = 'kafka.transaction';
const PART_KIND = 'kafka.transaction.part';
const OFFSET_KIND = 'kafka.transaction.offset';

type Part = readonly [id: string, stream: string | null, indexOrGroup: number | string];
type Place = readonly [id: string, group: string, stream: string, partition: number];

export class TransactionStore {
  readonly #broker: Broker;
  readonly #state: StateTable;
  readonly #log: Log;

  constructor(broker: Broker, log: Log) {
    this.#broker = broker;
    this.#state = broker.state;
    this.#log = log;
  }

  /** All that are stored, as of the start. */
  load(): Map<string, Transaction> {
    const all = new Map<string, Transaction>();
    for (const [id, value] of this.#state.scan(KIND)) {
      const transaction = new Transaction(id);
      read(transaction, value);
      all.set(id, transaction);
    }
    for (const [key] of this.#state.scan(PART_KIND)) {
      const [id, stream, index] = JSON.parse(key) as Part;
      const transaction = all.get(id);
      if (transaction === undefined) continue;
      if (stream === null) transaction.groups.set(String(index), new Map());
      else {
        const partition = this.#broker.streams.byId(stream)?.partitions[Number(index)];
        if (partition !== undefined) transaction.partitions.add(partition);
      }
    }
    for (const [key, value] of this.#state.scan(OFFSET_KIND)) {
      const [id, group, stream, partition] = JSON.parse(key) as Place;
      const offsets = all.get(id)?.groups.get(group);
      const [offset, epoch, metadata, timeMs] = JSON.parse(value.toString()) as [
        ...[offset: number, epoch: number, metadata: string, timeMs: number],
      ];
      const entry = { stream, partition, offset, epoch, metadata, timeMs };
      offsets?.set(`${stream}\0${partition}`, entry);
    }
    return all;
  }

  save(transaction: Transaction): void {
    this.#state.put(KIND, transaction.id, write(transaction));
  }

  addPartition({ id }: Transaction, { stream, index }: Partition): void {
    this.#putPart(id, [id, stream.id, index]);
  }

  addGroup({ id }: Transaction, group: string): void {
    this.#putPart(id, [id, null, group]);
  }

  addOffset({ id }: Transaction, group: string, entry: CommittedOffset): void {
    const { stream, partition, offset, epoch, metadata, timeMs } = entry;
    const value = Buffer.from(JSON.stringify([offset, epoch, metadata, timeMs]));
    this.#state.put(OFFSET_KIND, placeOf(id, group, stream, partition), value, id);
  }

  /** What took part is settled. */
  clearParts({ id, partitions, groups }: Transaction): void {
    for (const { stream, index } of partitions) this.#removePart(id, [id, stream.id, index]);
    for (const [group, offsets] of groups) {
      this.#removePart(id, [id, null, group]);
      for (const { stream, partition } of offsets.values()) {
        this.#state.delete(OFFSET_KIND, placeOf(id, group, stream, partition), id);
      }
    }
  }

  forget(transaction: Transaction): void {
    this.clearParts(transaction);
    this.#state.delete(KIND, transaction.id);
  }

  /** Resolves with null when everything saved so far is on disk, or why it is not. */
  outcome(): Promise<BrokerError | null> {
    return new Promise((resolve) =>
      this.#state.committed((error) => {
        if (error !== null) this.#log.warn('transactions are not stored', { reason: error.code });
        resolve(error);
      }),
    );
  }

  #putPart(id: string, part: Part): void {
    this.#state.put(PART_KIND, JSON.stringify(part), Buffer.alloc(0), id);
  }

  #removePart(id: string, part: Part): void {
    this.#state.delete(PART_KIND, JSON.stringify(part), id);
  }
}

function placeOf(...place: Place): string {
  return JSON.stringify(place);
}

function write(of: Transaction): Buffer {
  const numbers = [of.producerId, of.epoch, of.lastProducerId, of.lastEpoch, of.timeoutMs];
  const state = STATES.indexOf(of.state);
  return Buffer.from(
    JSON.stringify([...numbers, state, of.startedMs, of.updatedMs, of.nextProducerId]),
  );
}

function read(into: Transaction, value: Buffer): void {
  const numbers = JSON.parse(value.toString()) as number[];
  const [producerId, epoch, lastProducerId, lastEpoch, timeoutMs] = numbers;
  const [state, startedMs, updatedMs, nextProducerId] = numbers.slice(5);
  Object.assign(into, {
    ...{ producerId, epoch, lastProducerId, lastEpoch, timeoutMs, state: STATES[state!] },
    ...{ startedMs, updatedMs, nextProducerId },
  });
}
