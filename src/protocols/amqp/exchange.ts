/**
 * Exchanges and bindings, and the walk from an exchange to the queues that a key reaches. Knows
 * nothing of storage or connections: a queue is any object here.
 */
import { EMPTY_TABLE, type Table, textOf } from './field-table.ts';
import {
  type ExchangeType,
  isRoutingType,
  type Matcher,
  matcherOf,
  type RoutingType,
} from './matchers.ts';

export interface ExchangeFacts {
  readonly name: string;
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: Table;
  /** Exchange that gets what this one cannot route; '' = none. */
  readonly alternate: string;
}

export interface Binding<Q> {
  readonly source: Exchange<Q>;
  readonly destination: Exchange<Q> | Q;
  readonly key: string;
  readonly arguments: Table;
}

export const DELAYED_TYPE_ARGUMENT = 'x-delayed-type';

/** How an exchange routes; null when its arguments do not say. */
export function routingTypeOf(type: ExchangeType, table: Table): RoutingType | null {
  if (isRoutingType(type)) return type;
  const named = textOf(table, DELAYED_TYPE_ARGUMENT) ?? '';
  return isRoutingType(named) ? named : null;
}

export class Exchange<Q> {
  readonly facts: ExchangeFacts;
  readonly routing: RoutingType;
  readonly bindings = new Set<Binding<Q>>();
  readonly #matcher: Matcher<Binding<Q>>;

  constructor(facts: ExchangeFacts) {
    this.facts = facts;
    this.routing = routingTypeOf(facts.type, facts.arguments) ?? 'direct';
    this.#matcher = matcherOf(this.routing);
  }

  get name(): string {
    return this.facts.name;
  }

  add(binding: Binding<Q>): void {
    this.bindings.add(binding);
    this.#matcher.add(binding);
  }

  remove(binding: Binding<Q>): void {
    this.bindings.delete(binding);
    this.#matcher.remove(binding);
  }

  match(key: string, headers: Table, found: Set<Binding<Q>>): void {
    this.#matcher.match(key, headers, found);
  }
}

export interface RouteStep<Q> {
  /** Alternate exchange of one that found nothing, and the queues of the default exchange. */
  exchange(name: string): Exchange<Q> | undefined;
  /** The queue that an exchange leads to by its name alone: the default exchange's rule. */
  queueNamed(name: string): Q | undefined;
}

/**
 * All queues that a key reaches from an exchange, each once: through exchanges bound to exchanges
 * (each visited once, so that loops end) and alternate exchanges where one routed nowhere.
 * @param viaHeaders set to true when headers decided anything, so that the answer is not for every
 * message
 */
export class Router<Q extends object> {
  readonly #world: RouteStep<Q>;
  readonly #isExchange: (destination: Exchange<Q> | Q) => destination is Exchange<Q>;
  viaHeaders = false;

  constructor(
    world: RouteStep<Q>,
    isExchange: (destination: Exchange<Q> | Q) => destination is Exchange<Q>,
  ) {
    this.#world = world;
    this.#isExchange = isExchange;
  }

  route(start: Exchange<Q>, key: string, headers: Table = EMPTY_TABLE): Set<Q> {
    this.viaHeaders = false;
    const queues = new Set<Q>();
    const visited = new Set<Exchange<Q>>([start]);
    // Grows while it is walked: a set gives out what is added to it meanwhile.
    for (const exchange of visited) {
      let routed = this.#routeOne(exchange, key, headers, queues, visited);
      if (exchange.name === '') {
        const queue = this.#world.queueNamed(key);
        if (queue !== undefined) queues.add(queue);
        routed = queue !== undefined;
      }
      if (!routed && exchange.facts.alternate !== '') {
        const alternate = this.#world.exchange(exchange.facts.alternate);
        if (alternate !== undefined) visited.add(alternate);
      }
    }
    return queues;
  }

  /** True when a binding of this exchange matched. */
  #routeOne(
    exchange: Exchange<Q>,
    key: string,
    headers: Table,
    queues: Set<Q>,
    visited: Set<Exchange<Q>>,
  ): boolean {
    if (exchange.routing === 'headers') this.viaHeaders = true;
    const found = new Set<Binding<Q>>();
    exchange.match(key, headers, found);
    for (const { destination } of found) {
      if (this.#isExchange(destination)) visited.add(destination);
      else queues.add(destination);
    }
    return found.size > 0;
  }
}
