/**
 * Subscriptions to metrics of clients (KIP-714): which metrics, how often, and of whom. They are
 * configs of the resource `client-metrics`; kept as definitions.
 */
import type { Definitions, Json } from '#broker';
import { PatternError } from '../groups/pattern-syntax.ts';
import { TopicPattern } from '../groups/topic-pattern.ts';

const KIND = 'kafka.client-metrics';
/** Each client that asks is compared with all of them. */
const SUBSCRIPTIONS_MAX = 200;
const TEXT_CHARACTERS_MAX = 8 * 1024;
const INTERVAL_MIN_MS = 100;
const INTERVAL_MAX_MS = 60 * 60 * 1000;
const INTERVAL_DEFAULT_MS = 5 * 60 * 1000;
/** Stands for all metrics, in configs and to clients. */
const ALL_METRICS = '*';

/** What a client can be chosen by. */
export interface ClientFacts {
  readonly client_instance_id: string;
  readonly client_id: string;
  readonly client_software_name: string;
  readonly client_software_version: string;
  readonly client_source_address: string;
  readonly client_source_port: string;
}

type FactName = keyof ClientFacts;

const FACT_NAMES: readonly string[] = [
  'client_instance_id',
  'client_id',
  'client_software_name',
  'client_software_version',
  'client_source_address',
  'client_source_port',
] satisfies FactName[];

interface ClientMetricsRow {
  readonly name: 'metrics' | 'interval.ms' | 'match';
  readonly kind: 'list' | 'int';
  readonly preset: string;
  readonly help: string;
}

export const CLIENT_METRICS_CONFIGS: readonly ClientMetricsRow[] = [
  {
    name: 'metrics',
    kind: 'list',
    preset: '',
    help: 'Beginnings of names of metrics that clients are to push; * for all of them.',
  },
  {
    name: 'interval.ms',
    kind: 'int',
    preset: String(INTERVAL_DEFAULT_MS),
    help: 'How often clients push them.',
  },
  {
    name: 'match',
    kind: 'list',
    preset: '',
    help: 'Whom they are asked of: pairs such as client_id=app-.*, which must all fit the client.',
  },
];

/** What was set, by the names of the configs. */
export type OwnClientMetrics = Readonly<Record<string, string>>;

interface Subscription {
  readonly metrics: readonly string[];
  readonly intervalMs: number;
  readonly match: readonly (readonly [FactName, TopicPattern])[];
}

/** What one client is asked for. */
export interface AskedMetrics {
  readonly metrics: readonly string[];
  readonly intervalMs: number;
}

/** Its `isMatch` is true when a pair of `match` is wrong. */
export interface SubscriptionFault {
  readonly isMatch: boolean;
  readonly message: string;
}

export class ClientMetricsConfigs {
  /** Grows with every change. */
  version = 1;
  readonly #definitions: Definitions;
  readonly #subscriptions = new Map<string, Subscription>();

  constructor(definitions: Definitions) {
    this.#definitions = definitions;
    for (const [name] of definitions.list(KIND)) this.#read(name);
  }

  names(): Iterable<string> {
    return this.#subscriptions.keys();
  }

  own(name: string): OwnClientMetrics {
    return (this.#definitions.get(KIND, name) ?? {}) as OwnClientMetrics;
  }

  /** What is wrong with these configs of a subscription, or null. */
  fault(name: string, own: OwnClientMetrics): SubscriptionFault | null {
    const isNew = !this.#subscriptions.has(name);
    if (isNew && this.#subscriptions.size >= SUBSCRIPTIONS_MAX) {
      return { isMatch: false, message: `at most ${SUBSCRIPTIONS_MAX} subscriptions` };
    }
    const read = subscriptionOf(own);
    return 'message' in read ? read : null;
  }

  /** Holds from the next request of each client on; on disk when the definitions are durable. */
  set(name: string, own: OwnClientMetrics): void {
    if (Object.keys(own).length === 0) this.#definitions.remove(KIND, name);
    else this.#definitions.put(KIND, name, own as Json);
    this.#read(name);
    this.version++;
  }

  /** All that is asked of a client, as often as the most impatient subscription wants it. */
  askedOf(facts: ClientFacts): AskedMetrics {
    const metrics = new Set<string>();
    let intervalMs = Number.POSITIVE_INFINITY;
    for (const subscription of this.#subscriptions.values()) {
      if (!subscription.match.every(([fact, pattern]) => fits(pattern, facts[fact]))) continue;
      for (const metric of subscription.metrics) metrics.add(metric);
      intervalMs = Math.min(intervalMs, subscription.intervalMs);
    }
    return {
      metrics: metrics.has(ALL_METRICS) ? [ALL_METRICS] : [...metrics].sort(),
      intervalMs: intervalMs === Number.POSITIVE_INFINITY ? INTERVAL_DEFAULT_MS : intervalMs,
    };
  }

  #read(name: string): void {
    const own = this.own(name);
    const read = Object.keys(own).length === 0 ? null : subscriptionOf(own);
    if (read === null || 'message' in read) this.#subscriptions.delete(name);
    else this.#subscriptions.set(name, read);
  }
}

function subscriptionOf(own: OwnClientMetrics): Subscription | SubscriptionFault {
  const wrong = (message: string, isMatch = false) => ({ message, isMatch });
  for (const [name, text] of Object.entries(own)) {
    if (!CLIENT_METRICS_CONFIGS.some((row) => row.name === name)) {
      return wrong(`Unknown client metrics configuration: ${name}`);
    }
    if (text.length > TEXT_CHARACTERS_MAX) {
      return wrong(`${name}: at most ${TEXT_CHARACTERS_MAX} characters`);
    }
  }
  const text = own['interval.ms'] ?? String(INTERVAL_DEFAULT_MS);
  const intervalMs = /^\d{1,9}$/.test(text.trim()) ? Number(text) : -1;
  if (intervalMs < INTERVAL_MIN_MS || intervalMs > INTERVAL_MAX_MS) {
    const range = `${INTERVAL_MIN_MS} and ${INTERVAL_MAX_MS} (1 hour)`;
    return wrong(`Invalid value ${text} for interval.ms, interval must be between ${range}`);
  }
  const match: [FactName, TopicPattern][] = [];
  for (const pair of listed(own['match'] ?? '')) {
    const at = pair.indexOf('=');
    const fact = pair.slice(0, Math.max(0, at)).trim();
    if (!FACT_NAMES.includes(fact)) return wrong(`Illegal client matching pattern: ${pair}`, true);
    try {
      // The whole text must fit.
      match.push([fact as FactName, new TopicPattern(pair.slice(at + 1).trim())]);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      return wrong(`Illegal client matching pattern: ${pair}: ${error.message}`, true);
    }
  }
  return { metrics: listed(own['metrics'] ?? ''), intervalMs, match };
}

/** Clients are compared once: what the pattern learns on the way is not worth its memory. */
function fits(pattern: TopicPattern, text: string): boolean {
  const matches = pattern.matches(text);
  pattern.rest();
  return matches;
}

function listed(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}
