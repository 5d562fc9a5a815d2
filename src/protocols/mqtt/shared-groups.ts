/**
 * Shared subscriptions. A group has one queue for QoS 1 and 2. The group itself consumes it and
 * hands each message to the member that its strategy chooses; what a member did not acknowledge
 * when it goes is sent to another. QoS 0 goes live to one member, by the same choice.
 */
import {
  type Attachment,
  type Broker,
  type Delivery,
  type Match,
  type Message,
  type Pattern,
  type Queue,
  type QueueConsumer,
  type Subscriber,
  type Subscription,
  slashPattern,
  slashSpelling,
} from '#broker';
import { BrokerError, type Random } from '#kit';
import type { Acknowledged, Feed } from './outbound.ts';
import type { Session } from './session.ts';
import { makeStrategy, type Strategy, type StrategyName } from './shared-strategies.ts';
import type { SessionSubscription } from './subscription.ts';
import { KEPT_GROUP } from './topics.ts';

const QUEUE_PREFIX = 'mqtt.share.';
const KEPT_QUEUE = `${QUEUE_PREFIX}${KEPT_GROUP}/`;
/** Messages of one group that wait for the member they are bound to. */
const WAITING_MAX = 1024;
/** Choices before whoever has room gets the message. */
const CHOICES_MAX = 3;

/** A topic whose messages are on their way to one member: the next ones follow them. */
interface TopicLine {
  readonly member: GroupMember;
  count: number;
}

export class SharedGroup implements Subscriber, QueueConsumer {
  readonly name: string;
  readonly filter: string;
  readonly pattern: Pattern;
  readonly queue: Queue;
  readonly members = new Set<GroupMember>();
  readonly #broker: Broker;
  readonly #random: Random;
  readonly #registration: Subscription;
  #live: Subscription | null = null;
  #attachment: Attachment | null = null;
  strategyName: StrategyName;
  #strategy: Strategy;
  /** Connected members. */
  readonly #online: GroupMember[] = [];
  /** Those of them that may have room. */
  readonly #open = new Set<GroupMember>();
  /** By address, when the order of each topic is kept. */
  #lines: Map<string, TopicLine> | null = null;
  #waiting = 0;
  #returning = false;

  constructor(
    broker: Broker,
    random: Random,
    name: string,
    filter: string,
    pattern: Pattern,
    strategy: StrategyName,
  ) {
    this.#broker = broker;
    this.#random = random;
    this.name = name;
    this.filter = filter;
    this.pattern = pattern;
    this.strategyName = strategy;
    this.#strategy = makeStrategy(strategy, random);
    if (strategy === 'key_ordered') this.#lines = new Map();
    this.queue = broker.queues.declare(queueName(name, filter), { durable: true });
    this.queue.meta = (message) => (message.qos === 0 ? null : 0);
    this.#registration = broker.subscribe({ pattern, queue: this.queue });
  }

  get onlineCount(): number {
    return this.#online.length;
  }

  /** Holds from the next message on; those on their way stay where they are. */
  use(strategy: StrategyName): void {
    if (strategy === this.strategyName) return;
    this.strategyName = strategy;
    this.#strategy = makeStrategy(strategy, this.#random);
    this.#lines = strategy === 'key_ordered' ? new Map() : null;
  }

  end(): void {
    this.#detach();
    this.#registration.end();
    this.#broker.queues.remove(this.queue);
  }

  // ---- members ------------------------------------------------------------------------------

  attached(member: GroupMember): void {
    this.#online.push(member);
    this.#open.add(member);
    this.#live ??= this.#broker.subscribe({ pattern: this.pattern, subscriber: this });
    if (this.#attachment === null) this.#attachment = this.queue.attach(this);
    else this.#attachment.wake();
  }

  detached(member: GroupMember): void {
    const index = this.#online.indexOf(member);
    if (index < 0) return;
    this.#online.splice(index, 1);
    this.#open.delete(member);
    this.#waiting -= member.waiting.length;
    const unsent = new Set(member.waiting.splice(0).map(({ position }) => position));
    const positions = [...member.inFlight.keys(), ...unsent].sort((a, b) => a - b);
    // Its topics are free for another member, and nothing newer goes before what comes back.
    for (const [topic, line] of this.#lines ?? []) {
      if (line.member === member) this.#lines!.delete(topic);
    }
    member.inFlight.clear();
    this.#returning = true;
    for (const position of positions) {
      this.queue.requeue(position, unsent.has(position) ? { counted: false } : {});
    }
    this.#returning = false;
    if (this.#online.length === 0) this.#detach();
    else this.#attachment?.wake();
  }

  #detach(): void {
    this.#live?.end();
    this.#live = null;
    this.#attachment?.detach();
    this.#attachment = null;
  }

  /** The member may have room again. */
  woken(member: GroupMember): void {
    while (member.waiting.length > 0 && member.hasRoom) {
      this.#waiting--;
      member.give(member.waiting.shift()!);
    }
    if (member.waiting.length > 0) return;
    this.#open.add(member);
    this.#attachment?.wake();
  }

  finished(position: number, topic: string): void {
    this.#release(topic);
    this.queue.ack(position);
  }

  // ---- deliveries ---------------------------------------------------------------------------

  ready(): boolean {
    return !this.#returning && this.#waiting < WAITING_MAX && this.#someOpen() !== null;
  }

  deliver(delivery: Delivery): void {
    const topic = delivery.message.address.text;
    const member = this.#choose(delivery.message);
    if (this.#lines !== null) {
      const line = this.#lines.get(topic);
      if (line === undefined) this.#lines.set(topic, { member, count: 1 });
      else line.count++;
    }
    if (member.waiting.length === 0 && member.hasRoom) {
      member.give(delivery);
      return;
    }
    member.waiting.push(delivery);
    this.#waiting++;
  }

  #choose(message: Message): GroupMember {
    const line = this.#lines?.get(message.address.text);
    if (line !== undefined) return line.member;
    for (let tries = 0; tries < CHOICES_MAX; tries++) {
      const member = this.#strategy.choose(this.#online, message);
      if (this.#strategy.binding || (member.waiting.length === 0 && member.hasRoom)) return member;
    }
    return this.#someOpen() ?? this.#strategy.choose(this.#online, message);
  }

  #someOpen(): GroupMember | null {
    for (const member of this.#open) {
      if (member.waiting.length === 0 && member.hasRoom) return member;
      this.#open.delete(member);
    }
    return null;
  }

  #release(topic: string): void {
    const line = this.#lines?.get(topic);
    if (line === undefined) return;
    line.count--;
    if (line.count <= 0) this.#lines!.delete(topic);
  }

  /** QoS 0: to one connected member, at most once. */
  receive(message: Message, matches: readonly Match[]): void {
    if (message.qos > 0 || this.#online.length === 0) return;
    const alias = matches[0]!.alias ? message.address.flatName : null;
    this.#chooseLive(message).receive(message, alias ?? slashSpelling.show(message.address));
  }

  #chooseLive(message: Message): GroupMember {
    let member = this.#lines?.get(message.address.text)?.member;
    for (let tries = 0; member === undefined && tries < CHOICES_MAX; tries++) {
      const next = this.#strategy.choose(this.#online, message);
      if (this.#strategy.binding || next.session.link?.hasRoom === true) member = next;
    }
    return member ?? this.#strategy.choose(this.#online, message);
  }
}

export class GroupMember implements Feed, Acknowledged {
  readonly session: Session;
  readonly subscription: SessionSubscription;
  readonly group: SharedGroup;
  /** Sent and not acknowledged: the address by position. */
  readonly inFlight = new Map<number, string>();
  /** Bound to this member, which has no room for them. */
  readonly waiting: Delivery[] = [];
  #attached = false;

  constructor(session: Session, subscription: SessionSubscription, group: SharedGroup) {
    this.session = session;
    this.subscription = subscription;
    this.group = group;
  }

  get hasRoom(): boolean {
    return this.session.outbound?.ready() === true;
  }

  attach(): void {
    if (this.#attached) return;
    this.#attached = true;
    this.group.attached(this);
  }

  detach(): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.group.detached(this);
  }

  wake(): void {
    if (this.#attached) this.group.woken(this);
  }

  give(delivery: Delivery): void {
    this.inFlight.set(delivery.position, delivery.message.address.text);
    const { message, position, redelivered } = delivery;
    const outbound = this.session.outboundMade();
    outbound.deliverFrom(this, this.subscription, message, position, redelivered);
  }

  /** The member has answered, or can never get it. */
  ack(position: number): void {
    const topic = this.inFlight.get(position);
    if (topic === undefined) return;
    this.inFlight.delete(position);
    this.group.finished(position, topic);
  }

  receive(message: Message, topic: string): void {
    const { link } = this.session;
    if (link === null || !link.delivering) return;
    const retain = message.retain && this.subscription.retainAsPublished;
    link.publishLossy(message, topic, retain, this.subscription.ids);
  }
}

/** Which strategy a group has. */
export type StrategyOf = (group: string) => StrategyName;

export class SharedGroups {
  readonly #broker: Broker;
  readonly #random: Random;
  readonly #strategyOf: StrategyOf;
  readonly #groups = new Map<string, SharedGroup>();

  constructor(broker: Broker, random: Random, strategyOf: StrategyOf) {
    this.#broker = broker;
    this.#random = random;
    this.#strategyOf = strategyOf;
  }

  list(): Iterable<SharedGroup> {
    return this.#groups.values();
  }

  join(
    session: Session,
    subscription: SessionSubscription,
    name: string,
    filter: string,
  ): GroupMember {
    const key = queueName(name, filter);
    const known = this.#groups.get(key);
    const group = known ?? this.#open(key, name, filter, subscription.pattern);
    const member = new GroupMember(session, subscription, group);
    group.members.add(member);
    return member;
  }

  leave(member: GroupMember): void {
    const { group } = member;
    member.session.outboundMade().removeFeed(member);
    group.members.delete(member);
    if (group.members.size === 0 && group.name !== KEPT_GROUP) this.#remove(group);
  }

  /** Forgets a group without members, with the messages that wait for it. */
  forget(group: SharedGroup): void {
    if (group.members.size > 0) throw new BrokerError('precondition-failed', 'it has members.');
    this.#remove(group);
  }

  #remove(group: SharedGroup): void {
    this.#groups.delete(queueName(group.name, group.filter));
    group.end();
  }

  /** After a start: queues of groups whose members are gone. */
  sweep(): void {
    for (const queue of [...this.#broker.queues.list()]) {
      if (!queue.name.startsWith(QUEUE_PREFIX) || this.#groups.has(queue.name)) continue;
      const filter = queue.name.startsWith(KEPT_QUEUE) ? queue.name.slice(KEPT_QUEUE.length) : '';
      const pattern = filter === '' ? null : slashPattern(filter);
      if (pattern === null) this.#broker.queues.remove(queue);
      else this.#open(queue.name, KEPT_GROUP, filter, pattern);
    }
  }

  #open(key: string, name: string, filter: string, pattern: Pattern): SharedGroup {
    const strategy = this.#strategyOf(name);
    const group = new SharedGroup(this.#broker, this.#random, name, filter, pattern, strategy);
    this.#groups.set(key, group);
    return group;
  }
}

function queueName(group: string, filter: string): string {
  return `${QUEUE_PREFIX}${group}/${filter}`;
}
