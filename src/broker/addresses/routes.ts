/**
 * Routes: which stream is the home of an address (docs/mapping.md, "Which stream is home"). User
 * routes first, then an existing stream of that flat name, then the default of the way in.
 */
import { BrokerError } from '#kit';
import type { Definitions } from '../state/definitions.ts';
import { LAST_VALUES } from '../streams/last-values-stream.ts';
import type { Stream } from '../streams/stream.ts';
import type { Streams } from '../streams/streams.ts';
import { type Address, addressOfText } from './address.ts';
import { MatchIndex } from './match-index.ts';
import { slashPattern } from './pattern.ts';

const KIND = 'route';

export interface Route {
  readonly name: string;
  /** Canonical pattern, slash form. */
  readonly pattern: string;
  readonly stream: string;
  /** `address`: the full address becomes the key of a message that has none. */
  readonly key: 'none' | 'address';
}

/**
 * What a way in does with an address that nothing captures: `first-level` makes and uses the stream
 * named like its first level; `captured` stores nothing; a stream by name is used as it is.
 */
export type HomeRule =
  | 'first-level'
  | 'captured'
  | { readonly stream: string; readonly key?: Buffer };

export interface Home {
  /** Null: live only. */
  readonly stream: Stream | null;
  /** The name to create when the stream is missing. */
  readonly create: string | null;
  /** Key of a message that brings none. */
  readonly key: Buffer | null;
}

const NOWHERE: Home = { stream: null, create: null, key: null };
const NO_WAY = `'${LAST_VALUES}' takes last values and batches of keyed records only.`;
const OWNED_NAME = /^(__|\$|amq\.|mq9\.)/;

export class Routes {
  version = 0;
  readonly #definitions: Definitions;
  readonly #streams: Streams;
  readonly #index = new MatchIndex<Route>();
  readonly #entered = new Map<string, Route>();

  constructor(definitions: Definitions, streams: Streams) {
    this.#definitions = definitions;
    this.#streams = streams;
    for (const [name, value] of definitions.list(KIND))
      this.#enter(name, value as unknown as Route);
    definitions.watch(KIND, (name, value) => {
      this.#leave(name);
      if (value !== undefined) this.#enter(name, value as unknown as Route);
    });
  }

  list(): Iterable<Route> {
    return this.#entered.values();
  }

  /** Adds or replaces a route; it holds for what is published from now on. @throws BrokerError */
  put(route: Route): void {
    if (slashPattern(route.pattern) === null) {
      throw new BrokerError('invalid-argument', `'${route.pattern}' is not a pattern.`);
    }
    if (route.pattern.startsWith('$')) {
      throw new BrokerError('invalid-argument', 'addresses that begin with $ are never routed.');
    }
    if (route.stream === LAST_VALUES) throw new BrokerError('invalid-argument', NO_WAY);
    this.#definitions.put(KIND, route.name, { ...route });
  }

  remove(name: string): void {
    this.#definitions.remove(KIND, name);
  }

  home(address: Address, rule: HomeRule): Home {
    if (typeof rule === 'object') {
      const stream = this.#streams.get(rule.stream);
      if (rule.stream === LAST_VALUES) throw new BrokerError('not-authorized', NO_WAY);
      if (stream === undefined) throw new BrokerError('unknown-stream', `'${rule.stream}'`);
      return { stream, create: null, key: rule.key ?? null };
    }
    if (address.reserved) return NOWHERE;
    const route = this.#routeOf(address);
    if (route !== null) {
      const stream = this.#streams.get(route.stream) ?? null;
      const key = route.key === 'address' ? Buffer.from(address.text) : null;
      return { stream, create: stream === null ? route.stream : null, key };
    }
    const { flatName } = address;
    const named = flatName === null ? undefined : this.#streams.get(flatName);
    if (named !== undefined && !named.hidden && named.name !== LAST_VALUES)
      return { stream: named, create: null, key: null };
    if (rule === 'captured') return NOWHERE;
    const name = address.flat ? address.levels[0]! : firstLevel(address);
    if (name === '' || name === LAST_VALUES || OWNED_NAME.test(name)) return NOWHERE;
    const stream = this.#streams.get(name) ?? null;
    const key = address.flat ? null : Buffer.from(address.text);
    return { stream, create: stream === null ? name : null, key };
  }

  #routeOf(address: Address): Route | null {
    if (this.#index.size === 0) return null;
    let best: Route | null = null;
    const consider = (route: Route): void => {
      // The most specific of several, by text order of length; ties by name: never by chance.
      if (
        best === null ||
        route.pattern.length > best.pattern.length ||
        (route.pattern.length === best.pattern.length && route.name < best.name)
      ) {
        best = route;
      }
    };
    this.#index.match(address, consider);
    return best;
  }

  #enter(name: string, route: Route): void {
    this.#entered.set(name, route);
    this.#index.add(slashPattern(route.pattern)!, route);
    this.version++;
  }

  #leave(name: string): void {
    const route = this.#entered.get(name);
    if (route === undefined) return;
    this.#entered.delete(name);
    this.#index.remove(slashPattern(route.pattern)!, route);
    this.version++;
  }
}

/** An empty first level (`/a`) has a stream as well: its name is the canonical `/`. */
function firstLevel(address: Address): string {
  const level = addressOfText(address.text.slice(0, address.text.indexOf('/'))).levels[0]!;
  return level === '' ? '/' : level;
}
