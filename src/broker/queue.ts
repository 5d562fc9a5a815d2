/**
 * A queue: messages in order, handed to competing consumers, each finished by its own
 * acknowledgement. One engine for every protocol that acknowledges single messages; it knows none
 * of them. A queue over one stream is a cursor; as soon as messages of other streams are routed to
 * it, it holds references.
 *
 * Invariant: finished + in flight + pending = appended, at every moment (X64, `counts`).
 */
import type { BrokerError } from '#kit';
import type { CursorLane } from './cursor-lane.ts';
import {
  type DeadLetter,
  type DeathReason,
  endWithout,
  type MoveHost,
  Moves,
} from './dead-letter.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { Match } from './interest.ts';
import { KeyOrder } from './key-order.ts';
import type { Message } from './message.ts';
import type { Follower, Partition } from './partition.ts';
import { type ByteSink, QueueSteps } from './queue-codec.ts';
import {
  type Attachment,
  type AttachOptions,
  Consumer,
  type ConsumerHost,
  Consumers,
  type Delivery,
  Flight,
  type QueueConsumer,
} from './queue-consumers.ts';
import type { Item, Lane, LaneOwner } from './queue-lane.ts';
import { type QueueCounts, QueueLanes } from './queue-lanes.ts';
import type { QueueLimits } from './queue-settings.ts';
import { ENDED, type Ended, type QueueState } from './queue-state.ts';
import type { ReferenceLane } from './reference-lane.ts';

/** Messages that are passed over, expired or over a limit, before others get their turn. */
const DISCARDED_PER_TURN = 500;

/** What a queue needs of its broker. */
export interface QueueHost {
  /** Ends of leases, by the monotonic clock. */
  readonly leases: Deadlines;
  /** Ends of messages, by the wall clock. */
  readonly ages: Deadlines;
  /** The queue's durable state has changed: save it with the next entry, without hurry. */
  changed(queue: Queue): void;
  /** The queue has references to append with the next entry. */
  routed(queue: Queue): void;
  /** The offset where references take over has changed. */
  limited(queue: Queue): void;
  /** Makes the lane of references for a priority. */
  makeLane(queue: Queue, priority: number): ReferenceLane;
  /** Calls `queue.comeBack` then, after a restart too when the queue is durable. */
  delay(queue: Queue, position: number, dueMs: number, bytes: number): void;
  /** The dead letter commits together with the state of the queue. */
  together(queue: Queue, published: Message): boolean;
  /** Calls once when messages are taken again. */
  onRoom(call: () => void): void;
  /** Calls at the end of this turn of the event loop. */
  soon(call: () => void): void;
  ended(how: Ended, count: number): void;
  /** Its next message cannot be read from the disk now. */
  unreadable(queue: Queue, error: unknown): void;
  /** A dead letter cannot be stored. */
  undeliverable(queue: Queue, error: BrokerError): void;
}

export interface RequeueOptions {
  /** It is ready again after this long; the queue's backoff when left out, 0 = at once. */
  readonly delayMs?: number;
  /** False: the consumer has not looked at it, so it does not count as a delivery. */
  readonly counted?: boolean;
}

export class Queue implements Follower, LaneOwner, ConsumerHost, MoveHost {
  readonly name: string;
  readonly durable: boolean;
  /** Unique for ever: a queue that is made again under its name has another one. 0: not durable. */
  readonly id: number;
  readonly limits: QueueLimits;
  readonly state: QueueState;
  /**
   * What to store with a reference, from the subscriptions that matched; null: do not route it
   * here. Without it 0 is stored.
   */
  meta: ((message: Message, matches: readonly Match[]) => number | null) | null = null;
  /** The first message leaves at the end of its time even while nobody consumes. */
  watchesHead = false;
  readonly cursor: CursorLane | null;
  readonly #lanes: QueueLanes;
  readonly #host: QueueHost;
  readonly #consumers: Consumers;
  readonly #inFlight = new Map<number, Flight>();
  readonly #keys: KeyOrder | null;
  #deadLetter: DeadLetter | null = null;
  #moves: Moves | null = null;
  #steps: QueueSteps | null = null;
  /** `host.changed` was told, and `writeSteps` not called since. */
  #dirty = false;
  #dispatching = false;
  #loading = false;
  #removed = false;
  readonly #onRemoved = new Set<() => void>();
  readonly #headEnd: Deadline = { dueMs: 0, heapIndex: -1, due: () => this.dispatch() };

  constructor(
    name: string,
    id: number,
    limits: QueueLimits,
    state: QueueState,
    makeCursor: (owner: LaneOwner) => CursorLane | null,
    host: QueueHost,
  ) {
    this.name = name;
    this.id = id;
    this.durable = id !== 0;
    this.limits = limits;
    this.state = state;
    this.#host = host;
    this.#consumers = new Consumers(limits.singleActive);
    this.#keys = limits.keyOrder ? new KeyOrder() : null;
    this.cursor = makeCursor(this);
    this.#lanes = new QueueLanes(this.cursor);
    this.cursor?.partition.follow(this);
  }

  /** Where messages go that are given up; without it they are dropped. */
  get deadLetter(): DeadLetter | null {
    return this.#deadLetter;
  }

  set deadLetter(deadLetter: DeadLetter) {
    this.#deadLetter = deadLetter;
    this.#moves = new Moves(deadLetter, this);
  }

  // ---- what is in it -------------------------------------------------------------------------

  get readyCount(): number {
    return this.#lanes.ready + (this.#keys === null ? 0 : this.#keys.count);
  }

  /** Of the messages that came by reference. */
  get readyBytes(): number {
    return this.#lanes.readyBytes + (this.#keys === null ? 0 : this.#keys.bytes);
  }

  /** Delivered and not finished, or on their way out as dead letters. */
  get unackedCount(): number {
    return this.#inFlight.size + (this.#moves === null ? 0 : this.#moves.count);
  }

  get consumerCount(): number {
    return this.#consumers.count;
  }

  get removed(): boolean {
    return this.#removed;
  }

  get counts(): QueueCounts {
    return this.#lanes.counts(this.state, this.#keys, this.unackedCount);
  }

  get lanes(): QueueLanes {
    return this.#lanes;
  }

  /** True when a publish of so many bytes must be rejected because the queue is full. */
  refuses(bytes: number): boolean {
    const { lengthMax, bytesMax, overflow } = this.limits;
    if (overflow !== 'reject') return false;
    if (this.readyCount + this.#lanes.expected >= lengthMax) return true;
    return bytesMax !== Number.POSITIVE_INFINITY && this.readyBytes + bytes > bytesMax;
  }

  // ---- consumers -----------------------------------------------------------------------------

  /** Adds a consumer; deliveries begin at once. @throws BrokerError `queue-locked` */
  attach(consumer: QueueConsumer, options: AttachOptions = {}): Attachment {
    const { leaseMs } = this.limits;
    const attachment = new Consumer(consumer, options, leaseMs, this.#consumers, this);
    this.#consumers.add(attachment);
    this.dispatch();
    return attachment;
  }

  /**
   * One message, or null when none is ready; it is in flight until `ack`, `requeue`, `reject` or
   * `drop`.
   */
  async get(): Promise<Delivery | null> {
    while (!this.#removed) {
      const item = this.#nextItem();
      if (item === null) return null;
      if (item instanceof Promise) await item;
      else return this.#give(item, null);
    }
    return null;
  }

  /** Finishes a message. False when it is not in flight: its lease has ended, say. */
  ack(position: number, by?: Attachment): boolean {
    return this.#end(position, ENDED.acked, by);
  }

  /** Gives a message up, without a dead letter. */
  drop(position: number, by?: Attachment): boolean {
    return this.#end(position, ENDED.dropped, by);
  }

  /** Gives a message up, as a dead letter where the queue has a place for them. */
  reject(position: number, by?: Attachment): boolean {
    const flight = this.#land(position, by);
    if (flight === null) return false;
    this.#die(flight.item, 'rejected', flight.deliveryCount);
    this.#goOn(flight);
    return true;
  }

  /** Back to its place, now or later; the next delivery says that it is one more. */
  requeue(position: number, options: RequeueOptions = {}, by?: Attachment): boolean {
    const flight = this.#land(position, by);
    if (flight === null) return false;
    this.#return(flight, options);
    if (flight.consumer?.attached) this.#consumers.enter(flight.consumer);
    this.dispatch();
    return true;
  }

  /** The consumer still works on it: its lease begins again. False when it is not in flight. */
  extend(position: number, leaseMs?: number, by?: Attachment): boolean {
    const flight = this.#inFlight.get(position);
    if (flight === undefined || (by !== undefined && flight.consumer !== by)) return false;
    const ms = leaseMs ?? flight.consumer?.leaseMs ?? this.limits.leaseMs;
    if (ms > 0) this.#host.leases.set(flight, this.#host.leases.nowMs() + ms);
    return true;
  }

  /** Drops what is ready. @returns how many that were */
  purge(): number {
    let count = 0;
    for (const lane of this.#lanes.all) {
      lane.purge((from, positions, finished, bytes) => {
        count += finished;
        this.#countEnds(lane, from, positions, ENDED.dropped, finished, bytes);
      });
    }
    for (const item of this.#keys?.takeAll() ?? []) {
      count++;
      this.#finish(item, ENDED.dropped);
    }
    this.changed();
    return count;
  }

  // ---- what comes in -------------------------------------------------------------------------

  /** Routes a message here: its reference is stored with the entry that stores the message. */
  route(message: Message, meta: number): void {
    const { priorities } = this.limits;
    const priority = priorities === 0 ? 0 : Math.max(0, Math.min(priorities, message.priority));
    const lane = this.#lanes.ofPriority(priority) ?? this.addLane(priority);
    lane.push(message, meta);
    if (this.durable) this.#host.routed(this);
    else if (message.partition === null) this.committed();
  }

  /** Makes the lane of references for a priority. */
  addLane(priority: number): ReferenceLane {
    const lane = this.#host.makeLane(this, priority);
    lane.committed = () => this.committed();
    this.#lanes.add(lane, priority);
    return lane;
  }

  /** From here on the queue's own stream comes by reference too, in one order with the rest. */
  holdReferences(): void {
    const { cursor } = this;
    if (cursor === null || cursor.limit !== Number.POSITIVE_INFINITY) return;
    cursor.limit = Math.max(cursor.partition.endOffset, cursor.state.acks.floor);
  }

  /** True when records of its own stream must be routed to it like others. */
  get referencesOnly(): boolean {
    return this.cursor !== null && this.cursor.limit !== Number.POSITIVE_INFINITY;
  }

  committed(): void {
    if (this.#lanes.settle()) this.#host.routed(this);
    this.#moves?.retry();
    this.dispatch();
  }

  failed(partition: Partition, fromOffset: number): void {
    for (const lane of this.#lanes.references) lane.failed(partition, fromOffset);
    const { cursor } = this;
    if (cursor?.partition === partition && this.referencesOnly && cursor.limit > fromOffset) {
      // These offsets will be given again, and what gets them comes by reference.
      cursor.limit = fromOffset;
      this.#host.limited(this);
    }
    this.committed();
  }

  stored(_: Partition, __: number, done: (error: BrokerError | null) => void): void {
    this.#lanes.whenStored(done);
  }

  /** A delayed message is ready again. */
  comeBack(position: number, bytes: number): void {
    const lane = this.#lanes.of(position);
    if (lane === undefined || !lane.comeBack(position - lane.base, bytes)) return;
    this.#stepsMade().undelay(lane.number, position - lane.base, bytes);
    this.changed();
    this.dispatch();
  }

  /** First offset of a partition that this queue still needs, or Infinity. */
  firstOffset(partition: Partition): number {
    return this.#lanes.firstOffset(partition);
  }

  // ---- what is saved -------------------------------------------------------------------------

  /** Writes what has changed since the last call, for the entry that is about to be sealed. */
  writeSteps(sink: ByteSink): void {
    this.#moves?.seal();
    this.#dirty = false;
    const steps = this.#stepsMade();
    for (const lane of this.#lanes.all) {
      const { deliveredTo } = lane.state;
      if (deliveredTo === lane.deliveredSaved) continue;
      lane.deliveredSaved = deliveredTo;
      steps.delivered(lane.number, deliveredTo);
    }
    steps.write(sink, this.id);
  }

  changed(): void {
    if (!this.durable || this.#dirty || this.#removed) return;
    this.#dirty = true;
    this.#host.changed(this);
  }

  /** Calls when the queue is removed. @returns a function that ends it */
  onRemoved(listener: () => void): () => void {
    this.#onRemoved.add(listener);
    return () => this.#onRemoved.delete(listener);
  }

  /** Ends the queue: consumers are told, nothing is delivered any more. */
  end(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.cursor?.partition.unfollow(this);
    this.#host.ages.clear(this.#headEnd);
    for (const flight of this.#inFlight.values()) this.#host.leases.clear(flight);
    for (const listener of [...this.#onRemoved]) listener();
    this.#onRemoved.clear();
  }

  // ---- delivering ----------------------------------------------------------------------------

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
    const consumer = this.#consumers.ready();
    if (consumer === null && !this.#over && !this.watchesHead) return false;
    const item = this.#nextItem();
    if (item === null) return false;
    if (item instanceof Promise) {
      this.#load(item);
      return false;
    }
    if (consumer !== null) {
      // Only a delivery passes the turn on, not a look that found nothing.
      this.#consumers.served(consumer);
      consumer.consumer.deliver(this.#give(item, consumer));
      return true;
    }
    if (this.#over) {
      this.#takeItem(item);
      this.#die(item, 'max-length', this.#attemptsOf(item));
      return this.#moves?.stuck !== true;
    }
    const endsAt = this.#endsAt(item.message);
    if (endsAt !== 0) this.#host.ages.set(this.#headEnd, endsAt);
    return false;
  }

  #load(reading: Promise<void>): void {
    this.#loading = true;
    reading.then(
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
  }

  /** More is ready than may be. */
  get #over(): boolean {
    const { lengthMax, bytesMax, overflow } = this.limits;
    if (overflow === 'reject') return false;
    if (lengthMax !== Number.POSITIVE_INFINITY && this.readyCount > lengthMax) return true;
    return bytesMax !== Number.POSITIVE_INFINITY && this.readyBytes > bytesMax;
  }

  /** The next message to deliver. Those that have expired leave, those behind their key wait. */
  #nextItem(): Item | null | Promise<void> {
    for (let passed = 0; passed < DISCARDED_PER_TURN; passed++) {
      if (this.#moves?.stuck === true) return null;
      const item = this.#peek();
      if (item === null || item instanceof Promise) return item;
      const endsAt = this.#endsAt(item.message);
      if (endsAt !== 0 && this.#host.ages.nowMs() >= endsAt) {
        this.#takeItem(item);
        this.#die(item, 'expired', this.#attemptsOf(item));
        continue;
      }
      const keys = this.#keys;
      if (keys === null || item === keys.free || !keys.blocks(item)) return item;
      if (keys.full) return null;
      this.#lanes.of(item.position)!.take(item);
      keys.park(item);
    }
    return new Promise((resolve) => this.#host.soon(resolve));
  }

  #peek(): Item | null | Promise<void> {
    const found = this.#lanes.peek();
    const free = this.#keys === null ? null : this.#keys.free;
    if (free === null) return found;
    const later = found === null || found instanceof Promise || free.position < found.position;
    return later ? free : found;
  }

  /** Wall clock at which the message expires; 0 = never. */
  #endsAt(message: Message): number {
    const { ttlMs } = this.limits;
    if (ttlMs < 0) return message.expiresAtMs;
    const byAge = message.appendTimeMs + ttlMs;
    return message.expiresAtMs === 0 ? byAge : Math.min(byAge, message.expiresAtMs);
  }

  /** Removes the next message from where it was. */
  #takeItem(item: Item): void {
    if (item === this.#keys?.free) this.#keys.takeFree();
    else this.#lanes.of(item.position)!.take(item);
  }

  #give(item: Item, consumer: Consumer | null): Flight {
    this.#takeItem(item);
    const lane = this.#lanes.of(item.position)!;
    const local = item.position - lane.base;
    const count = this.#attemptsOf(item) + 1;
    const redelivered = count > 1 || local < lane.deliveredBefore;
    const flight = new Flight(item, redelivered, count, consumer, this);
    this.#inFlight.set(item.position, flight);
    consumer?.took(flight);
    this.#keys?.begin(item);
    const leaseMs = consumer === null ? this.limits.leaseMs : consumer.leaseMs;
    if (leaseMs > 0) this.#host.leases.set(flight, this.#host.leases.nowMs() + leaseMs);
    if (lane.delivered(local)) this.changed();
    return flight;
  }

  #attemptsOf(item: Item): number {
    const lane = this.#lanes.of(item.position)!;
    const { attempts } = lane.state;
    return attempts.size === 0 ? 0 : (attempts.get(item.position - lane.base) ?? 0);
  }

  // ---- ending --------------------------------------------------------------------------------

  /** Takes a delivery out of flight; null when it is not there, or not that consumer's. */
  #land(position: number, by: Attachment | undefined): Flight | null {
    const flight = this.#inFlight.get(position);
    if (flight === undefined || (by !== undefined && flight.consumer !== by)) return null;
    this.#inFlight.delete(position);
    if (flight.heapIndex >= 0) this.#host.leases.clear(flight);
    return flight;
  }

  #end(position: number, how: Ended, by: Attachment | undefined): boolean {
    const flight = this.#land(position, by);
    if (flight === null) return false;
    this.#finish(flight.item, how);
    this.#goOn(flight);
    return true;
  }

  /** A place in the consumer's window has come free, or another message of the same key may go. */
  #goOn(flight: Flight): void {
    const { consumer } = flight;
    const room = consumer?.settled(flight) === true;
    if (room) this.#consumers.enter(consumer!);
    if (room || this.#keys !== null) this.dispatch();
  }

  #finish(item: Item, how: Ended): void {
    const lane = this.#lanes.of(item.position)!;
    const bytes = lane.ended(item);
    this.#countEnds(lane, item.position - lane.base, 1, how, 1, bytes);
    this.#keys?.end(item);
  }

  #countEnds(
    lane: Lane,
    from: number,
    positions: number,
    how: Ended,
    finished: number,
    bytes: number,
  ): void {
    this.state.ended[how]! += finished;
    if (how !== ENDED.acked) this.#host.ended(how, finished);
    if (!this.durable) return;
    this.#stepsMade().finish(lane.number, from, positions, how, bytes);
    this.changed();
  }

  gone(lane: Lane, from: number, count: number, bytes: number): void {
    const finished = lane.state.finish(from, count, bytes);
    this.#countEnds(lane, from, count, ENDED.gone, finished, bytes);
  }

  #return(flight: Flight, options: RequeueOptions): void {
    const { item } = flight;
    flight.consumer?.settled(flight);
    const attempts = flight.deliveryCount - (options.counted === false ? 1 : 0);
    const { maxDeliveries, backoffMs } = this.limits;
    if (maxDeliveries > 0 && attempts >= maxDeliveries) {
      this.#die(item, 'max-deliveries', attempts);
      return;
    }
    const lane = this.#lanes.of(item.position)!;
    const local = item.position - lane.base;
    if (attempts > 0) {
      lane.state.attempts.set(local, attempts);
      if (this.durable) this.#stepsMade().attempts(lane.number, local, attempts);
    }
    const backoff = backoffMs[Math.min(attempts, backoffMs.length) - 1] ?? 0;
    const delayMs = options.delayMs ?? backoff;
    if (delayMs > 0) {
      const bytes = lane.delay(item);
      if (this.durable) this.#stepsMade().delay(lane.number, local, bytes);
      this.#host.delay(this, item.position, this.#host.ages.nowMs() + delayMs, bytes);
    } else lane.giveBack(item);
    this.changed();
  }

  leaseEnded(flight: Flight): void {
    if (this.#land(flight.position, undefined) === null) return;
    this.#return(flight, {});
    flight.consumer?.consumer.lost?.(flight);
    this.dispatch();
  }

  detached(consumer: Consumer, keep: boolean): void {
    this.#consumers.remove(consumer);
    if (!keep) {
      const flights: Flight[] = [];
      for (let flight = consumer.flights; flight !== null; flight = flight.after) {
        flights.push(flight);
      }
      for (const flight of flights.reverse()) {
        this.#land(flight.position, undefined);
        this.#return(flight, { delayMs: 0 });
      }
    }
    this.dispatch();
  }

  // ---- dead letters --------------------------------------------------------------------------

  /** A message that was taken is given up. */
  #die(item: Item, reason: DeathReason, deliveryCount: number): void {
    if (this.#moves === null) this.#finish(item, endWithout(reason));
    else this.#moves.start(item, reason, deliveryCount);
  }

  left(item: Item, how: Ended): void {
    this.#finish(item, how);
    if (this.#keys !== null) this.dispatch();
  }

  together(published: Message): boolean {
    return this.#host.together(this, published);
  }

  onRoom(call: () => void): void {
    this.#host.onRoom(call);
  }

  undeliverable(error: BrokerError): void {
    this.#host.undeliverable(this, error);
  }

  #stepsMade(): QueueSteps {
    this.#steps ??= new QueueSteps();
    return this.#steps;
  }
}
