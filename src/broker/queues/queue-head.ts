/**
 * The next message of a queue: the first one of its lanes, or one that was set aside behind its key
 * and whose turn has come.
 */

import type { Message } from '../records/message.ts';
import { KeyOrder } from './key-order.ts';
import type { Item } from './queue-lane.ts';
import type { QueueLanes } from './queue-lanes.ts';
import type { QueueLimits } from './queue-settings.ts';

export class QueueHead {
  readonly #lanes: QueueLanes;
  /** Null: keys do not matter. */
  readonly keys: KeyOrder | null;
  readonly #limits: QueueLimits;

  constructor(lanes: QueueLanes, limits: QueueLimits) {
    this.#lanes = lanes;
    this.#limits = limits;
    this.keys = limits.keyOrder ? new KeyOrder() : null;
  }

  get ready(): number {
    return this.#lanes.ready + (this.keys === null ? 0 : this.keys.count);
  }

  get readyBytes(): number {
    return this.#lanes.readyBytes + (this.keys === null ? 0 : this.keys.bytes);
  }

  /** More is ready than may be. */
  get over(): boolean {
    const { lengthMax, bytesMax, overflow } = this.#limits;
    if (overflow === 'reject') return false;
    if (lengthMax !== Number.POSITIVE_INFINITY && this.ready > lengthMax) return true;
    return bytesMax !== Number.POSITIVE_INFINITY && this.readyBytes > bytesMax;
  }

  /** True when a publish of so many bytes must be rejected: what is on its way counts as well. */
  refuses(bytes: number): boolean {
    const { lengthMax, bytesMax, overflow } = this.#limits;
    if (overflow !== 'reject') return false;
    const { expected, expectedBytes } = this.#lanes;
    if (this.ready + expected >= lengthMax) return true;
    if (bytesMax === Number.POSITIVE_INFINITY) return false;
    return this.readyBytes + expectedBytes + bytes > bytesMax;
  }

  /** Null when there is none; a promise when it must be read first: ask again then. */
  peek(): Item | null | Promise<void> {
    const found = this.#lanes.peek();
    const free = this.keys === null ? null : this.keys.free;
    if (free === null) return found;
    const later = found === null || found instanceof Promise || free.position < found.position;
    return later ? free : found;
  }

  /** Removes what `peek` gave from where it was. */
  take(item: Item): void {
    if (item === this.keys?.free) this.keys.takeFree();
    else this.#lanes.of(item.position)!.take(item);
  }

  /** True when the message must wait for an earlier one of its key. */
  waits(item: Item): boolean {
    const { keys } = this;
    return keys !== null && item !== keys.free && keys.blocks(item);
  }

  /** Sets the next message aside. False when no more may be set aside: all wait then. */
  setAside(item: Item): boolean {
    const keys = this.keys!;
    if (keys.full) return false;
    this.#lanes.of(item.position)!.take(item);
    keys.park(item);
    return true;
  }

  /** Wall clock at which the message expires; 0 = never. */
  endsAt(message: Message): number {
    const { ttlMs } = this.#limits;
    if (ttlMs < 0) return message.expiresAtMs;
    const byAge = message.appendTimeMs + ttlMs;
    return message.expiresAtMs === 0 ? byAge : Math.min(byAge, message.expiresAtMs);
  }
}
