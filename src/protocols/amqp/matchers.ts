/**
 * How each type of exchange picks among its bindings: one matcher per type behind one interface.
 * Pure look-ups over binding objects; what a binding leads to is not looked at.
 */
import { findEntry, type Table, type TypedValue } from './field-table.ts';
import { TopicMatcher } from './topic-matcher.ts';

/** What a matcher needs to know of a binding. */
export interface Matchable {
  readonly key: string;
  readonly arguments: Table;
}

export interface Matcher<B extends Matchable> {
  add(binding: B): void;
  remove(binding: B): void;
  /** Adds the matching bindings to `found`. `headers` is asked for by header exchanges only. */
  match(key: string, headers: Table, found: Set<B>): void;
}

const ROUTING_TYPES = ['direct', 'fanout', 'topic', 'headers'] as const;
/** How an exchange picks among its bindings. */
export type RoutingType = (typeof ROUTING_TYPES)[number];

/** [A64] Routes later, in the way that its argument x-delayed-type names. */
export const DELAYED_TYPE = 'x-delayed-message';
export type ExchangeType = RoutingType | typeof DELAYED_TYPE;

export function isRoutingType(text: string): text is RoutingType {
  return (ROUTING_TYPES as readonly string[]).includes(text);
}

export function isExchangeType(text: string): text is ExchangeType {
  return text === DELAYED_TYPE || isRoutingType(text);
}

export function matcherOf<B extends Matchable>(type: RoutingType): Matcher<B> {
  return MAKERS[type]() as Matcher<Matchable> as Matcher<B>;
}

const MAKERS: Readonly<Record<RoutingType, () => Matcher<Matchable>>> = {
  direct: () => new DirectMatcher(),
  fanout: () => new FanoutMatcher(),
  topic: () => new TopicMatcher(),
  headers: () => new HeadersMatcher(),
};

class DirectMatcher<B extends Matchable> implements Matcher<B> {
  readonly #byKey = new Map<string, Set<B>>();

  add(binding: B): void {
    const known = this.#byKey.get(binding.key);
    if (known === undefined) this.#byKey.set(binding.key, new Set([binding]));
    else known.add(binding);
  }

  remove(binding: B): void {
    const known = this.#byKey.get(binding.key);
    if (known?.delete(binding) && known.size === 0) this.#byKey.delete(binding.key);
  }

  match(key: string, _headers: Table, found: Set<B>): void {
    const known = this.#byKey.get(key);
    if (known !== undefined) for (const binding of known) found.add(binding);
  }
}

class FanoutMatcher<B extends Matchable> implements Matcher<B> {
  readonly #all = new Set<B>();

  add(binding: B): void {
    this.#all.add(binding);
  }

  remove(binding: B): void {
    this.#all.delete(binding);
  }

  match(_key: string, _headers: Table, found: Set<B>): void {
    for (const binding of this.#all) found.add(binding);
  }
}

/** How a binding's `x-match` joins its headers; the `-with-x` forms look at `x-…` headers too. */
export const HEADER_MATCHES = ['all', 'any', 'all-with-x', 'any-with-x'] as const;

interface Rule {
  readonly any: boolean;
  readonly wanted: Table;
}

class HeadersMatcher<B extends Matchable> implements Matcher<B> {
  readonly #rules = new Map<B, Rule>();

  add(binding: B): void {
    const join = findEntry(binding.arguments, 'x-match');
    const how = join?.type === 'S' ? (join.value as Buffer).toString() : 'all';
    const withX = how.endsWith('-with-x');
    this.#rules.set(binding, {
      any: how.startsWith('any'),
      wanted: binding.arguments.filter(
        ({ name }) => name !== 'x-match' && (withX || !name.startsWith('x-')),
      ),
    });
  }

  remove(binding: B): void {
    this.#rules.delete(binding);
  }

  match(_key: string, headers: Table, found: Set<B>): void {
    for (const [binding, { any, wanted }] of this.#rules) {
      const fits = any
        ? wanted.some((entry) => holds(headers, entry))
        : wanted.every((entry) => holds(headers, entry));
      if (fits) found.add(binding);
    }
  }
}

/** A wanted header without a value (void) only has to be there. */
function holds(headers: Table, wanted: TypedValue & { readonly name: string }): boolean {
  const entry = findEntry(headers, wanted.name);
  if (entry === undefined) return false;
  return wanted.type === 'V' || sameValue(entry, wanted);
}

/** Numbers are compared by value whatever their width; all else by type and content. */
export function sameValue(one: TypedValue, other: TypedValue): boolean {
  const a = one.value;
  const b = other.value;
  if (isNumber(a) && isNumber(b))
    return one.type === other.type ? a === b : Number(a) === Number(b);
  if (one.type !== other.type) return false;
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return a.equals(b);
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameItem(item, b[index]));
  }
  if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    return JSON.stringify(a) === JSON.stringify(b);
  }
  return a === b;
}

function sameItem(one: { name?: string } & TypedValue, other: typeof one): boolean {
  return one.name === other.name && sameValue(one, other);
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
