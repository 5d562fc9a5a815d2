/**
 * Deliveries before the commit: a message that was published at most once goes to a consumer that
 * takes at most once the moment it is there, when it is the next of its queue anyway. It is stored
 * like all others; until that commit it counts as in flight, from then on as finished
 * (docs/decisions/0021-early-deliveries.md).
 */
import type { Message } from '../records/message.ts';
import type { CursorLane } from './cursor-lane.ts';
import { type ConsumerHost, type Consumers, Flight } from './queue-consumers.ts';
import type { QueueLedger } from './queue-ledger.ts';
import type { QueueLimits } from './queue-settings.ts';
import { ENDED } from './queue-state.ts';

export class EarlyDeliveries {
  /** Null where nothing can be delivered early: limits, ages and keys ask for what is committed. */
  readonly #cursor: CursorLane | null;
  readonly #consumers: Consumers;
  readonly #ledger: QueueLedger;
  readonly #host: ConsumerHost;
  /** Offsets from here on were delivered early; -1: none. */
  #from = -1;
  /** And before here: whoever acknowledges may have got what follows, once it was committed. */
  #to = -1;

  constructor(
    cursor: CursorLane | null,
    consumers: Consumers,
    ledger: QueueLedger,
    limits: QueueLimits,
    host: ConsumerHost,
  ) {
    const { lengthMax, bytesMax, ttlMs, keyOrder } = limits;
    const unlimited = Math.min(lengthMax, bytesMax) === Number.POSITIVE_INFINITY;
    this.#cursor = unlimited && ttlMs < 0 && !keyOrder ? cursor : null;
    this.#consumers = consumers;
    this.#ledger = ledger;
    this.#host = host;
  }

  /** Delivered, and not committed yet. */
  get count(): number {
    return this.#from < 0 ? 0 : this.#to - this.#from;
  }

  /** A message was appended to the queue's own stream, with the next offset. True: it is taken. */
  offer(message: Message): boolean {
    const cursor = this.#cursor;
    if (cursor === null || message.expiresAtMs !== 0) return false;
    const consumer = this.#consumers.ready();
    if (consumer === null || !consumer.finishes) return false;
    const { offset } = message;
    if (!cursor.takeEarly(offset)) return false;
    // What was taken in between was committed, and with it what was before that.
    if (offset !== this.#to) this.committed();
    if (this.#from < 0) this.#from = offset;
    this.#to = offset + 1;
    this.#consumers.served(consumer);
    consumer.credit--;
    const item = { position: offset, message, meta: 0, bytes: message.value?.length ?? 0 };
    consumer.consumer.deliver(new Flight(item, false, 1, consumer, this.#host));
    return true;
  }

  /** Finishes what is on disk by now. */
  committed(): void {
    if (this.#from < 0) return;
    const cursor = this.#cursor!;
    const from = this.#from;
    const to = Math.min(this.#to, cursor.partition.highWatermark);
    if (to <= from) return;
    this.#from = to === this.#to ? -1 : to;
    cursor.delivered(to - 1);
    const finished = cursor.state.finish(from, to - from, 0);
    this.#ledger.ended(cursor, from, to - from, ENDED.acked, finished, 0);
  }

  /** Offsets from here on do not exist, or will be given to other messages. */
  failed(fromOffset: number): void {
    if (this.#from < 0) return;
    const cursor = this.#cursor!;
    this.#to = Math.min(this.#to, Math.max(this.#from, fromOffset));
    cursor.takeBack(this.#to);
    if (this.#to === this.#from) this.#from = -1;
  }
}
