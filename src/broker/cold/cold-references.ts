/**
 * References to messages that wait for queues which are not in memory: rows of state, in the
 * catalogue, one per message. They share the entry of the message; a queue that comes back takes
 * them in their order.
 */
import type { StateTable } from '../state/state-table.ts';

/** Key: name of the queue, U+0000, number of the reference. */
const KIND = 'cold/queue.waiting';
/** Counts the starts of the server, so that numbers of references only grow. */
const STARTS = 'queue.starts';
const SEPARATOR = '\0';
const AFTER_SEPARATOR = '\u0001';
const BYTES = 24;
const PART_ROWS = 1000;

export interface ColdReference {
  readonly logId: number;
  readonly offset: number;
  readonly meta: number;
  /** Of the message's value. */
  readonly size: number;
}

export class ColdReferences {
  readonly #state: StateTable;
  #prefix = '';
  #count = 0;

  constructor(state: StateTable) {
    this.#state = state;
  }

  get count(): number {
    return this.#state.count(KIND);
  }

  /** All that wait, by queue, each queue's in their order. */
  *scan(): Generator<readonly [name: string, reference: ColdReference]> {
    for (const [key, value] of this.#state.scan(KIND)) {
      yield [nameOf(key), decode(value)];
    }
  }

  /** @returns the key of the reference, for `undo` */
  add(name: string, reference: ColdReference): string {
    const bytes = Buffer.allocUnsafe(BYTES);
    bytes.writeDoubleBE(reference.logId, 0);
    bytes.writeDoubleBE(reference.offset, 8);
    bytes.writeUInt32BE(reference.meta, 16);
    bytes.writeUInt32BE(reference.size, 20);
    const key = name + SEPARATOR + this.#next();
    this.#state.put(KIND, key, bytes, name, 'new');
    return key;
  }

  /** The message will never be. @returns false when it does not wait here any more */
  undo(key: string): boolean {
    return this.#state.delete(KIND, key, nameOf(key));
  }

  /** What waits for a queue, in its order and in parts; it does not wait here any more. */
  *take(name: string): Generator<readonly ColdReference[]> {
    const span = { from: name + SEPARATOR, before: name + AFTER_SEPARATOR, rowsMax: PART_ROWS };
    while (true) {
      const rows = this.#state.range(KIND, span);
      for (const { key } of rows) this.#state.delete(KIND, key, name, 'there');
      if (rows.length > 0) yield rows.map(({ value }) => decode(value));
      if (rows.length < PART_ROWS) return;
    }
  }

  #next(): string {
    if (this.#prefix === '') {
      const starts = Number(this.#state.get(STARTS, '')?.toString() ?? 0) + 1;
      this.#state.put(STARTS, '', Buffer.from(String(starts)));
      this.#prefix = starts.toString(36).padStart(6, '0');
    }
    return this.#prefix + (this.#count++).toString(36).padStart(9, '0');
  }
}

function nameOf(key: string): string {
  return key.slice(0, key.lastIndexOf(SEPARATOR));
}

function decode(bytes: Buffer): ColdReference {
  return {
    logId: bytes.readDoubleBE(0),
    offset: bytes.readDoubleBE(8),
    meta: bytes.readUInt32BE(16),
    size: bytes.readUInt32BE(20),
  };
}
