/**
 * A session: what belongs to a client identifier and not to a connection. Subscriptions, messages
 * on their way in both directions, the will, and how long all that outlives the connection. Maps
 * and queues are made when they are needed: most sessions of a large server are nearly empty.
 */
import {
  type Match,
  type Message,
  type Pattern,
  type Principal,
  type Queue,
  type Subscriber,
  type SubscriptionRequest,
  slashSpelling,
} from '#broker';
import type { FilterRequest } from './codec/index.ts';
import type { Link } from './connection.ts';
import { StoredReplay } from './features/stored-replay.ts';
import { META_ALIAS, META_QOS, META_RETAIN, Outbound, QueueFeed } from './outbound.ts';
import { RetainedReplay } from './retained-replay.ts';
import type { Room } from './room.ts';
import {
  recordOf,
  type SessionRecord,
  type SessionStore,
  type StoredSession,
  type SubscriptionRecord,
} from './session-store.ts';
import { SessionSubscription } from './subscription.ts';
import { filterMatches, isReplay, isShared, sharedFilter } from './topics.ts';
import { type Will, willRecord } from './will.ts';

export const SESSION_QUEUE_PREFIX = 'mqtt.session.';

export class Session implements Subscriber {
  readonly room: Room;
  readonly clientId: string;
  /** It was made to outlive its connection, so its state is on disk. */
  readonly durable: boolean;
  principal: Principal;
  link: Link | null = null;
  /** Seconds; Infinity for ever. */
  expirySec = 0;
  will: Will | null = null;
  disconnectedAtMs = 0;
  /** Its queue has got messages that expire. */
  expiring = false;
  /** The session's own queue, once a subscription has QoS 1 or 2. */
  queue: Queue | null = null;
  ended = false;
  #subscriptions: Map<string, SessionSubscription> | null = null;
  #identified = 0;
  #outbound: Outbound | null = null;
  /** Inbound QoS 2 identifiers until PUBREL; true when the message is on disk. */
  #received: Map<number, boolean> | null = null;
  #replays: RetainedReplay[] | null = null;
  #replayScheduled = false;

  constructor(room: Room, clientId: string, principal: Principal, durable: boolean) {
    this.room = room;
    this.clientId = clientId;
    this.principal = principal;
    this.durable = durable;
  }

  get store(): SessionStore {
    return this.room.store;
  }

  get subscriptionCount(): number {
    return this.#subscriptions?.size ?? 0;
  }

  get inFlight(): number {
    return this.#outbound?.inFlight ?? 0;
  }

  get outbound(): Outbound | null {
    return this.#outbound;
  }

  outboundMade(): Outbound {
    this.#outbound ??= new Outbound(this);
    return this.#outbound;
  }

  // ---- subscriptions ------------------------------------------------------------------------

  subscription(filter: string): SessionSubscription | undefined {
    return this.#subscriptions?.get(filter);
  }

  /**
   * Adds a subscription, or replaces the one with the same filter without a gap [MQTT-3.8.4-3].
   * @param pattern of the filter that is matched
   */
  subscribe(request: FilterRequest, id: number, pattern: Pattern): SessionSubscription {
    const subscription = this.#add(request, id, pattern);
    if (this.durable) this.store.saveSubscription(this.clientId, subscription);
    return subscription;
  }

  restoreSubscription(stored: SubscriptionRecord, pattern: Pattern): void {
    this.#add(stored, stored.id, pattern);
  }

  #add(request: FilterRequest, id: number, pattern: Pattern): SessionSubscription {
    const old = this.#subscriptions?.get(request.filter);
    const subscription = new SessionSubscription(request, id, pattern);
    if (isReplay(request.filter)) subscription.replay = new StoredReplay(this, subscription);
    this.#subscriptions ??= new Map();
    this.#subscriptions.set(request.filter, subscription);
    if (id !== 0) this.#identified++;
    this.room.metrics.subscriptions.add();
    // The old one keeps its place in the log for the new one.
    if (subscription.replay !== null) old?.replay?.detach();
    if (isShared(request.filter)) this.#join(subscription);
    else if (subscription.replay === null) this.#register(subscription);
    // A client that is there hears of its subscription first.
    if (this.link === null) this.begin(subscription);
    if (old !== undefined) this.#drop(old);
    return subscription;
  }

  /** @returns false when there is no such subscription */
  unsubscribe(filter: string): boolean {
    const subscription = this.#subscriptions?.get(filter);
    if (subscription === undefined) return false;
    this.#subscriptions!.delete(filter);
    this.#drop(subscription);
    subscription.replay?.forget();
    if (this.durable) this.store.removeSubscription(this.clientId, filter);
    return true;
  }

  #drop(subscription: SessionSubscription): void {
    if (subscription.id !== 0) this.#identified--;
    this.room.metrics.subscriptions.add(-1);
    if (subscription.replay !== null) this.outboundMade().removeFeed(subscription.replay);
    subscription.registration?.end();
    subscription.registration = null;
    if (subscription.member !== null) this.room.groups.leave(subscription.member);
    subscription.member = null;
    if (this.#replays === null) return;
    this.#replays = this.#replays.filter((replay) => replay.subscription !== subscription);
  }

  #join(subscription: SessionSubscription): void {
    const shared = sharedFilter(subscription.filter)!;
    const member = this.room.groups.join(this, subscription, shared.group, shared.filter);
    subscription.member = member;
  }

  /** Lets the messages of a subscription come that has a source of its own. */
  begin(subscription: SessionSubscription): void {
    const feed = subscription.member ?? subscription.replay;
    if (feed === null || this.#subscriptions?.get(subscription.filter) !== subscription) return;
    this.outboundMade().addFeed(feed);
  }

  /**
   * Tells the broker what this subscription wants now; the old registration ends after the new.
   */
  #register(subscription: SessionSubscription): void {
    const old = subscription.registration;
    const request: { -readonly [Key in keyof SubscriptionRequest]: SubscriptionRequest[Key] } = {
      pattern: subscription.pattern,
      data: subscription,
    };
    if (this.link !== null) request.subscriber = this;
    if (subscription.qos > 0) request.queue = this.#queueMade();
    subscription.registration =
      request.subscriber === undefined && request.queue === undefined
        ? null
        : this.room.broker.subscribe(request);
    old?.end();
  }

  #queueMade(): Queue {
    if (this.queue === null) {
      const name = SESSION_QUEUE_PREFIX + this.clientId;
      this.queue = this.room.broker.queues.declare(name, this.room.queueSettings(this.durable));
      this.queue.meta = (message, matches) => this.#meta(message, matches);
      const outbound = this.outboundMade();
      outbound.addFeed(new QueueFeed(outbound, this.queue));
    }
    return this.queue;
  }

  /** The queue takes what has QoS 1 or 2 for this session; all else goes live. */
  #meta(message: Message, matches: readonly Match[]): number | null {
    if (message.qos === 0) return null;
    if (message.expiresAtMs !== 0 && !this.expiring) this.#expires();
    let qos = 0;
    let bits = META_ALIAS;
    for (const { subscription, alias } of matches) {
      const own = subscription.data as SessionSubscription;
      if (own.noLocal && message.source === this) continue;
      if (own.qos > qos) qos = own.qos;
      if (own.retainAsPublished) bits |= META_RETAIN;
      if (!alias) bits &= ~META_ALIAS;
    }
    if (qos === 0 || this.room.queueIsFull(this, message)) return null;
    return (qos & META_QOS) | bits;
  }

  /** Identifiers of all subscriptions that match, null for none [MQTT-3.3.4-3]. */
  subscriptionIds(topic: string): readonly number[] | null {
    if (this.#identified === 0) return null;
    let found: number[] | null = null;
    for (const subscription of this.#subscriptions!.values()) {
      if (subscription.id === 0 || !subscription.plain) continue;
      if (!filterMatches(subscription.pattern.text, topic)) continue;
      found ??= [];
      found.push(subscription.id);
    }
    return found;
  }

  subscriptions(): Iterable<SessionSubscription> {
    return this.#subscriptions?.values() ?? [];
  }

  // ---- live messages ------------------------------------------------------------------------

  /**
   * Live messages: those with QoS 0 for this session are sent, at most once. Several matching
   * subscriptions give one copy with the highest QoS and all identifiers (M109).
   */
  receive(message: Message, matches: readonly Match[]): void {
    const { link } = this;
    if (link === null || !link.delivering) return;
    let live = false;
    let queued = false;
    let retain = false;
    let alias = true;
    let ids: readonly number[] | null = null;
    for (let index = 0; index < matches.length; index++) {
      const match = matches[index]!;
      const own = match.subscription.data as SessionSubscription;
      if (own.noLocal && message.source === this) continue; // [MQTT-3.8.3-3]
      live = true;
      if (own.qos > 0 && message.qos > 0) queued = true;
      if (own.retainAsPublished && message.retain) retain = true;
      if (!match.alias) alias = false;
      if (own.ids !== null) ids = ids === null ? own.ids : [...ids, own.id];
    }
    if (!live) return;
    const shown = slashSpelling.show(message.address);
    const topic = alias ? (message.address.flatName ?? shown) : shown;
    if (!queued) link.publishLossy(message, topic, retain, ids);
  }

  // ---- retained -----------------------------------------------------------------------------

  /** Announced with the subscription, started after SUBACK. */
  replay(subscription: SessionSubscription): RetainedReplay {
    const replay = new RetainedReplay(this, subscription);
    this.#replays ??= [];
    this.#replays.push(replay);
    return replay;
  }

  runReplays(): void {
    const replays = this.#replays;
    if (replays === null || this.link?.delivering !== true) return;
    this.#replays = replays.filter((replay) => !replay.run());
    if (this.#replays.length === 0) this.#replays = null;
  }

  replaySoon(): void {
    if (this.#replayScheduled) return;
    this.#replayScheduled = true;
    this.room.timers.soon(() => {
      this.#replayScheduled = false;
      this.runReplays();
    });
  }

  // ---- inbound QoS 2 ------------------------------------------------------------------------

  get receivedCount(): number {
    return this.#received?.size ?? 0;
  }

  /** Of a message that came the commit is still to come. */
  get receives(): boolean {
    for (const stored of this.#received?.values() ?? []) if (!stored) return true;
    return false;
  }

  /** undefined: a new message; false: stored soon; true: stored. */
  receivedState(packetId: number): boolean | undefined {
    return this.#received?.get(packetId);
  }

  receivedBegin(packetId: number): void {
    this.#received ??= new Map();
    this.#received.set(packetId, false);
    // In the same stretch as the message: both are on disk, or neither (M75).
    if (this.durable) this.store.saveReceived(this.clientId, packetId);
  }

  receivedStored(packetId: number): void {
    if (this.#received?.has(packetId)) this.#received.set(packetId, true);
  }

  receivedEnd(packetId: number): boolean {
    if (this.#received?.delete(packetId) !== true) return false;
    if (this.durable) this.store.removeReceived(this.clientId, packetId);
    return true;
  }

  /** Expired messages leave at their time, also while nobody is there to get them. */
  #expires(): void {
    this.expiring = true;
    this.queue!.watchesHead = true;
    if (this.durable) this.save();
  }

  /** @param queue what it had while it was not in memory; null: it had none */
  takeQueue(queue: Queue | null): void {
    if (queue === null) return;
    this.#queueMade();
    this.expiring ||= queue.watch.on;
    this.restoreQueue();
  }

  restoreQueue(): void {
    const { queue } = this;
    this.expiring &&= queue !== null && queue.readyCount > 0;
    if (queue === null || !this.expiring) return;
    queue.watchesHead = true;
    queue.dispatch();
  }

  restoreReceived(packetIds: readonly number[]): void {
    if (packetIds.length > 0) this.#received = new Map(packetIds.map((id) => [id, true]));
  }

  // ---- connection and end -------------------------------------------------------------------

  /** The connection is ready for messages. */
  online(link: Link): void {
    this.link = link;
    for (const subscription of this.#subscriptions?.values() ?? []) {
      if (subscription.plain) this.#register(subscription);
    }
  }

  offline(): void {
    this.link = null;
    this.#replays = null;
    this.#outbound?.pause();
    for (const subscription of this.#subscriptions?.values() ?? []) {
      if (subscription.plain) this.#register(subscription);
    }
  }

  record(): SessionRecord {
    const { name, id, anonymous, superuser } = this.principal;
    return {
      expirySec: this.expirySec === Number.POSITIVE_INFINITY ? -1 : this.expirySec,
      durable: this.durable,
      disconnectedAtMs: this.disconnectedAtMs,
      principal: { name, id, anonymous, superuser },
      will: this.will === null ? null : willRecord(this.will),
      expiring: this.expiring,
    };
  }

  /** Writes the session's row. One that ends with its connection has a row for its will only. */
  save(): void {
    if (this.durable || this.will !== null) this.store.save(this.clientId, this.record());
    else this.store.remove(this.clientId);
  }

  /** All that is stored of it. */
  stored(): StoredSession {
    const nothing = { released: [], held: [], identifiers: new Map<number, number>() };
    return {
      ...{ clientId: this.clientId, record: this.record() },
      subscriptions: [...this.subscriptions()].map(recordOf),
      received: [...(this.#received?.keys() ?? [])],
      ...(this.#outbound?.stored() ?? nothing),
    };
  }

  /** It leaves memory, and what is stored stays. */
  leaves(): void {
    this.ended = true;
    for (const subscription of this.subscriptions()) subscription.registration?.end();
    if (this.queue !== null) this.queue.meta = null;
    this.queue = null;
  }

  /** Removes everything of it, here and on disk. */
  forget(): void {
    this.ended = true;
    for (const filter of [...(this.#subscriptions?.keys() ?? [])]) this.unsubscribe(filter);
    this.#outbound?.forget();
    for (const packetId of [...(this.#received?.keys() ?? [])]) this.receivedEnd(packetId);
    if (this.queue !== null) this.room.broker.queues.remove(this.queue);
    this.queue = null;
    this.store.remove(this.clientId);
  }
}
