/** Deliveries of one channel that wait for an acknowledgement, by delivery tag, in order. */
import type { Delivery } from '#broker';
import type { AmqpQueue } from './amqp-queue.ts';
import { refusal } from './errors.ts';

export interface Unacked {
  readonly queue: AmqpQueue;
  readonly delivery: Delivery;
  /** Who got it; null for basic.get. */
  readonly reader: { settled(): void; wake(): void } | null;
}

export class UnackedDeliveries {
  readonly #byTag = new Map<number, Unacked>();
  #lastTag = 0;

  get size(): number {
    return this.#byTag.size;
  }

  /** The tag of a delivery that needs no acknowledgement. */
  pass(): number {
    return ++this.#lastTag;
  }

  add(unacked: Unacked): number {
    const tag = ++this.#lastTag;
    this.#byTag.set(tag, unacked);
    return tag;
  }

  /**
   * Takes what an acknowledgement names: one tag, all up to it, or (tag 0 with multiple) all.
   * @throws AmqpError 406 for a tag that is not waiting
   */
  take(tag: number, multiple: boolean): Unacked[] {
    if (!multiple) {
      const one = this.#byTag.get(tag);
      if (one === undefined) throw refusal.unknownTag(tag);
      this.#byTag.delete(tag);
      return [one];
    }
    if (tag === 0) return this.takeAll();
    const taken: Unacked[] = [];
    if (tag <= this.#lastTag) {
      // A map keeps the order of insertion, and tags only grow.
      for (const [waiting, unacked] of this.#byTag) {
        if (waiting > tag) break;
        taken.push(unacked);
        this.#byTag.delete(waiting);
      }
    }
    if (taken.length === 0) throw refusal.unknownTag(tag);
    return taken;
  }

  /** True when `take` would find the tag; for transactions, which settle later. */
  has(tag: number, multiple: boolean): boolean {
    if (!multiple) return this.#byTag.has(tag);
    if (tag === 0) return true;
    const first = this.#byTag.keys().next();
    return tag <= this.#lastTag && first.done !== true && first.value <= tag;
  }

  takeAll(): Unacked[] {
    const all = [...this.#byTag.values()];
    this.#byTag.clear();
    return all;
  }
}
