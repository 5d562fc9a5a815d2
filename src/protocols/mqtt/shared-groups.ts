/**
 * Shared subscriptions. A group has one queue for QoS 1 and 2, which its connected members empty
 * together: what a member did not acknowledge goes to another. QoS 0 goes live to one member.
 */
import {
  type Broker,
  type Match,
  type Message,
  type Pattern,
  type Queue,
  type Subscriber,
  type Subscription,
  slashSpelling,
} from '#broker';
import { QueueFeed } from './outbound.ts';
import type { Session } from './session.ts';
import type { SessionSubscription } from './subscription.ts';

const QUEUE_PREFIX = 'mqtt.share.';

export class SharedGroup {
  readonly name: string;
  readonly filter: string;
  readonly pattern: Pattern;
  readonly queue: Queue;
  readonly members = new Set<GroupMember>();
  readonly #registration: Subscription;

  constructor(broker: Broker, name: string, filter: string, pattern: Pattern) {
    this.name = name;
    this.filter = filter;
    this.pattern = pattern;
    this.queue = broker.queues.declare(queueName(name, filter), { durable: true });
    this.queue.meta = (message) => (message.qos === 0 ? null : 0);
    this.#registration = broker.subscribe({ pattern, queue: this.queue });
  }

  end(broker: Broker): void {
    this.#registration.end();
    broker.queues.remove(this.queue);
  }
}

export class GroupMember implements Subscriber {
  readonly session: Session;
  readonly subscription: SessionSubscription;
  readonly group: SharedGroup;
  readonly feed: QueueFeed;
  #live: Subscription | null = null;

  constructor(session: Session, subscription: SessionSubscription, group: SharedGroup) {
    this.session = session;
    this.subscription = subscription;
    this.group = group;
    this.feed = new QueueFeed(session.outboundMade(), group.queue, this);
  }

  online(broker: Broker): void {
    const { pattern, name } = this.group;
    this.#live ??= broker.subscribe({ pattern, subscriber: this, group: name });
  }

  offline(): void {
    this.#live?.end();
    this.#live = null;
  }

  receive(message: Message, matches: readonly Match[]): void {
    const { link } = this.session;
    if (message.qos > 0 || link === null || !link.delivering) return;
    const alias = matches[0]!.alias ? message.address.flatName : null;
    const topic = alias ?? slashSpelling.show(message.address);
    const retain = message.retain && this.subscription.retainAsPublished;
    link.publishLossy(message, topic, retain, this.subscription.ids);
  }
}

export class SharedGroups {
  readonly #broker: Broker;
  readonly #groups = new Map<string, SharedGroup>();

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  join(
    session: Session,
    subscription: SessionSubscription,
    name: string,
    filter: string,
  ): GroupMember {
    const key = queueName(name, filter);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new SharedGroup(this.#broker, name, filter, subscription.pattern);
      this.#groups.set(key, group);
    }
    const member = new GroupMember(session, subscription, group);
    group.members.add(member);
    return member;
  }

  leave(member: GroupMember): void {
    const { group } = member;
    member.offline();
    member.session.outboundMade().removeFeed(member.feed);
    group.members.delete(member);
    if (group.members.size > 0) return;
    this.#groups.delete(queueName(group.name, group.filter));
    group.end(this.#broker);
  }

  /** After a start: queues of groups whose members are gone. */
  sweep(): void {
    for (const queue of [...this.#broker.queues.list()]) {
      if (queue.name.startsWith(QUEUE_PREFIX) && !this.#groups.has(queue.name)) {
        this.#broker.queues.remove(queue);
      }
    }
  }
}

function queueName(group: string, filter: string): string {
  return `${QUEUE_PREFIX}${group}/${filter}`;
}
