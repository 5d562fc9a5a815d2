/**
 * Who is interested in an address: live subscribers, queues, and groups of which one member is
 * chosen per message. What was found for an address is a plan; it is good until a subscription
 * changes.
 */
import type { Random } from '#kit';
import type { ColdFilters } from '../cold/cold-filters.ts';
import type { ColdMatches } from '../cold/cold-policy.ts';
import type { Queue } from '../queues/queue.ts';
import type { Message } from '../records/message.ts';
import type { Address } from './address.ts';
import { MatchIndex } from './match-index.ts';
import type { Pattern } from './pattern.ts';

export interface Match {
  readonly subscription: Subscription;
  /** It matched by the flat name of a dotted address: show the name that was asked for. */
  readonly alias: boolean;
}

export interface Subscriber {
  /**
   * A message, live, once per message and subscriber. The message is shared: do not change it.
   * @param matches this subscriber's subscriptions that match; never empty; not to be kept
   */
  receive(message: Message, matches: readonly Match[]): void;
  /** False keeps a group from choosing it for this message, when others are there. */
  accepts?(message: Message): boolean;
}

export interface SubscriptionRequest {
  readonly pattern: Pattern;
  /** Gets messages live, at most once. With `queue` as well it gets them besides. */
  readonly subscriber?: Subscriber;
  /** Gets a reference to each message, see `Queue`. */
  readonly queue?: Queue;
  /** Of all subscriptions with this pattern and group, one gets each message. */
  readonly group?: string;
  /** The protocol's own. */
  readonly data?: unknown;
}

export interface Subscription extends SubscriptionRequest {
  end(): void;
}

/** What one address means for delivery now. */
export interface Plan {
  readonly version: number;
  readonly live: readonly { readonly subscriber: Subscriber; readonly matches: Match[] }[];
  readonly queues: readonly { readonly queue: Queue; readonly matches: Match[] }[];
  readonly groups: readonly {
    readonly members: readonly Subscription[];
    readonly alias: boolean;
  }[];
  /** Filters of queues that are not in memory; null: none of them matches. */
  readonly cold: ColdMatches | null;
  /** How many get a message: subscribers, queues, groups, filters of queues not in memory. */
  readonly interest: number;
}

class Entry implements Subscription {
  readonly pattern: Pattern;
  declare readonly subscriber?: Subscriber;
  declare readonly queue?: Queue;
  declare readonly group?: string;
  readonly data: unknown;
  readonly #interest: Interest;

  constructor(request: SubscriptionRequest, interest: Interest) {
    this.pattern = request.pattern;
    if (request.subscriber !== undefined) this.subscriber = request.subscriber;
    if (request.queue !== undefined) this.queue = request.queue;
    if (request.group !== undefined) this.group = request.group;
    this.data = request.data;
    this.#interest = interest;
  }

  end(): void {
    this.#interest.remove(this);
  }
}

class Group {
  readonly key: string;
  readonly pattern: Pattern;
  readonly members: Subscription[] = [];

  constructor(key: string, pattern: Pattern) {
    this.key = key;
    this.pattern = pattern;
  }
}

export class Interest {
  readonly #index = new MatchIndex<Subscription | Group>();
  readonly #groups = new Map<string, Group>();
  readonly #random: Random;
  readonly #ended: () => void;
  /** Subscriptions of queues that are not in memory; null while there is no such thing. */
  cold: ColdFilters | null = null;

  /** @param ended told after a subscription has ended: plans may still name its subscriber */
  constructor(random: Random, ended: () => void) {
    this.#random = random;
    this.#ended = ended;
  }

  /** Plans with another version are stale. */
  get version(): number {
    return this.cold === null ? this.#index.version : this.#index.version + this.cold.version;
  }

  get size(): number {
    return this.#index.size + (this.cold?.size ?? 0);
  }

  add(request: SubscriptionRequest): Subscription {
    const entry = new Entry(request, this);
    if (request.group === undefined) {
      this.#index.add(request.pattern, entry);
      return entry;
    }
    const key = groupKey(request.pattern, request.group);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new Group(key, request.pattern);
      this.#groups.set(key, group);
      this.#index.add(request.pattern, group);
    }
    group.members.push(entry);
    this.#index.version++;
    return entry;
  }

  remove(subscription: Subscription): void {
    this.#take(subscription);
    this.#ended();
  }

  #take(subscription: Subscription): void {
    if (subscription.group === undefined) {
      this.#index.remove(subscription.pattern, subscription);
      return;
    }
    const key = groupKey(subscription.pattern, subscription.group);
    const group = this.#groups.get(key);
    const index = group?.members.indexOf(subscription) ?? -1;
    if (group === undefined || index < 0) return;
    group.members.splice(index, 1);
    this.#index.version++;
    if (group.members.length > 0) return;
    this.#groups.delete(key);
    this.#index.remove(group.pattern, group);
  }

  plan(address: Address): Plan {
    const live = new Map<Subscriber, Match[]>();
    const queues = new Map<Queue, Match[]>();
    const groups: { members: readonly Subscription[]; alias: boolean }[] = [];
    this.#index.match(address, (found, alias) => {
      if (found instanceof Group) groups.push({ members: found.members, alias });
      else addMatch(live, queues, { subscription: found, alias });
    });
    const cold =
      this.cold === null || this.cold.size === 0 ? null : coldMatches(this.cold, address);
    return {
      version: this.version,
      live: [...live].map(([subscriber, matches]) => ({ subscriber, matches })),
      queues: [...queues].map(([queue, matches]) => ({ queue, matches })),
      groups,
      cold,
      interest: live.size + queues.size + groups.length + (cold?.filters.length ?? 0),
    };
  }

  /**
   * One member of a group, at random: fair over many messages whatever the order of arrival.
   * Members that do not accept the message are passed over; null when none does.
   */
  pick(members: readonly Subscription[], message: Message): Subscription | null {
    const count = members.length;
    const start = count === 1 ? 0 : Math.floor(this.#random.next() * count);
    for (let step = 0; step < count; step++) {
      const member = members[(start + step) % count]!;
      if (member.subscriber?.accepts?.(message) !== false) return member;
    }
    return null;
  }
}

function addMatch(live: Map<Subscriber, Match[]>, queues: Map<Queue, Match[]>, match: Match): void {
  const { subscriber, queue } = match.subscription;
  if (subscriber !== undefined) {
    const matches = live.get(subscriber);
    if (matches === undefined) live.set(subscriber, [match]);
    else matches.push(match);
  }
  if (queue !== undefined) {
    const matches = queues.get(queue);
    if (matches === undefined) queues.set(queue, [match]);
    else matches.push(match);
  }
}

function coldMatches(index: ColdFilters, address: Address): ColdMatches | null {
  const filters: number[] = [];
  const aliases: boolean[] = [];
  index.match(address, (filter, alias) => {
    filters.push(filter);
    aliases.push(alias);
  });
  return filters.length === 0 ? null : { filters, aliases };
}

function groupKey(pattern: Pattern, group: string): string {
  return `${pattern.form} ${pattern.hidesReserved} ${group} ${pattern.text}`;
}
