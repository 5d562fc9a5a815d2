/**
 * The consumers of one queue as AMQP knows them: priorities, one active at a time, exclusive use.
 * The broker's queue sees a single consumer, this object. What a cancelled consumer has not
 * acknowledged stays with its channel, as AMQP demands, so nothing goes back here.
 *
 * A queue whose messages age (a TTL, a dead letter exchange) has its first message held here, with
 * a timer: it leaves at its time even when nobody consumes.
 */
import type { Attachment, Delivery, Queue, QueueConsumer } from '#broker';
import type { Clock, Timer, Timers } from '#kit';

/** One basic.consume. */
export interface QueueReader {
  readonly priority: number;
  ready(): boolean;
  deliver(delivery: Delivery): void;
  /** The queue was deleted. */
  queueGone(): void;
}

export interface QueueAges {
  /** Messages older than this leave; -1 = no limit. */
  readonly ttlMs: number;
  /** The first message is watched for its end even while nobody consumes. */
  readonly watched: boolean;
  expired(delivery: Delivery): void;
}

export class QueueReaders implements QueueConsumer {
  readonly #queue: Queue;
  readonly #ages: QueueAges;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #singleActive: boolean;
  /** Highest priority first, then in order of arrival. */
  readonly #readers: QueueReader[] = [];
  #active: QueueReader | null = null;
  #turn = 0;
  #chosen: QueueReader | null = null;
  #attachment: Attachment | null = null;
  #head: Delivery | null = null;
  #timer: Timer | null = null;
  /** Positions that were held and went back unseen: that was no delivery. */
  readonly #unseen = new Map<number, number>();

  constructor(
    queue: Queue,
    ages: QueueAges,
    time: { readonly clock: Clock; readonly timers: Timers },
    singleActive: boolean,
  ) {
    this.#queue = queue;
    this.#ages = ages;
    this.#clock = time.clock;
    this.#timers = time.timers;
    this.#singleActive = singleActive;
    if (ages.watched) this.#attachment = queue.attach(this);
  }

  get count(): number {
    return this.#readers.length;
  }

  /** Ready messages, the held one included. */
  get readyCount(): number {
    return this.#queue.readyCount + (this.#head === null ? 0 : 1);
  }

  add(reader: QueueReader): void {
    let index = this.#readers.length;
    while (index > 0 && this.#readers[index - 1]!.priority < reader.priority) index--;
    this.#readers.splice(index, 0, reader);
    if (this.#singleActive) this.#active ??= reader;
    if (this.#attachment === null) this.#attachment = this.#queue.attach(this);
    else this.wake();
  }

  remove(reader: QueueReader): void {
    const index = this.#readers.indexOf(reader);
    if (index < 0) return;
    this.#readers.splice(index, 1);
    if (this.#active === reader) this.#active = this.#readers[0] ?? null;
    if (this.#readers.length > 0) this.wake();
    else if (!this.#ages.watched) this.#detach();
  }

  /** A reader may take more again. */
  wake(): void {
    this.#offerHead();
    this.#attachment?.wake();
  }

  ready(): boolean {
    if (this.#ages.watched) return this.#head === null;
    this.#chosen = this.#choose();
    return this.#chosen !== null;
  }

  deliver(delivery: Delivery): void {
    if (this.#unseen.size > 0) delivery = this.#asSeen(delivery);
    const endsAt = this.#endsAt(delivery);
    if (endsAt !== 0 && this.#clock.nowMs() >= endsAt) {
      this.#ages.expired(delivery);
      return;
    }
    const reader = this.#ages.watched ? this.#choose() : this.#chosen;
    if (reader !== null) reader.deliver(delivery);
    else this.#hold(delivery, endsAt);
  }

  /** basic.get: the held message first. */
  async get(): Promise<Delivery | null> {
    for (;;) {
      const held = this.#takeHead();
      const delivery = held ?? (await this.#queue.get());
      if (held !== null) this.#attachment?.wake();
      if (delivery === null) return null;
      const endsAt = this.#endsAt(delivery);
      if (endsAt === 0 || this.#clock.nowMs() < endsAt) return this.#asSeen(delivery);
      this.#ages.expired(delivery);
    }
  }

  /** Before a message goes back, a held later one does too, so that the order stays. */
  beforeRequeue(position: number): void {
    const head = this.#head;
    if (head === null || head.position < position) return;
    this.#takeHead();
    this.#unseen.set(head.position, (this.#unseen.get(head.position) ?? 0) + 1);
    this.#queue.requeue(head.position);
  }

  purge(): number {
    const held = this.#takeHead();
    if (held !== null) this.#queue.ack(held.position);
    return this.#queue.purge() + (held === null ? 0 : 1);
  }

  /** The queue is gone: readers are told, timers end. */
  end(): void {
    this.#takeHead();
    this.#attachment = null;
    for (const reader of this.#readers.splice(0)) reader.queueGone();
  }

  #choose(): QueueReader | null {
    if (this.#singleActive) return this.#active?.ready() === true ? this.#active : null;
    const readers = this.#readers;
    const count = readers.length;
    let chosen: QueueReader | null = null;
    for (let step = 0; step < count; step++) {
      const index = (this.#turn + step) % count;
      const reader = readers[index]!;
      if (chosen !== null && reader.priority <= chosen.priority) continue;
      if (!reader.ready()) continue;
      chosen = reader;
      // With equal priorities the first in turn is the answer.
      if (readers[0]!.priority === readers[count - 1]!.priority) {
        this.#turn = index + 1;
        return chosen;
      }
    }
    if (chosen !== null) this.#turn = readers.indexOf(chosen) + 1;
    return chosen;
  }

  #endsAt({ message }: Delivery): number {
    const { ttlMs } = this.#ages;
    if (ttlMs < 0) return message.expiresAtMs;
    const byAge = message.appendTimeMs + ttlMs;
    return message.expiresAtMs === 0 ? byAge : Math.min(byAge, message.expiresAtMs);
  }

  #hold(delivery: Delivery, endsAt: number): void {
    this.#head = delivery;
    if (endsAt === 0) return;
    this.#timer = this.#timers.after(endsAt - this.#clock.nowMs(), () => this.#headEnds());
  }

  #headEnds(): void {
    const head = this.#takeHead();
    if (head === null) return;
    // Timers may be early by a fraction of a ms; `deliver` looks at the clock again.
    this.deliver(head);
    this.#attachment?.wake();
  }

  #offerHead(): void {
    if (this.#head === null) return;
    const reader = this.#choose();
    if (reader === null) return;
    const head = this.#takeHead();
    if (head !== null) reader.deliver(head);
  }

  #takeHead(): Delivery | null {
    const head = this.#head;
    this.#head = null;
    this.#timer?.cancel();
    this.#timer = null;
    return head;
  }

  #asSeen(delivery: Delivery): Delivery {
    const unseen = this.#unseen.get(delivery.position);
    if (unseen === undefined) return delivery;
    this.#unseen.delete(delivery.position);
    const deliveryCount = delivery.deliveryCount - unseen;
    return { ...delivery, deliveryCount, redelivered: deliveryCount > 1 };
  }

  #detach(): void {
    this.#attachment?.detach(true);
    this.#attachment = null;
  }
}
