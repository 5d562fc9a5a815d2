/**
 * A queue: messages in order, handed to competing consumers, each finished by its own
 * acknowledgement. One engine for every protocol that acknowledges single messages; it knows none
 * of them. A queue over one stream is a cursor; as soon as messages of other streams are routed to
 * it, it holds references.
 *
 * Invariant: finished + in flight + pending = appended, at every moment (X64, `counts`).
 */
import type { BrokerError } from '#kit';
import type { Match } from '../addresses/interest.ts';
import type { Message } from '../records/message.ts';
import type { Follower, Partition } from '../streams/partition.ts';
import type { CursorLane } from './cursor-lane.ts';
import { type DeadLetter, type DeathReason, endWithout, Moves } from './dead-letter.ts';
import { EarlyDeliveries } from './early-deliveries.ts';
import { HeadWatch } from './head-watch.ts';
import type { ByteSink } from './queue-codec.ts';
import {
  type Attachment,
  type AttachOptions,
  Consumer,
  type ConsumerHost,
  Consumers,
  type Delivery,
  type Flight,
  type QueueConsumer,
} from './queue-consumers.ts';
import { QueueFlights } from './queue-flights.ts';
import { QueueHead } from './queue-head.ts';
import type { QueueHost, RequeueOptions } from './queue-host.ts';
import type { Item, Lane, LaneOwner } from './queue-lane.ts';
import { type QueueCounts, QueueLanes } from './queue-lanes.ts';
import { QueueLedger } from './queue-ledger.ts';
import type { QueueLimits } from './queue-settings.ts';
import { ENDED, type Ended, type QueueState } from './queue-state.ts';
import type { ReferenceLane } from './reference-lane.ts';

/** Messages that are passed over, expired or over a limit, before others get their turn. */
const DISCARDED_PER_TURN = 500;

export class Queue implements Follower, LaneOwner, ConsumerHost {
  readonly name: string;
  readonly durable: boolean;
  /** Unique for ever: a queue that is made again under its name has another one. 0: not durable. */
  readonly id: number;
  /** Its owner may change how often messages are delivered, and the waits between. */
  limits: QueueLimits;
  readonly state: QueueState;
  /**
   * What to store with a reference (without it 0), from what matched; null: do not route it here.
   */
  meta: ((message: Message, matches: readonly Match[]) => number | null) | null = null;
  readonly cursor: CursorLane | null;
  readonly #lanes: QueueLanes;
  readonly #host: QueueHost;
  readonly #consumers: Consumers;
  readonly #flights: QueueFlights;
  readonly #ledger: QueueLedger;
  readonly #head: QueueHead;
  readonly watch: HeadWatch;
  readonly #early: EarlyDeliveries;
  #moves: Moves | null = null;
  #dispatching = false;
  /** Its next message is being read. */
  loading = false;
  #removed = false;
  readonly #onRemoved = new Set<() => void>();

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
    this.#consumers = new Consumers(limits.singleActive, host);
    this.#flights = new QueueFlights(host.leases, limits.leaseMs, this);
    this.#ledger = new QueueLedger(
      state,
      this.durable ? () => this.#removed || host.changed(this) : null,
      host.ended,
    );
    this.cursor = makeCursor(this);
    this.#lanes = new QueueLanes(this.cursor);
    this.#head = new QueueHead(this.#lanes, limits);
    this.watch = new HeadWatch(host.ages, () => this.dispatch());
    this.#early = new EarlyDeliveries(this.cursor, this.#consumers, this.#ledger, limits, this);
    this.cursor?.partition.follow(this);
  }

  /** Where messages go that are given up; without it they are dropped. */
  set deadLetter(deadLetter: DeadLetter) {
    this.#moves = new Moves(deadLetter, this, this.#host);
  }

  /** The first message leaves at the end of its time even while nobody consumes. */
  set watchesHead(watches: boolean) {
    this.watch.on = watches;
    // What came before a restart: nothing else would look at it before something new comes. Not in
    // this turn, in which those may still be opened who get the dead letters.
    if (watches && this.readyCount > 0) this.watch.soon();
  }

  // ---- what is in it -------------------------------------------------------------------------

  get readyCount(): number {
    return this.#head.ready;
  }

  /** Of the messages that came by reference. */
  get readyBytes(): number {
    return this.#head.readyBytes;
  }

  /** Delivered and not finished or not yet committed, or on their way out as dead letters. */
  get unackedCount(): number {
    const moving = this.#moves === null ? 0 : this.#moves.count;
    return this.#flights.count + this.#early.count + moving;
  }

  get consumerCount(): number {
    return this.#consumers.count;
  }

  get removed(): boolean {
    return this.#removed;
  }

  get counts(): QueueCounts {
    return this.#lanes.counts(this.state, this.#head.keys, this.unackedCount);
  }

  get lanes(): QueueLanes {
    return this.#lanes;
  }

  /** True when a publish of so many bytes must be rejected because the queue is full. */
  refuses(bytes: number): boolean {
    return this.#head.refuses(bytes);
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
    while (!this.#removed && !this.#host.stopped) {
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
    const flight = this.#flights.land(position, by);
    if (flight === null) return false;
    this.#die(flight.item, 'rejected', flight.deliveryCount);
    this.#goOn(flight);
    return true;
  }

  /** Back to its place, now or later; the next delivery says that it is one more. */
  requeue(position: number, options: RequeueOptions = {}, by?: Attachment): boolean {
    const flight = this.#flights.land(position, by);
    if (flight === null) return false;
    this.#return(flight, options);
    if (flight.consumer?.attached) this.#consumers.enter(flight.consumer);
    this.dispatch();
    return true;
  }

  /** The consumer still works on it: its lease begins again. False when it is not in flight. */
  extend(position: number, leaseMs?: number, by?: Attachment): boolean {
    return this.#flights.extend(position, leaseMs, by);
  }

  /** Drops what is ready. @returns how many that were */
  purge(): number {
    let count = 0;
    for (const lane of this.#lanes.all) count += this.#ledger.purge(lane);
    for (const item of this.#head.keys?.takeAll((at) => this.#busy(at)) ?? []) {
      count++;
      this.#finish(item, ENDED.dropped);
    }
    return count;
  }

  #busy(position: number): boolean {
    const lane = this.#lanes.of(position)!;
    return (
      this.#flights.has(position) ||
      lane.state.delayed.has(position - lane.base) ||
      this.#moves?.has(position) === true
    );
  }

  // ---- what comes in -------------------------------------------------------------------------

  /** Routes a message here: its reference is stored with the entry that stores the message. */
  route(message: Message, meta: number): void {
    const { priorities } = this.limits;
    const priority = priorities === 0 ? 0 : Math.max(0, Math.min(priorities, message.priority));
    const lane = this.#lanes.ofPriority(priority) ?? this.addLane(priority);
    lane.push(message, meta);
    if (this.durable) this.#host.routed(this);
    else this.#host.arrived(this);
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

  offered(message: Message): boolean {
    return !this.#dispatching && this.#moves?.stuck !== true && this.#early.offer(message);
  }

  committed(): void {
    this.#early.committed();
    if (this.#lanes.settle()) this.#host.routed(this);
    this.#moves?.retry();
    this.dispatch();
  }

  failed(partition: Partition, fromOffset: number): void {
    for (const lane of this.#lanes.references) lane.failed(partition, fromOffset);
    const { cursor } = this;
    if (cursor?.partition === partition) this.#early.failed(fromOffset);
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
    this.#ledger.cameBack(lane, position - lane.base, bytes);
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
    this.#ledger.write(sink, this.id, this.#lanes.all);
    // Ends let others of their keys go, and these may have died at once.
    if (this.#moves?.unsealed === true) this.changed();
  }

  changed(): void {
    this.#ledger.changed();
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
    this.watch.close();
    this.#flights.end();
    for (const listener of [...this.#onRemoved]) listener();
    this.#onRemoved.clear();
  }

  // ---- delivering ----------------------------------------------------------------------------

  /** Delivers while a consumer is ready and a message is in memory. */
  dispatch(): void {
    // A consumer that acknowledges or detaches inside `deliver` comes back here: the loop goes on.
    if (this.#dispatching || this.loading) return;
    this.#dispatching = true;
    try {
      while (!this.#removed && this.#step());
    } finally {
      this.#dispatching = false;
    }
  }

  #step(): boolean {
    const consumer = this.#consumers.ready();
    if (consumer === null && !this.#head.over && !this.watch.on) return false;
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
      if (consumer.finishes) this.#finish(item, ENDED.acked);
      return true;
    }
    if (this.#head.over) {
      this.#head.take(item);
      this.#die(item, 'max-length', this.#lanes.attemptsOf(item));
      return this.#moves?.stuck !== true;
    }
    this.watch.until(this.#head.endsAt(item.message));
    return false;
  }

  #load(reading: Promise<void>): void {
    this.loading = true;
    reading.then(
      () => {
        this.loading = false;
        this.#host.readable(this);
        this.dispatch();
      },
      (error: unknown) => {
        // Tried again when something new comes, a consumer asks, or an object store is back: a loop
        // would not heal a disk.
        this.loading = false;
        this.#host.unreadable(this, error);
      },
    );
  }

  /** The next message to deliver. Those that have expired leave, those behind their key wait. */
  #nextItem(): Item | null | Promise<void> {
    for (let passed = 0; passed < DISCARDED_PER_TURN; passed++) {
      if (this.#moves?.stuck === true) return null;
      const item = this.#head.peek();
      if (item === null || item instanceof Promise) return item;
      const endsAt = this.#head.endsAt(item.message);
      if (endsAt !== 0 && this.#host.ages.nowMs() >= endsAt) {
        this.#head.take(item);
        this.#die(item, 'expired', this.#lanes.attemptsOf(item));
      } else if (!this.#head.waits(item)) return item;
      else if (!this.#head.setAside(item)) return null;
    }
    return new Promise((resolve) => this.#host.soon(resolve));
  }

  #give(item: Item, consumer: Consumer | null): Flight {
    this.#head.take(item);
    const lane = this.#lanes.of(item.position)!;
    const local = item.position - lane.base;
    const count = this.#lanes.attemptsOf(item) + 1;
    const redelivered = count > 1 || local < lane.deliveredBefore;
    const flight = this.#flights.begin(item, redelivered, count, consumer);
    this.#head.keys?.begin(item);
    if (lane.delivered(local)) this.changed();
    return flight;
  }

  // ---- ending --------------------------------------------------------------------------------

  #end(position: number, how: Ended, by: Attachment | undefined): boolean {
    const flight = this.#flights.land(position, by);
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
    if (room || this.#head.keys !== null) this.dispatch();
  }

  #finish(item: Item, how: Ended): void {
    const lane = this.#lanes.of(item.position)!;
    const bytes = lane.ended(item);
    this.#ledger.ended(lane, item.position - lane.base, 1, how, 1, bytes);
    this.#head.keys?.end(item);
  }

  gone(lane: Lane, from: number, count: number, bytes: number): void {
    const finished = lane.state.finish(from, count, bytes);
    this.#ledger.ended(lane, from, count, ENDED.gone, finished, bytes);
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
    if (attempts > 0) this.#ledger.attempts(lane, local, attempts);
    const backoff = backoffMs[Math.min(attempts, backoffMs.length) - 1] ?? 0;
    const delayMs = options.delayMs ?? backoff;
    if (delayMs > 0) {
      const bytes = lane.delay(item);
      this.#ledger.delayed(lane, local, bytes);
      this.#host.delay(this, item.position, this.#host.ages.nowMs() + delayMs, bytes);
    } else lane.giveBack(item);
  }

  leaseEnded(flight: Flight): void {
    if (this.#flights.land(flight.position) === null) return;
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
        this.#flights.land(flight.position);
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
    if (this.#head.keys !== null) this.dispatch();
  }
}
