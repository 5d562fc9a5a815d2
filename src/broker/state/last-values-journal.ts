/**
 * The log of the last values and the rows that follow it. The log is the truth: every value and
 * every end of one is a record there, under its address as key. The rows have the newest value of
 * each address from the moment of the append; what fails is taken back. After a start they follow
 * the log from where they end.
 */
import { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import type { Partition, PublishSink } from '../streams/partition.ts';
import type { LastValueRows } from './last-value-rows.ts';

const REPLAY_BYTES = 1 << 20;

export class LastValuesJournal implements PublishSink {
  readonly partition: Partition;
  readonly #rows: LastValueRows;

  constructor(partition: Partition, rows: LastValueRows) {
    this.partition = partition;
    this.#rows = rows;
  }

  /** Appends a record and sets its row. @returns its offset */
  append(message: Message, key: string, row: Buffer | null): number {
    const { partition } = this;
    // Not behind the append: the log may refuse, and nobody asks for this one's fate yet.
    if (partition.full) partition.seal();
    const offset = partition.endOffset;
    this.#rows.set(offset, key, row);
    partition.add(message, null, this, offset);
    return offset;
  }

  published(offset: number, error: BrokerError | null): void {
    if (error === null) this.#rows.committed(offset);
    else this.#rows.failed(offset, error);
  }

  /** Brings the rows up to what the log has. @param take gives the row of a message */
  async replay(from: number, take: (message: Message) => [string, Buffer | null]): Promise<void> {
    const { partition } = this;
    const rows = this.#rows;
    let offset = Math.max(from, partition.startOffset);
    while (offset < partition.highWatermark) {
      try {
        const run = await partition.readRun(offset, REPLAY_BYTES);
        for (const message of run.messages) {
          const [key, row] = take(message);
          rows.set(message.offset, key, row);
          rows.committed(message.offset);
        }
        if (run.next <= offset) break;
        offset = run.next;
      } catch (error) {
        // The engine has reported the range. What it said is lost; the rest must not be.
        if (!(error instanceof BrokerError) || error.code !== 'damaged') throw error;
        offset = Math.max(offset + 1, Number(error.details['to']));
      }
      await rows.relieved();
    }
    partition.forget();
  }
}
