/**
 * Ids of idempotent producers: durable, never given twice. Taken from the state table in blocks.
 */
import type { BrokerError } from '#kit';
import type { StateTable } from './state-table.ts';

const KIND = 'producer-ids';
const KEY = 'next';
const BLOCK = 1000;

export class ProducerIds {
  readonly #state: StateTable;
  #next = 0;
  #end = 0;
  #reserving: Promise<void> | null = null;

  constructor(state: StateTable) {
    this.#state = state;
    const stored = state.get(KIND, KEY);
    // What was left of the last block before the restart is skipped.
    this.#next = this.#end = stored === undefined ? 0 : Number(stored.toString());
  }

  /** @throws BrokerError when the reservation cannot be stored */
  async next(): Promise<number> {
    while (this.#next === this.#end) {
      this.#reserving ??= this.#reserve().finally(() => {
        this.#reserving = null;
      });
      await this.#reserving;
    }
    return this.#next++;
  }

  async #reserve(): Promise<void> {
    const end = this.#end + BLOCK;
    this.#state.put(KIND, KEY, Buffer.from(String(end)));
    await new Promise<void>((resolve, reject) => {
      this.#state.committed((error: BrokerError | null) =>
        error === null ? resolve() : reject(error),
      );
    });
    this.#end = end;
  }
}
