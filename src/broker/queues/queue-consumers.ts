/**
 * The consumers of one queue, and which of them gets the next message. Those that can take one
 * stand in a ring per priority; one that cannot leaves it and comes back when it is woken, so a
 * delivery costs the same with ten thousand consumers as with one.
 */
import { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import type { Deadline } from './deadlines.ts';
import type { Item } from './queue-lane.ts';

export interface Delivery {
  /** Names the message towards this queue: for `ack`, `requeue`, `drop`. */
  readonly position: number;
  readonly message: Message;
  /** It was, or before a crash may have been, delivered before. */
  readonly redelivered: boolean;
  /** 1 = the first delivery. */
  readonly deliveryCount: number;
  /** What `Queue.meta` gave when it was routed. */
  readonly meta: number;
}

export interface QueueConsumer {
  /** True when it takes another delivery now: credit of its own and room to write. */
  ready(): boolean;
  deliver(delivery: Delivery): void;
  /** The lease of a delivery has ended: it is not this consumer's any more. */
  lost?(delivery: Delivery): void;
  /** Of a queue with one active consumer: it has become the active one. */
  activated?(): void;
}

export interface AttachOptions {
  /** Higher ones are served first while they can take more. 0 when left out. */
  readonly priority?: number;
  /** No other consumer may be there, now or later. */
  readonly exclusive?: boolean;
  /** Deliveries that it may have in flight. */
  readonly prefetch?: number;
  /** Bytes in flight from which it gets no more. */
  readonly prefetchBytes?: number;
  /** How long it may keep a delivery; the queue's when left out. */
  readonly leaseMs?: number;
  /** Deliveries that it gets before `grant` gives it more; no limit when left out. */
  readonly credit?: number;
  /** A delivery is finished with its hand-over: nothing of it is in flight, nobody calls `ack`. */
  readonly finishes?: boolean;
}

export interface Attachment {
  /** False while another consumer is the active one. */
  readonly active: boolean;
  /** In flight with it. */
  readonly inFlightCount: number;
  /** Says that `ready()` may have become true. */
  wake(): void;
  /** Adds credit. */
  grant(deliveries: number): void;
  /**
   * Ends it: what it had not finished goes back to its place, redelivered; with `keep` it stays in
   * flight until each is finished or requeued.
   */
  detach(keep?: boolean): void;
}

/** What consumers need of their queue. */
export interface ConsumerHost {
  dispatch(): void;
  detached(consumer: Consumer, keep: boolean): void;
  leaseEnded(flight: Flight): void;
}

/** A delivery that is not finished: given to a consumer, or to a caller of `get`. */
export class Flight implements Delivery, Deadline {
  readonly item: Item;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
  readonly consumer: Consumer | null;
  readonly #host: ConsumerHost;
  before: Flight | null = null;
  after: Flight | null = null;
  dueMs = 0;
  heapIndex = -1;

  constructor(
    item: Item,
    redelivered: boolean,
    count: number,
    consumer: Consumer | null,
    host: ConsumerHost,
  ) {
    this.item = item;
    this.redelivered = redelivered;
    this.deliveryCount = count;
    this.consumer = consumer;
    this.#host = host;
  }

  get position(): number {
    return this.item.position;
  }

  get message(): Message {
    return this.item.message;
  }

  get meta(): number {
    return this.item.meta;
  }

  due(): void {
    this.#host.leaseEnded(this);
  }
}

export class Consumer implements Attachment {
  readonly consumer: QueueConsumer;
  readonly priority: number;
  readonly exclusive: boolean;
  readonly leaseMs: number;
  readonly finishes: boolean;
  attached = true;
  active = true;
  inFlightCount = 0;
  inFlightBytes = 0;
  credit: number;
  readonly #prefetch: number;
  readonly #prefetchBytes: number;
  readonly #host: ConsumerHost;
  readonly #ring: Consumers;
  /** Deliveries in flight, newest first. */
  flights: Flight | null = null;
  /** Neighbours in the ring of those that can take more. */
  next: Consumer | null = null;
  previous: Consumer | null = null;

  constructor(
    consumer: QueueConsumer,
    options: AttachOptions,
    leaseMs: number,
    ring: Consumers,
    host: ConsumerHost,
  ) {
    this.consumer = consumer;
    this.priority = options.priority ?? 0;
    this.exclusive = options.exclusive ?? false;
    this.leaseMs = options.leaseMs ?? leaseMs;
    this.credit = options.credit ?? Number.POSITIVE_INFINITY;
    this.finishes = options.finishes ?? false;
    this.#prefetch = options.prefetch ?? Number.POSITIVE_INFINITY;
    this.#prefetchBytes = options.prefetchBytes ?? Number.POSITIVE_INFINITY;
    this.#ring = ring;
    this.#host = host;
  }

  get ready(): boolean {
    return (
      this.credit > 0 &&
      this.inFlightCount < this.#prefetch &&
      this.inFlightBytes < this.#prefetchBytes &&
      this.consumer.ready()
    );
  }

  wake(): void {
    if (!this.attached) return;
    this.#ring.enter(this);
    this.#host.dispatch();
  }

  grant(deliveries: number): void {
    this.credit += deliveries;
    this.wake();
  }

  detach(keep = false): void {
    if (!this.attached) return;
    this.attached = false;
    this.#host.detached(this, keep);
  }

  took(flight: Flight): void {
    this.credit--;
    this.inFlightCount++;
    this.inFlightBytes += flight.item.bytes;
    flight.after = this.flights;
    if (this.flights !== null) this.flights.before = flight;
    this.flights = flight;
  }

  /** @returns true when a limit of its own held it back, and does not any more */
  settled(flight: Flight): boolean {
    const full = this.inFlightCount >= this.#prefetch || this.inFlightBytes >= this.#prefetchBytes;
    this.inFlightCount--;
    this.inFlightBytes -= flight.item.bytes;
    if (flight.before === null) this.flights = flight.after;
    else flight.before.after = flight.after;
    if (flight.after !== null) flight.after.before = flight.before;
    flight.before = flight.after = null;
    return full && this.attached;
  }
}

/** Consumers of one priority that can take more, as far as is known; a ring, `head` is next. */
interface Level {
  readonly priority: number;
  head: Consumer | null;
}

export class Consumers {
  readonly #all = new Set<Consumer>();
  /** Highest priority first. */
  readonly #levels: Level[] = [];
  readonly #singleActive: boolean;
  readonly #service: { readonly stopped: boolean };
  #active: Consumer | null = null;

  /** @param service nobody gets anything while it has stopped */
  constructor(singleActive: boolean, service: { readonly stopped: boolean }) {
    this.#singleActive = singleActive;
    this.#service = service;
  }

  get count(): number {
    return this.#all.size;
  }

  /** @throws BrokerError `queue-locked` */
  add(consumer: Consumer): void {
    let locked = consumer.exclusive && this.#all.size > 0;
    if (this.#all.size === 1) for (const other of this.#all) locked ||= other.exclusive;
    if (locked) throw new BrokerError('queue-locked');
    this.#all.add(consumer);
    if (this.#singleActive) {
      consumer.active = this.#active === null;
      if (this.#active === null) this.#active = consumer;
    }
    this.enter(consumer);
  }

  remove(consumer: Consumer): void {
    if (!this.#all.delete(consumer)) return;
    this.#leave(consumer);
    if (this.#active !== consumer) return;
    this.#active = this.#successor();
    if (this.#active === null) return;
    this.#active.active = true;
    this.#active.consumer.activated?.();
    this.enter(this.#active);
  }

  /** It may be able to take more. */
  enter(consumer: Consumer): void {
    if (consumer.next !== null || !consumer.active || !consumer.attached) return;
    const level = this.#levelOf(consumer.priority);
    const { head } = level;
    if (head === null) {
      consumer.next = consumer.previous = consumer;
      level.head = consumer;
      return;
    }
    // Behind all others: just before the head.
    consumer.next = head;
    consumer.previous = head.previous;
    head.previous!.next = consumer;
    head.previous = consumer;
  }

  /** The one whose turn it is, or null when none can take more. */
  ready(): Consumer | null {
    if (this.#service.stopped) return null;
    for (const level of this.#levels) {
      while (level.head !== null) {
        const consumer = level.head;
        if (consumer.ready) return consumer;
        this.#leave(consumer);
      }
    }
    return null;
  }

  /** It got one: the others of its priority come first now. */
  served(consumer: Consumer): void {
    if (consumer.next === null) return;
    const level = this.#levelOf(consumer.priority);
    if (level.head === consumer) level.head = consumer.next;
  }

  #levelOf(priority: number): Level {
    const levels = this.#levels;
    let at = 0;
    while (at < levels.length && levels[at]!.priority > priority) at++;
    if (levels[at]?.priority !== priority) levels.splice(at, 0, { priority, head: null });
    return levels[at]!;
  }

  #leave(consumer: Consumer): void {
    const { next, previous } = consumer;
    if (next === null) return;
    consumer.next = consumer.previous = null;
    const level = this.#levelOf(consumer.priority);
    if (next === consumer) {
      level.head = null;
      // Levels come and go with clients' numbers: an empty one is not kept.
      this.#levels.splice(this.#levels.indexOf(level), 1);
      return;
    }
    next.previous = previous;
    previous!.next = next;
    if (level.head === consumer) level.head = next;
  }

  /** Highest priority, then the longest wait. */
  #successor(): Consumer | null {
    let best: Consumer | null = null;
    for (const consumer of this.#all) {
      if (best === null || consumer.priority > best.priority) best = consumer;
    }
    return best;
  }
}
