/**
 * A queue as AMQP knows it: who may use it, when it goes, what its arguments demand. The messages
 * are in the broker's queue of the same name.
 */
import type { Delivery, Queue } from '#broker';
import type { Clock, Timer, Timers } from '#kit';
import type { Binding } from './exchange.ts';
import type { Table } from './field-table.ts';
import type { QueueLimits } from './queue-arguments.ts';
import { QueueReaders } from './queue-readers.ts';

export interface QueueFacts {
  readonly name: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Table;
  /** The stream was made for the queue and goes with it. */
  readonly madeStream: boolean;
}

export type DeathReason = 'rejected' | 'expired' | 'delivery_limit';

/** What a queue needs of its virtual host. */
export interface QueueHome {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Deletes it, for it has no more use. */
  unused(queue: AmqpQueue): void;
  /** Hands the message on to the dead letter exchange and calls back when that is stored. */
  deadLetter(queue: AmqpQueue, delivery: Delivery, reason: DeathReason, done: () => void): void;
}

export class AmqpQueue {
  readonly facts: QueueFacts;
  readonly limits: QueueLimits;
  readonly queue: Queue;
  /** The connection that owns an exclusive queue. */
  readonly owner: object | null;
  /** Bindings that lead here. */
  readonly bindings = new Set<Binding<AmqpQueue>>();
  readonly readers: QueueReaders;
  /** Published and not committed yet, counted while publishes over the length are rejected. */
  incomingCount = 0;
  /** Someone consumes it with the exclusive flag. */
  exclusiveReader = false;
  readonly #home: QueueHome;
  #expiry: Timer | null = null;
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
    const ages = {
      ttlMs: limits.messageTtlMs,
      watched: limits.messageTtlMs >= 0 || limits.deadLetterExchange !== null,
      expired: (delivery: Delivery) => this.#giveUp(delivery, 'expired'),
    };
    // What expires is handed on, so it has to pass through here.
    queue.deliverExpired = limits.deadLetterExchange !== null;
    this.readers = new QueueReaders(queue, ages, home, limits.singleActive);
    this.used();
  }

  get name(): string {
    return this.facts.name;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** [A72] x-expires counts from the last use; a queue with consumers does not expire. */
  used(): void {
    this.#expiry?.cancel();
    this.#expiry = null;
    if (this.limits.expiresMs === 0 || this.readers.count > 0 || this.#ended) return;
    this.#expiry = this.#home.timers.after(this.limits.expiresMs, () => this.#home.unused(this));
  }

  /** A consumer has gone: an auto-delete queue goes with the last one. */
  readerLeft(): void {
    if (this.#ended) return;
    if (this.readers.count === 0 && this.facts.autoDelete) this.#home.unused(this);
    else this.used();
  }

  ack(delivery: Delivery): void {
    this.queue.ack(delivery.position);
  }

  /** Back to its place, unless it came back too often. */
  requeue(delivery: Delivery): void {
    const { deliveryLimit } = this.limits;
    if (deliveryLimit >= 0 && delivery.deliveryCount > deliveryLimit) {
      this.#giveUp(delivery, 'delivery_limit');
      return;
    }
    this.readers.beforeRequeue(delivery.position);
    this.queue.requeue(delivery.position);
  }

  reject(delivery: Delivery): void {
    this.#giveUp(delivery, 'rejected');
  }

  #giveUp(delivery: Delivery, reason: DeathReason): void {
    if (this.limits.deadLetterExchange === null) {
      this.queue.drop(delivery.position);
      return;
    }
    this.#home.deadLetter(this, delivery, reason, () => this.queue.drop(delivery.position));
  }

  /** True when a publish must be rejected because the queue is full. */
  get refusing(): boolean {
    const { lengthMax, overflow } = this.limits;
    if (overflow !== 'reject-publish' || lengthMax < 0) return false;
    return this.readers.readyCount + this.incomingCount >= lengthMax;
  }

  /** The queue is gone. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#expiry?.cancel();
    this.#expiry = null;
    this.readers.end();
  }
}
