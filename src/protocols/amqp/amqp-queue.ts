/**
 * A queue as AMQP knows it: who may use it, when it goes, what its arguments demand. Messages,
 * their order, limits and consumers are the matter of the broker's queue of the same name.
 */
import type { Death, Delivery, Message, PublishSink, Queue } from '#broker';
import type { ChannelReader } from './channel-reader.ts';
import type { Binding } from './exchange.ts';
import type { Table } from './field-table.ts';
import type { QueueLimits } from './queue-arguments.ts';

export interface QueueFacts {
  readonly name: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Table;
  /** The stream was made for the queue and goes with it. */
  readonly madeStream: boolean;
}

/** What a queue needs of its virtual host. */
export interface QueueHome {
  nowMs(): number;
  /** Calls `expiryDue` then; a durable queue's after a restart as well. */
  expireAt(queue: AmqpQueue, dueMs: number): void;
  /** Deletes it, for it has no more use. */
  unused(queue: AmqpQueue): void;
  /** Hands the message on to the dead letter exchange. @returns null when it goes nowhere */
  deadLetter(queue: AmqpQueue, death: Death, sink: PublishSink | null): Message | null;
}

export class AmqpQueue {
  readonly facts: QueueFacts;
  readonly limits: QueueLimits;
  readonly queue: Queue;
  /** The connection that owns an exclusive queue. */
  readonly owner: object | null;
  /** Bindings that lead here. */
  readonly bindings = new Set<Binding<AmqpQueue>>();
  /** Someone consumes it with the exclusive flag. */
  exclusiveReader = false;
  readonly #home: QueueHome;
  readonly #readers = new Set<ChannelReader>();
  #lastUsedMs = 0;
  /** An expiry is set; it looks for itself whether the queue was used meanwhile. */
  #expiring = false;
  #ended = false;

  constructor(
    facts: QueueFacts,
    limits: QueueLimits,
    queue: Queue,
    owner: object | null,
    home: QueueHome,
  ) {
    this.facts = facts;
    this.limits = limits;
    this.queue = queue;
    this.owner = owner;
    this.#home = home;
    if (limits.deadLetterExchange !== null) {
      queue.deadLetter = (death, sink) => home.deadLetter(this, death, sink);
    }
    // [A70] Messages leave at the end of their time even while nobody consumes.
    queue.watchesHead = limits.messageTtlMs >= 0 || limits.deadLetterExchange !== null;
    this.used();
  }

  get name(): string {
    return this.facts.name;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /** What is published here may be rejected: publishers must ask `refuses`. */
  get guarded(): boolean {
    const { overflow, lengthMax, bytesMax } = this.limits;
    return overflow !== 'drop-head' && (lengthMax >= 0 || bytesMax >= 0);
  }

  addReader(reader: ChannelReader): void {
    this.#readers.add(reader);
    reader.begin(this.queue);
    this.#lastUsedMs = this.#home.nowMs();
  }

  /** What it has not acknowledged stays with its channel. */
  removeReader(reader: ChannelReader): void {
    this.#readers.delete(reader);
    reader.end();
  }

  /** A consumer has gone: an auto-delete queue goes with the last one. */
  readerLeft(): void {
    if (this.#ended) return;
    if (this.#readers.size === 0 && this.facts.autoDelete) this.#home.unused(this);
    else this.used();
  }

  /** [A72] x-expires counts from the last use; a queue with consumers does not expire. */
  used(): void {
    const { expiresMs } = this.limits;
    if (expiresMs === 0) return;
    this.#lastUsedMs = this.#home.nowMs();
    if (this.#expiring || this.#readers.size > 0 || this.#ended) return;
    this.#expiring = true;
    this.#home.expireAt(this, this.#lastUsedMs + expiresMs);
  }

  expiryDue(): void {
    this.#expiring = false;
    if (this.#ended || this.#readers.size > 0) return;
    const dueMs = this.#lastUsedMs + this.limits.expiresMs;
    if (dueMs <= this.#home.nowMs()) this.#home.unused(this);
    else {
      this.#expiring = true;
      this.#home.expireAt(this, dueMs);
    }
  }

  ack(delivery: Delivery): void {
    this.queue.ack(delivery.position);
  }

  /** Back to its place, unless it came back too often. */
  requeue(delivery: Delivery): void {
    this.queue.requeue(delivery.position);
  }

  reject(delivery: Delivery): void {
    this.queue.reject(delivery.position);
  }

  /** True when a publish must be rejected because the queue is full. */
  refuses(message: Message): boolean {
    if (!this.queue.refuses(message.value === null ? 0 : message.value.length)) return false;
    if (this.limits.overflow !== 'reject-publish-dlx') return true;
    const death = { message, meta: 0, reason: 'max-length', deliveryCount: 0 } as const;
    this.#home.deadLetter(this, death, null);
    return true;
  }

  /** The queue is gone. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const reader of this.#readers) reader.queueGone();
    this.#readers.clear();
  }
}
