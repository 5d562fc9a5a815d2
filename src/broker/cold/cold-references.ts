/**
 * References to messages that wait for one queue which is not in memory: rows of state, in the
 * catalogue, one per message. They share the entry of the message; a queue that comes back takes
 * them in their order. Where many queues wait for the same messages see `cold-lines.ts`.
 */
import type { StateTable } from '../state/state-table.ts';
import { keyOfNumber, numberAtEnd } from './cold-numbers.ts';
import type { ColdPins } from './cold-pins.ts';

/** Key: name of the queue, U+0000, number of the reference. */
const KIND = 'cold/queue.waiting';
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

/** With its place among all that waits. */
export interface NumberedReference extends ColdReference {
  readonly number: number;
}

export class ColdReferences {
  readonly #state: StateTable;
  readonly #pins: ColdPins;

  /** @param pins of what waits */
  constructor(state: StateTable, pins: ColdPins) {
    this.#state = state;
    this.#pins = pins;
  }

  get count(): number {
    return this.#state.count(KIND);
  }

  /** All that wait, by queue, each queue's in their order. */
  *scan(): Generator<readonly [name: string, reference: ColdReference]> {
    for (const [key, value] of this.#state.scan(KIND)) {
      yield [nameOf(key), referenceAt(value)];
    }
  }

  /** @returns the key of the reference, for `undo` */
  add(name: string, number: number, reference: ColdReference): string {
    const bytes = Buffer.allocUnsafe(BYTES);
    writeReference(bytes, reference);
    const key = name + SEPARATOR + keyOfNumber(number);
    this.#state.put(KIND, key, bytes, name, 'new');
    return key;
  }

  /** The message will never be. @returns false when it does not wait here any more */
  undo(key: string): boolean {
    return this.#state.delete(KIND, key, nameOf(key));
  }

  /** What waits for a queue, in its order; what was given does not wait here any more. */
  *take(name: string): Generator<NumberedReference> {
    const span = { from: name + SEPARATOR, before: name + AFTER_SEPARATOR, rowsMax: PART_ROWS };
    while (true) {
      const rows = this.#state.range(KIND, span);
      for (const { key } of rows) this.#state.delete(KIND, key, name, 'there');
      for (const { key, value } of rows) {
        const reference = referenceAt(value);
        this.#pins.remove(reference.logId, reference.offset);
        yield { ...reference, number: numberAtEnd(key) };
      }
      if (rows.length < PART_ROWS) return;
    }
  }
}

function nameOf(key: string): string {
  return key.slice(0, key.lastIndexOf(SEPARATOR));
}

export function writeReference(bytes: Buffer, { logId, offset, meta, size }: ColdReference): void {
  bytes.writeDoubleBE(logId, 0);
  bytes.writeDoubleBE(offset, 8);
  bytes.writeUInt32BE(meta, 16);
  bytes.writeUInt32BE(size, 20);
}

export function referenceAt(bytes: Buffer): ColdReference {
  return {
    logId: bytes.readDoubleBE(0),
    offset: bytes.readDoubleBE(8),
    meta: bytes.readUInt32BE(16),
    size: bytes.readUInt32BE(20),
  };
}
