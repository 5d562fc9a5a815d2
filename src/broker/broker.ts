/**
 * The broker: what all protocols share. It finds the home of a message, stores it once, hands it to
 * whoever is interested, and tells the publisher when it is on disk. It speaks no protocol's
 * language.
 */
import { BrokerError, type Clock, type Log, type Metrics, type Random, type Timers } from '#kit';
import type { MetaStore } from '#meta';
import type { Appended, BatchFacts, EngineHealth, LogEngine } from '#storage';
import { type Address, flatAddress } from './addresses/address.ts';
import {
  Interest,
  type Plan,
  type Subscription,
  type SubscriptionRequest,
} from './addresses/interest.ts';
import { type Home, type HomeRule, Routes } from './addresses/routes.ts';
import { ColdQueues } from './cold/cold-queues.ts';
import type { DeriveKey } from './principals/derive-key.ts';
import type { Place } from './principals/place.ts';
import type { Principal } from './principals/principal.ts';
import { type Credentials, type Origination, Principals } from './principals/principals.ts';
import type { Action } from './principals/rule.ts';
import type { Queue } from './queues/queue.ts';
import { Queues } from './queues/queues.ts';
import { Routing } from './queues/routing.ts';
import { Quotas } from './quotas/quotas.ts';
import { CONTROL, TRANSACTIONAL } from './records/batch-layout.ts';
import type { Message } from './records/message.ts';
import { Cursors } from './state/cursors.ts';
import { Dedupe } from './state/dedupe.ts';
import { Definitions } from './state/definitions.ts';
import { LastValues } from './state/last-values.ts';
import { ProducerIds } from './state/producer-ids.ts';
import { StateTable } from './state/state-table.ts';
import { LateDeliveries } from './streams/late-deliveries.ts';
import { OpenPartitions } from './streams/open-partitions.ts';
import { type Partition, type PublishSink, Touched } from './streams/partition.ts';
import { partitionOf } from './streams/partitioner.ts';
import { Retention } from './streams/retention.ts';
import type { Stream } from './streams/stream.ts';
import { Streams } from './streams/streams.ts';
import { Transactions } from './streams/transactions.ts';
import { TimeEngine } from './time/time-engine.ts';

export interface BrokerOptions {
  /** Make streams for addresses that have a default home. */
  readonly autoCreate: boolean;
  /** Largest value of a message. */
  readonly messageBytesMax: number;
  /** Bound for what one compressed batch may become when another protocol reads it. */
  readonly openedBytesMax: number;
  /** Messages that wait beside a queue that is not in memory, before it takes them. */
  readonly coldWaitingMax: number;
  /** Queues of one filter that share a row per message; fewer have one each. */
  readonly coldLineMembers: number;
}

export const DEFAULT_OPTIONS: BrokerOptions = {
  autoCreate: true,
  messageBytesMax: 16 << 20,
  openedBytesMax: 64 << 20,
  coldWaitingMax: 256,
  coldLineMembers: 32,
};

export interface BrokerGiven {
  readonly engine: LogEngine;
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly options?: Partial<BrokerOptions>;
  /** How passwords become keys; scrypt when it is left out. */
  readonly deriveKey?: DeriveKey;
}

/** An address with what was found out about it; good as long as the broker says so. */
export class Target {
  readonly address: Address;
  readonly rule: HomeRule;
  plan: Plan | null = null;
  home: Home | null = null;
  homeVersion = -1;
  /** The broker knows that plan or home name somebody. */
  held = false;

  constructor(address: Address, rule: HomeRule) {
    this.address = address;
    this.rule = rule;
  }
}

const TARGETS_MAX = 32_768;
const TRANSIT_STREAM = '__transit';
const NO_QUEUES: readonly Queue[] = [];

export class Broker {
  readonly definitions: Definitions;
  readonly state: StateTable;
  readonly time: TimeEngine;
  readonly dedupe: Dedupe;
  readonly streams: Streams;
  readonly transactions: Transactions;
  readonly routes: Routes;
  readonly principals: Principals;
  readonly quotas: Quotas;
  readonly queues: Queues;
  readonly cold: ColdQueues;
  readonly cursors: Cursors;
  readonly lastValues: LastValues;
  readonly producerIds: ProducerIds;
  readonly retention: Retention;
  readonly options: BrokerOptions;
  readonly #engine: LogEngine;
  readonly #clock: Clock;
  readonly #open: OpenPartitions;
  readonly #interest: Interest;
  readonly #targets = new Map<string, Target>();
  readonly #streamTargets = new WeakMap<Stream, Target>();
  /** Those whose plan or home names somebody: these must not outlive their own end here. */
  #holding: Target[] = [];
  readonly #healthListeners = new Set<(health: EngineHealth, reason: string) => void>();
  readonly #routing: Routing;
  readonly #late: LateDeliveries;
  #closing = false;
  readonly #timers: Timers;
  /** 0 = not read in this turn. */
  #nowMs = 0;
  readonly #turnEnds = (): void => {
    this.#nowMs = 0;
  };

  private constructor(given: BrokerGiven, definitions: Definitions, state: StateTable) {
    const { engine, clock, timers, random, log, metrics, deriveKey } = given;
    this.options = { ...DEFAULT_OPTIONS, ...given.options };
    this.#engine = engine;
    this.#clock = clock;
    this.#timers = timers;
    this.definitions = definitions;
    this.state = state;
    this.time = new TimeEngine({
      ...{ engine, state, clock, timers, random, log },
      busy: () => this.busy,
      onRoom: (call) => this.onRoom(call),
    });
    this.dedupe = new Dedupe(this.time, () => clock.nowMs());
    this.principals = new Principals({ definitions, random, clock, metrics, deriveKey });
    this.quotas = new Quotas(definitions, clock, timers, metrics);
    this.#open = new OpenPartitions(given, this.principals, this.options.openedBytesMax);
    this.streams = new Streams(definitions, engine, this.#open, clock, random);
    this.routes = new Routes(definitions, this.streams);
    this.#interest = new Interest(random, () => this.#letGo());
    this.streams.watch((event) => {
      if (event === 'removed') this.#letGo();
    });
    this.queues = new Queues(engine, state, this.streams, given, {
      time: this.time,
      onRoom: (call) => this.onRoom(call),
    });
    this.cold = new ColdQueues({
      ...{ engine, state, timers, log, metrics, time: this.time, queues: this.queues },
      waitingMax: this.options.coldWaitingMax,
      lineMembers: this.options.coldLineMembers,
    });
    this.#interest.cold = this.cold.filters;
    this.#routing = new Routing(engine, this.#interest, this.queues, this.cold);
    this.#late = this.#openLate(log);
    this.transactions = new Transactions({
      ...{ engine, state, clock, timers, streams: this.streams, late: this.#late },
    });
    this.#open.transactions = this.transactions;
    this.cursors = new Cursors(state);
    this.lastValues = new LastValues(this, given, (message, partition, touched) => {
      const plan = this.#planOf(this.target(message.address, 'captured'));
      this.#routing.spread(message, plan, partition, touched);
    });
    this.producerIds = new ProducerIds(state);
    this.retention = new Retention(this.streams, this.queues, clock, timers, log);
    engine.beforeSeal(() => this.#seal());
    engine.onHealth((health, reason) => {
      // No entry will be sealed any more: what waits for the next one is refused here and now.
      if (health === 'failed') this.#seal();
      for (const listener of [...this.#healthListeners]) listener(health, reason);
    });
  }

  /** Opens the broker on an engine and a catalogue that were recovered already. */
  static async open(given: BrokerGiven): Promise<Broker> {
    const definitions = await Definitions.open(given.meta, given.timers, given.log);
    const state = await StateTable.open(given.engine, given.meta, given.timers);
    const broker = new Broker(given, definitions, state);
    await broker.queues.recover();
    broker.cold.recover();
    await broker.lastValues.recover();
    await broker.principals.store.ensureFirst();
    await definitions.durable();
    return broker;
  }

  /** True while more bytes wait than may: stop reading sockets, `onRoom` tells when to go on. */
  get busy(): boolean {
    return this.#engine.busy || this.#open.busy || this.state.busy;
  }

  onRoom(call: () => void): void {
    if (this.#engine.busy) this.#engine.onRoom(call);
    else if (this.state.busy) this.state.onRoom(call);
    else this.#open.onRoom(call);
  }

  get health(): EngineHealth {
    return this.#engine.health;
  }

  onHealth(listener: (health: EngineHealth, reason: string) => void): () => void {
    this.#healthListeners.add(listener);
    return () => this.#healthListeners.delete(listener);
  }

  get limits(): { readonly messageBytesMax: number } {
    return this.options;
  }

  get subscriptionCount(): number {
    return this.#interest.size;
  }

  authenticate(credentials: Credentials): Promise<Principal> {
    return this.principals.authenticate(credentials);
  }

  anonymous(peer: Origination): Principal {
    return this.principals.anonymous(peer);
  }

  authorize(principal: Principal, action: Action, what: Place | string): boolean {
    return this.principals.authorize(principal, action, what);
  }

  /** What is known of an address; keep it, it stays good. */
  target(address: Address, rule: HomeRule): Target {
    // Reply addresses, mostly: used once, and as many as there are requests.
    if (address.reserved) return new Target(address, rule);
    const way = typeof rule === 'string' ? rule : `=${rule.stream}\0${rule.key ?? ''}`;
    const key = `${address.dotted ? '.' : '/'}${way}\0${address.text}`;
    let target = this.#targets.get(key);
    if (target === undefined) {
      if (this.#targets.size >= TARGETS_MAX) this.#targets.clear();
      target = new Target(address, rule);
      this.#targets.set(key, target);
    }
    return target;
  }

  subscribe(request: SubscriptionRequest): Subscription {
    if (request.queue !== undefined) this.queues.holdReferences(request.queue);
    return this.#interest.add(request);
  }

  /** How many would get a message on this address: live, by queue, by group. */
  interest(address: Address): number {
    return this.#interest.plan(address).interest;
  }

  /** False when a message would reach nobody and be stored nowhere: it need not even be made. */
  wanted(target: Target, principal: Principal): boolean {
    return this.#planOf(target).interest > 0 || this.#homeOf(target, principal) !== null;
  }

  /**
   * Takes a message: stores it once if it has a home, routes it to queues, hands it to live
   * subscribers at once.
   * @param sink told when the publisher may be answered; null when it does not wait
   * @param queues more queues that get it, found by the protocol
   * @returns how many take it: live subscribers, queues, groups, and one for the store
   * @throws BrokerError; nothing was done then
   */
  publish(
    message: Message,
    target: Target,
    sink: PublishSink | null,
    token: number,
    queues: readonly Queue[] = NO_QUEUES,
  ): number {
    message.appendTimeMs = this.#turnMs();
    const plan = this.#planOf(target);
    const home = this.#homeOf(target, message.principal);
    let partition = home === null ? null : this.#partitionFor(home, message, target);
    if (partition !== null && partition.transactions !== null) {
      this.#checkRoom(message, partition);
      partition.add(message, home!.key, sink, token);
      this.#publishedLate(message, partition, plan, queues);
      return plan.interest + queues.length + 1;
    }
    const routes = this.#routing.routesOf(message, plan, partition, queues);
    if (partition === null && routes !== null && routes.durable) partition = this.#transit();
    if (partition !== null) {
      this.#checkRoom(message, partition);
      partition.add(message, home?.key ?? null, sink, token);
    }
    if (routes !== null) this.#routing.route(message, routes, partition);
    if (partition?.full) partition.seal();
    this.#routing.deliver(message, plan, routes);
    if (partition === null) sink?.published(token, null);
    const without = routes === null ? 0 : routes.groupsWithout;
    if (routes !== null) this.#routing.putAway(routes);
    return plan.interest - without + queues.length + (partition === null ? 0 : 1);
  }

  /**
   * Appends a record batch as its producer sent it (checked by the caller: checksum, counts). Other
   * protocols' subscribers and queues get its records.
   * @throws BrokerError see `ShardLog.append`; nothing was done then
   */
  appendBatch(
    partition: Partition,
    bytes: Buffer,
    facts: BatchFacts,
    committed: (error: BrokerError | null) => void,
  ): Appended {
    if (this.#closing) throw new BrokerError('closing');
    if (this.lastValues.holds(partition)) {
      return this.lastValues.appendBatch(partition, bytes, facts, committed);
    }
    const touched = new Touched();
    const appended = partition.appendBatch(bytes, facts, committed, touched);
    if ((facts.attributes & (TRANSACTIONAL | CONTROL)) === TRANSACTIONAL && !appended.duplicate) {
      this.transactions.wrote(partition, facts, appended.baseOffset);
    }
    if (partition.transactions !== null) {
      this.#late.stored(partition);
      return appended;
    }
    const target = this.#captured(partition.stream);
    const plan = this.#planOf(target);
    const captors = this.queues.captors.get(partition);
    if (appended.duplicate || (plan.interest === 0 && captors === undefined)) return appended;
    const appendTimeMs = this.#turnMs();
    const stored = { ...facts, bytes, baseOffset: appended.baseOffset, appendTimeMs };
    for (const message of partition.decode(stored)) {
      this.#routing.spread(message, plan, partition, touched);
    }
    return appended;
  }

  /**
   * Those who take messages are there: what was stored behind transactions before the start, and
   * may be delivered by now, is. To be called once, when all protocols are open.
   */
  resume(): void {
    this.#late.start();
  }

  /** Refuses what comes from now on, and makes durable what came. */
  async close(): Promise<void> {
    this.#closing = true;
    this.time.close();
    this.state.close();
    this.retention.close();
    this.transactions.close();
    this.cold.close();
    this.queues.close();
    await this.definitions.durable();
    if (this.#engine.health === 'ok') await this.#engine.flushed();
  }

  #captured(stream: Stream): Target {
    const known = this.#streamTargets.get(stream);
    if (known !== undefined) return known;
    const target = this.target(flatAddress(stream.name), 'captured');
    this.#streamTargets.set(stream, target);
    return target;
  }

  /** The time, read once in a turn of the event loop: on some machines the clock is a slow call. */
  #turnMs(): number {
    if (this.#nowMs === 0) {
      this.#nowMs = this.#clock.nowMs();
      this.#timers.soon(this.#turnEnds);
    }
    return this.#nowMs;
  }

  #planOf(target: Target): Plan {
    if (target.plan === null || target.plan.version !== this.#interest.version) {
      target.plan = this.#interest.plan(target.address);
      if (target.plan.interest > 0) this.#hold(target);
    }
    return target.plan;
  }

  #hold(target: Target): void {
    if (target.held) return;
    if (this.#holding.length >= TARGETS_MAX) this.#letGo();
    target.held = true;
    this.#holding.push(target);
  }

  /** Somebody ended: every plan or home is stale now, and made again when it is asked for. */
  #letGo(): void {
    const holding = this.#holding;
    this.#holding = [];
    for (const target of holding) {
      target.held = false;
      target.plan = null;
      target.home = null;
    }
  }

  #homeOf(target: Target, principal: Principal): Home | null {
    const version = this.streams.version + this.routes.version;
    if (target.home === null || target.homeVersion !== version) {
      target.home = this.routes.home(target.address, target.rule);
      target.homeVersion = version;
      const { create } = target.home;
      if (target.home.stream === null && create !== null && this.options.autoCreate) {
        if (!this.authorize(principal, 'create', create)) {
          // Live only, as without auto-creation; the next publisher may have the right.
          target.homeVersion = -1;
          return null;
        }
        this.streams.create(create);
        return this.#homeOf(target, principal);
      }
      if (target.home.stream !== null) this.#hold(target);
    }
    return target.home.stream === null ? null : target.home;
  }

  /** Partition of the key, else of the address: the order per address holds in every view. */
  #partitionFor(home: Home, message: Message, target: Target): Partition {
    const { partitions } = home.stream!;
    if (partitions.length === 1) return partitions[0]!;
    const key = message.key ?? home.key ?? Buffer.from(target.address.text);
    return partitions[partitionOf(key, partitions.length)]!;
  }

  #checkRoom(message: Message, partition: Partition): void {
    if (this.#closing) throw new BrokerError('closing');
    const { health } = this.#engine;
    if (health !== 'ok')
      throw new BrokerError(health === 'full' ? 'storage-full' : 'storage-failed');
    if (this.busy) throw new BrokerError('busy');
    const bytesMax = partition.stream.settings.messageBytesMax;
    if (message.value !== null && message.value.length > bytesMax) {
      throw new BrokerError('message-too-large', `at most ${bytesMax} bytes.`);
    }
  }

  /**
   * Stored behind an open transaction: who is interested gets it from the log. Queues that the
   * protocol found get nothing of transactions, and this message now.
   */
  #publishedLate(
    message: Message,
    partition: Partition,
    plan: Plan,
    queues: readonly Queue[],
  ): void {
    partition.transactions!.mixed = true;
    this.#late.stored(partition);
    if (queues.length > 0) {
      const routes = this.#routing.routesNow(plan, partition, queues);
      this.#routing.route(message, routes, partition);
      this.#routing.putAway(routes);
    }
    if (partition.full) partition.seal();
  }

  #openLate(log: Log): LateDeliveries {
    const planOf = ({ address }: Message): Plan => this.#planOf(this.target(address, 'captured'));
    return new LateDeliveries({
      ...{ state: this.state, streams: this.streams, log, timers: this.#timers },
      busy: () => this.busy,
      onRoom: (call) => this.onRoom(call),
      isUnwatched: (partition) =>
        this.#planOf(this.#captured(partition.stream)).interest === 0 &&
        !this.queues.captors.has(partition),
      deliver: (messages, partition) => this.#routing.deliverLate(messages, partition, planOf),
    });
  }

  #transit(): Partition {
    const stream =
      this.streams.get(TRANSIT_STREAM) ??
      // Only references keep what lies here: the age is a bound for what nobody needs any more.
      this.streams.create(TRANSIT_STREAM, { retentionMs: 60_000, retentionBytes: -1 });
    return stream.partitions[0]!;
  }

  #seal(): void {
    this.definitions.flush();
    this.#open.seal();
    this.cold.sealed();
    this.queues.seal();
    this.state.seal();
  }
}
