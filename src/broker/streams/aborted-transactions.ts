/**
 * Which transactions of which partitions were aborted: a row of cold state each, until the log
 * begins behind it. Ordered by the offset of their marker; each says where the stable end of the
 * partition was after it, which tells a search when to stop.
 */
import { coldKind } from '../state/state-store.ts';
import type { StateTable } from '../state/state-table.ts';
import type { Partition } from './partition.ts';
import type { Stream } from './stream.ts';

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

interface Row extends AbortedTransaction {
  readonly key: string;
  readonly markerOffset: number;
  /** No transaction that was aborted later begins before it. */
  readonly stableAfter: number;
}

const KIND = coldKind('transaction.aborted');
const PAGE_ROWS = 100;
/** Rows behind the start of the log that one new row takes with it. */
const SWEEP_ROWS = 8;
const OFFSET_DIGITS = 16;
const INDEX_DIGITS = 5;
const ROW_BYTES = 24;

export class AbortedTransactions {
  readonly #state: StateTable;
  /** No marker of an aborted transaction lies at or behind this offset. */
  readonly #noneFrom = new WeakMap<Partition, number>();

  constructor(state: StateTable) {
    this.#state = state;
  }

  get any(): boolean {
    return this.#state.count(KIND) > 0;
  }

  /** To be called in the stretch that appends the marker. */
  add(
    partition: Partition,
    aborted: AbortedTransaction,
    markerOffset: number,
    stableAfter: number,
  ): void {
    const value = Buffer.alloc(ROW_BYTES);
    value.writeDoubleBE(aborted.producerId, 0);
    value.writeDoubleBE(aborted.firstOffset, 8);
    value.writeDoubleBE(Math.min(stableAfter, markerOffset + 1), 16);
    const { name } = partition.stream;
    this.#state.put(KIND, keyOf(partition, markerOffset), value, name, 'new');
    const none = this.#noneFrom.get(partition);
    if (none !== undefined) this.#noneFrom.set(partition, Math.max(none, markerOffset + 1));
    const span = { from: keyOf(partition, 0), before: keyOf(partition, partition.startOffset) };
    for (const key of this.#state.keys(KIND, { ...span, rowsMax: SWEEP_ROWS })) {
      this.#state.delete(KIND, key, name, 'there');
    }
  }

  /** True when what this producer wrote there, in a transaction that has ended, was aborted. */
  has(partition: Partition, producerId: number, offset: number): boolean {
    for (const row of this.#from(partition, offset)) {
      if (row.producerId === producerId) return row.firstOffset <= offset;
      if (row.stableAfter > offset) return false;
    }
    return false;
  }

  /** Those with records in a range of offsets, in the order of their markers. */
  between(partition: Partition, from: number, before: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = [];
    for (const { producerId, firstOffset, stableAfter } of this.#from(partition, from)) {
      if (firstOffset < before) found.push({ producerId, firstOffset });
      if (stableAfter >= before) break;
    }
    return found;
  }

  /** The stream is gone. @returns false when there is more to forget */
  forget(stream: Stream): boolean {
    const span = { from: `${stream.id}/`, before: `${stream.id}0` };
    const keys = this.#state.keys(KIND, { ...span, rowsMax: PAGE_ROWS });
    for (const key of keys) this.#state.delete(KIND, key, stream.name, 'there');
    return keys.length < PAGE_ROWS;
  }

  *#from(partition: Partition, offset: number): Generator<Row> {
    const none = this.#noneFrom.get(partition) ?? Number.POSITIVE_INFINITY;
    if (offset >= none) return;
    const before = keyOf(partition, 10 ** OFFSET_DIGITS - 1);
    let from = keyOf(partition, offset);
    let any = false;
    while (true) {
      const rows = this.#state.range(KIND, { from, before, rowsMax: PAGE_ROWS });
      for (const { key, value } of rows) {
        any = true;
        yield rowOf(key, value);
      }
      if (rows.length < PAGE_ROWS) break;
      from = `${rows[rows.length - 1]!.key}\0`;
    }
    if (!any) this.#noneFrom.set(partition, Math.min(none, offset));
  }
}

function keyOf({ stream, index }: Partition, markerOffset: number): string {
  const offset = String(markerOffset).padStart(OFFSET_DIGITS, '0');
  return `${stream.id}/${String(index).padStart(INDEX_DIGITS, '0')}/${offset}`;
}

function rowOf(key: string, value: Buffer): Row {
  return {
    key,
    markerOffset: Number(key.slice(-OFFSET_DIGITS)),
    producerId: value.readDoubleBE(0),
    firstOffset: value.readDoubleBE(8),
    stableAfter: value.readDoubleBE(16),
  };
}
