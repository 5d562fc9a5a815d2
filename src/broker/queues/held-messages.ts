/** The messages that a lane keeps in memory beside its references, within bounds. */
import type { Message } from '../records/message.ts';
import type { Item } from './queue-lane.ts';
import type { ReferencePage } from './reference-pages.ts';

/** Later ones are read again when their turn comes. */
export const HELD_MESSAGES_MAX = 1000;
const HELD_BYTES_MAX = 8 << 20;

export class HeldMessages {
  #count = 0;
  #bytes = 0;

  get room(): boolean {
    return this.#count < HELD_MESSAGES_MAX && this.#bytes < HELD_BYTES_MAX;
  }

  hold(page: ReferencePage, slot: number, message: Message): void {
    page.messages[slot] = message;
    this.#count++;
    this.#bytes += page.sizes[slot]!;
  }

  release(page: ReferencePage, slot: number): void {
    if (!page.messages[slot]) return;
    page.messages[slot] = null;
    this.#count--;
    this.#bytes -= page.sizes[slot]!;
  }
}

/** The message of a delivery that ends without an end cannot be read, now or ever. */
export function isOnlyHere({ message: { partition, offset } }: Item): boolean {
  return partition === null || offset >= partition.highWatermark;
}
