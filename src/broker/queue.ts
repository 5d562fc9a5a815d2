/**
 * A queue: messages in order, handed to competing consumers, each finished by its own
 * acknowledgement. One engine for every protocol that acknowledges single messages; it knows none
 * of them. A queue over one stream is a cursor; as soon as messages of other streams are routed to
 * it, it holds references.
 *
 * Invariant: finished + in flight + ready = routed, at every moment (X64).
 */
import type { BrokerError } from '#kit';
import type { AckState } from './ack-state.ts';
import type { Match } from './interest.ts';
import type { Message } from './message.ts';
import type { Follower, Partition } from './partition.ts';
import { type CursorLane, type Item, REFERENCE_BASE, type ReferenceLane } from './queue-lanes.ts';

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
  /** True when it takes another delivery now: credit and room to write. */
  ready(): boolean;
  deliver(delivery: Delivery): void;
}

export interface Attachment {
  /** Says that `ready()` may have become true. */
  wake(): void;
  /**
   * Ends it: what it had not finished goes back to its place, redelivered; with `keep` it stays in
   * flight until each is finished or requeued.
   */
  detach(keep?: boolean): void;
}

/** What a queue needs of its broker. */
export interface QueueHost {
  nowMs(): number;
  /** The queue's durable state has changed: save it with the next entry, without hurry. */
  changed(queue: Queue): void;
  /** The queue has references to append with the next entry. */
  routed(queue: Queue): void;
  expired(queue: Queue): void;
  dropped(queue: Queue): void;
  /** Its next message cannot be read from the disk now. */
  unreadable(queue: Queue, error: unknown): void;
}

interface InFlight {
  readonly item: Item;
  readonly attachment: Consumer | null;
}

class Consumer implements Attachment {
  readonly queue: Queue;
  readonly consumer: QueueConsumer;
  attached = true;

  constructor(queue: Queue, consumer: QueueConsumer) {
    this.queue = queue;
    this.consumer = consumer;
  }

  wake(): void {
    if (this.attached) this.queue.dispatch();
  }

  detach(keep = false): void {
    if (!this.attached) return;
    this.attached = false;
    this.queue.detached(this, keep);
  }
}

/** What is saved of a queue; positions are numbers of its lanes. */
export interface QueueState {
  readonly floors: readonly number[];
  readonly ranges: readonly (readonly (readonly [number, number])[])[];
  /** Positions below, in the order of the lanes, may have been delivered. */
  readonly deliveredTo: number;
  readonly attempts: readonly (readonly [position: number, count: number])[];
}

/** Delivery counts that are saved; beyond it the oldest ones are, the rest begins again at 1. */
const SAVED_ATTEMPTS_MAX = 1000;

export class Queue implements Follower {
  readonly name: string;
  readonly durable: boolean;
  /** Ready messages beyond this are dropped, oldest first; Infinity = no limit. */
  lengthMax = Number.POSITIVE_INFINITY;
  /**
   * What to store with a reference, from the subscriptions that matched; null: do not route it
   * here. Without it 0 is stored.
   */
  meta: ((message: Message, matches: readonly Match[]) => number | null) | null = null;
  /** Expired messages are delivered like others, for consumers that do something with them. */
  deliverExpired = false;
  readonly cursor: CursorLane | null;
  readonly references: ReferenceLane;
  readonly #host: QueueHost;
  readonly #consumers: Consumer[] = [];
  #turn = 0;
  readonly #inFlight = new Map<number, InFlight>();
  /** Went back after a delivery, by position. */
  readonly #returned: Item[] = [];
  readonly #attempts: Map<number, number>;
  #deliveredTo: number;
  /** Deliveries below this may have happened before the start. */
  readonly #deliveredBefore: number;
  #dispatching = false;
  #loading = false;
  #removed = false;
  readonly #onRemoved = new Set<() => void>();

  constructor(
    name: string,
    durable: boolean,
    cursor: CursorLane | null,
    references: ReferenceLane,
    host: QueueHost,
    state: Pick<QueueState, 'deliveredTo' | 'attempts'>,
  ) {
    this.name = name;
    this.durable = durable;
    this.cursor = cursor;
    this.references = references;
    this.#host = host;
    this.#attempts = new Map(state.attempts);
    this.#deliveredTo = this.#deliveredBefore = state.deliveredTo;
    cursor?.partition.follow(this);
  }

  get readyCount(): number {
    return (this.cursor?.ready ?? 0) + this.references.ready + this.#returned.length;
  }

  get unackedCount(): number {
    return this.#inFlight.size;
  }

  get consumerCount(): number {
    return this.#consumers.length;
  }

  get removed(): boolean {
    return this.#removed;
  }

  /** Adds a consumer; deliveries begin at once. */
  attach(consumer: QueueConsumer): Attachment {
    const attachment = new Consumer(this, consumer);
    this.#consumers.push(attachment);
    this.dispatch();
    return attachment;
  }

  /** One message, or null when none is ready; it is in flight until `ack`, `requeue` or `drop`. */
  async get(): Promise<Delivery | null> {
    while (!this.#removed) {
      const item = this.#head();
      if (item === null) return null;
      if (item instanceof Promise) {
        await item;
        continue;
      }
      if (this.#discardExpired(item)) continue;
      this.#take(item);
      return this.#delivery(item, null);
    }
    return null;
  }

  /** Finishes a message. Positions that are not in flight are ignored. */
  ack(position: number): void {
    if (!this.#inFlight.delete(position)) return;
    this.#finish(position);
  }

  /** The same as `ack` for this queue: the message is given up. */
  drop(position: number): void {
    this.ack(position);
  }

  /** Back to its place; the next delivery says that it is one more. */
  requeue(position: number): void {
    const flight = this.#inFlight.get(position);
    if (flight === undefined) return;
    this.#inFlight.delete(position);
    this.#return(flight.item);
    this.dispatch();
  }

  /** Drops what is ready. @returns how many that were */
  purge(): number {
    let count = this.#returned.length;
    for (const item of this.#returned.splice(0)) this.#finish(item.position);
    count += (this.cursor?.purge() ?? 0) + this.references.purge();
    this.#host.changed(this);
    return count;
  }

  /** Calls when the queue is removed. @returns a function that ends it */
  onRemoved(listener: () => void): () => void {
    this.#onRemoved.add(listener);
    return () => this.#onRemoved.delete(listener);
  }

  /** Routes a message here: its reference is stored with the entry that stores the message. */
  route(message: Message, meta: number): void {
    this.references.push(message, meta);
    if (this.durable) this.#host.routed(this);
    else if (message.partition === null) this.committed();
  }

  /** From here on the queue's own stream comes by reference too, in one order with the rest. */
  holdReferences(): void {
    const { cursor } = this;
    if (cursor === null || cursor.limit !== Number.POSITIVE_INFINITY) return;
    cursor.limit = cursor.partition.endOffset;
  }

  /** True when records of its own stream must be routed to it like others. */
  get referencesOnly(): boolean {
    return this.cursor !== null && this.cursor.limit !== Number.POSITIVE_INFINITY;
  }

  committed(): void {
    this.references.settle();
    if (this.lengthMax !== Number.POSITIVE_INFINITY) this.#dropOverLimit();
    this.dispatch();
  }

  failed(partition: Partition, fromOffset: number): void {
    this.references.failed(partition, fromOffset);
    this.committed();
  }

  /** Appends new references. Called before an entry is sealed, after the messages' own batches. */
  seal(): void {
    this.references.seal((error: BrokerError | null) => {
      if (error === null) this.committed();
    });
  }

  /** First offset of a partition that this queue still needs, or Infinity. */
  firstOffset(partition: Partition): number {
    const own = this.cursor?.partition === partition ? this.cursor.acks.floor : Infinity;
    const limit = this.cursor?.limit ?? 0;
    return Math.min(own < limit ? own : Infinity, this.references.firstOffset(partition));
  }

  state(): QueueState {
    const lanes: AckState[] = [this.references.acks];
    if (this.cursor !== null) lanes.unshift(this.cursor.acks);
    return {
      floors: lanes.map((acks) => acks.floor),
      ranges: lanes.map((acks) => acks.ranges),
      deliveredTo: this.#deliveredTo,
      attempts: [...this.#attempts].slice(0, SAVED_ATTEMPTS_MAX),
    };
  }

  /** Delivers while a consumer is ready and a message is in memory. */
  dispatch(): void {
    // A consumer that acknowledges or detaches inside `deliver` comes back here: the loop goes on.
    if (this.#dispatching || this.#loading) return;
    this.#dispatching = true;
    try {
      while (!this.#removed && this.#step());
    } finally {
      this.#dispatching = false;
    }
  }

  #step(): boolean {
    const consumer = this.#readyConsumer();
    if (consumer === null) return false;
    const item = this.#head();
    if (item === null) return false;
    if (item instanceof Promise) {
      this.#loading = true;
      item.then(
        () => {
          this.#loading = false;
          this.dispatch();
        },
        (error: unknown) => {
          // Tried again when something new comes or a consumer asks: a loop would not heal a disk.
          this.#loading = false;
          this.#host.unreadable(this, error);
        },
      );
      return false;
    }
    if (this.#discardExpired(item)) return true;
    this.#take(item);
    // Only a delivery passes the turn on, not a look that found nothing.
    this.#turn = this.#consumers.indexOf(consumer) + 1;
    consumer.consumer.deliver(this.#delivery(item, consumer));
    return true;
  }

  #readyConsumer(): Consumer | null {
    const count = this.#consumers.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#turn + step) % count;
      const consumer = this.#consumers[index]!;
      if (consumer.consumer.ready()) return consumer;
    }
    return null;
  }

  #head(): Item | null | Promise<void> {
    const returned = this.#returned[0];
    if (returned !== undefined) return returned;
    // References begin where the cursor ends, so its lane comes first.
    return this.cursor?.peek() ?? this.references.peek();
  }

  /** Removes the head, which `item` is, from where it was. */
  #take(item: Item): void {
    if (this.#returned[0] === item) this.#returned.shift();
    else if (item.position >= REFERENCE_BASE) this.references.shift();
    else this.cursor!.shift();
  }

  #delivery(item: Item, attachment: Consumer | null): Delivery {
    const count = (this.#attempts.get(item.position) ?? 0) + 1;
    const redelivered = count > 1 || item.position < this.#deliveredBefore;
    this.#inFlight.set(item.position, { item, attachment });
    if (item.position >= this.#deliveredTo) this.#deliveredTo = item.position + 1;
    this.#host.changed(this);
    return {
      position: item.position,
      message: item.message,
      redelivered,
      deliveryCount: count,
      meta: item.meta,
    };
  }

  #discardExpired(item: Item): boolean {
    if (this.deliverExpired || !item.message.expired(this.#host.nowMs())) return false;
    this.#take(item);
    this.#finish(item.position);
    this.#host.expired(this);
    return true;
  }

  #finish(position: number): void {
    if (this.#attempts.size > 0) this.#attempts.delete(position);
    if (position >= REFERENCE_BASE) this.references.acks.add(position);
    else this.cursor!.acks.add(position);
    this.#host.changed(this);
  }

  #return(item: Item): void {
    this.#attempts.set(item.position, (this.#attempts.get(item.position) ?? 0) + 1);
    const returned = this.#returned;
    let low = 0;
    let high = returned.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (returned[middle]!.position < item.position) low = middle + 1;
      else high = middle;
    }
    returned.splice(low, 0, item);
    this.#host.changed(this);
  }

  #dropOverLimit(): void {
    while (this.readyCount > this.lengthMax) {
      const returned = this.#returned.shift();
      if (returned !== undefined) this.#finish(returned.position);
      else if (this.cursor?.drop() !== true && !this.references.drop()) return;
      this.#host.dropped(this);
      this.#host.changed(this);
    }
  }

  detached(consumer: Consumer, keep: boolean): void {
    const index = this.#consumers.indexOf(consumer);
    if (index >= 0) this.#consumers.splice(index, 1);
    if (keep) return;
    for (const [position, flight] of [...this.#inFlight]) {
      if (flight.attachment !== consumer) continue;
      this.#inFlight.delete(position);
      this.#return(flight.item);
    }
    this.dispatch();
  }

  /** Ends the queue: consumers are told, nothing is delivered any more. */
  end(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.cursor?.partition.unfollow(this);
    for (const listener of [...this.#onRemoved]) listener();
    this.#onRemoved.clear();
  }
}
