/**
 * The log of the last values and the table that follows it. The log is the truth: every value and
 * every end of one is a record there, under its address as key. The table has the newest value of
 * each address in the order of the addresses, from the moment of the append; what fails is taken
 * back. After a start the table replays the log from where its last checkpoint ends.
 */
import { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import type { Partition, PublishSink } from '../streams/partition.ts';
import type { Earlier } from './cold-kind.ts';
import { measuredKind } from './state-store.ts';
import type { CarrierLog, StateTable } from './state-table.ts';

export const KIND = measuredKind('last');
const REPLAY_BYTES = 1 << 20;

type Done = (error: BrokerError | null) => void;

/** A change whose record is not on disk yet. */
interface Pending extends Earlier {
  readonly key: string;
  done: Done[] | null;
}

export class LastValuesJournal implements PublishSink, CarrierLog {
  readonly partition: Partition;
  readonly name: string;
  readonly #state: StateTable;
  readonly #undone: (key: string) => void;
  /** By offset, in order. */
  readonly #pending = new Map<number, Pending>();
  /** While it replays: what the table has. */
  #replayedTo = Number.POSITIVE_INFINITY;

  /** @param undone the value of a key is an earlier one again */
  constructor(partition: Partition, state: StateTable, undone: (key: string) => void) {
    this.partition = partition;
    this.name = `log/${partition.log.id}`;
    this.#state = state;
    this.#undone = undone;
  }

  get settledOffset(): number {
    for (const offset of this.#pending.keys()) return offset;
    return Math.min(this.#replayedTo, this.partition.highWatermark);
  }

  /** Appends a record and sets its row. @returns its offset */
  append(message: Message, key: string, row: Buffer | null): number {
    const offset = this.partition.endOffset;
    this.follow(offset, key, row);
    this.partition.add(message, null, this, offset);
    if (this.partition.full) this.partition.seal();
    return offset;
  }

  /** Sets the row of a record that has its offset: `published` tells of its fate. */
  follow(offset: number, key: string, row: Buffer | null): void {
    // A row is a batch of one record, with its offset where batches have theirs.
    row?.writeBigInt64BE(BigInt(offset), 0);
    const number = this.#state.follow(KIND, key, row);
    this.#pending.set(offset, { key, value: row, number, done: null });
  }

  published(offset: number, error: BrokerError | null): void {
    const change = this.#pending.get(offset);
    if (change === undefined) return;
    this.#pending.delete(offset);
    const { key, value, number, done } = change;
    const state = this.#state;
    if (error === null) state.carried(KIND, key, value, number);
    else {
      state.undo(KIND, key, number, this.#earlier(offset, key));
      this.#undone(key);
    }
    if (done !== null) for (const call of done) call(error);
  }

  /** Calls when the record at `offset` is on disk, or failed: at once when that is known. */
  settled(offset: number, done: Done): void {
    const change = this.#pending.get(offset);
    if (change === undefined) done(null);
    else if (change.done === null) change.done = [done];
    else change.done.push(done);
  }

  /** Brings the table up to what the log has. @param take gives the row of a message */
  async replay(take: (message: Message) => [string, Buffer | null]): Promise<void> {
    const { partition } = this;
    const state = this.#state;
    this.#replayedTo = partition.startOffset;
    let offset = Math.max(await state.carry(this), partition.startOffset);
    while (offset < partition.highWatermark) {
      this.#replayedTo = offset;
      try {
        const run = await partition.readRun(offset, REPLAY_BYTES);
        for (const message of run.messages) {
          const [key, row] = take(message);
          row?.writeBigInt64BE(BigInt(message.offset), 0);
          state.carried(KIND, key, row, state.follow(KIND, key, row));
        }
        if (run.next <= offset) break;
        offset = run.next;
      } catch (error) {
        // The engine has reported the range. What it said is lost; the rest must not be.
        if (!(error instanceof BrokerError) || error.code !== 'damaged') throw error;
        offset = Math.max(offset + 1, Number(error.details['to']));
      }
      await state.relieved();
    }
    this.#replayedTo = Number.POSITIVE_INFINITY;
    partition.forget();
  }

  /** The newest change of a key before an offset that is not on disk either. */
  #earlier(before: number, key: string): Earlier | null {
    let found: Earlier | null = null;
    for (const [offset, change] of this.#pending) {
      if (offset < before && change.key === key) found = change;
    }
    return found;
  }
}
