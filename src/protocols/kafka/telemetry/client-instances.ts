/**
 * Clients that are asked for metrics, by the id that they got: what they were told last, when they
 * came last, and the last values of their metrics. Bounded in clients and in values; who was not
 * heard of for long is forgotten.
 */
import { KAFKA } from '../error-codes.ts';
import type { AskedMetrics, ClientFacts } from './client-metrics-configs.ts';
import type { MetricPoint } from './otlp-metrics.ts';

/** Clients that are known at once; the one that was heard of longest ago gives its place. */
const INSTANCES_MAX = 16_384;
/** Values that are kept of all clients together. */
const VALUES_MAX = 100_000;
/** Values that are kept of one client. */
const VALUES_PER_CLIENT_MAX = 1_000;
/** Longest name of a metric, with its attributes. */
const NAME_CHARACTERS_MAX = 512;
/** Nobody is forgotten before this, nor within three intervals. */
const KEEP_MIN_MS = 60_000;
const KEEP_INTERVALS = 3;

/** A time before all others. */
const NEVER = Number.NEGATIVE_INFINITY;

export class ClientInstance {
  readonly id: string;
  facts: ClientFacts;
  asked: AskedMetrics = { metrics: [], intervalMs: 0 };
  subscriptionId = 0;
  /** Of the subscriptions that it was compared with; 0 for none. */
  version = 0;
  /** Who pushed for the last time pushes no more. */
  ended = false;
  lastError: number = KAFKA.NONE;
  /** It asked, and has not pushed since. */
  isFresh = false;
  lastGetMs = NEVER;
  lastPushMs = NEVER;
  readonly values = new Map<string, number>();

  constructor(id: string, facts: ClientFacts) {
    this.id = id;
    this.facts = facts;
  }

  get seenMs(): number {
    return Math.max(this.lastGetMs, this.lastPushMs);
  }

  /** @returns false when it asks again too early */
  mayGet(nowMs: number): boolean {
    const isTold =
      this.lastError === KAFKA.UNKNOWN_SUBSCRIPTION_ID ||
      this.lastError === KAFKA.UNSUPPORTED_COMPRESSION_TYPE;
    const isDue = nowMs - this.seenMs >= this.asked.intervalMs;
    if (!isDue && !isTold) return false;
    this.lastGetMs = nowMs;
    this.isFresh = true;
    return true;
  }

  /** @returns false when it pushes too early; the first push may come at any time (its jitter) */
  mayPush(nowMs: number): boolean {
    if (!this.isFresh && nowMs - this.seenMs < this.asked.intervalMs) return false;
    this.isFresh = false;
    this.lastPushMs = nowMs;
    return true;
  }
}

export class ClientInstances {
  /** In the order in which they were heard of. */
  readonly #all = new Map<string, ClientInstance>();
  #values = 0;

  get count(): number {
    return this.#all.size;
  }

  all(): Iterable<ClientInstance> {
    return this.#all.values();
  }

  /** The client of this id; it may come from another server, or from before a restart. */
  of(id: string, facts: ClientFacts): ClientInstance {
    let instance = this.#all.get(id);
    if (instance === undefined) {
      if (this.#all.size >= INSTANCES_MAX) this.#forget(this.#all.values().next().value!);
      instance = new ClientInstance(id, facts);
    } else this.#all.delete(id);
    instance.facts = facts;
    this.#all.set(id, instance);
    return instance;
  }

  /** @returns false when there is no room for the value */
  note(instance: ClientInstance, { name, attributes, isDelta, value }: MetricPoint): boolean {
    const key = attributes === '' ? name : `${name}{${attributes}}`;
    const before = instance.values.get(key);
    // What a client has not measured lately is no number.
    if (!Number.isFinite(value)) {
      if (instance.values.delete(key)) this.#values--;
      return true;
    }
    if (before !== undefined) {
      instance.values.set(key, isDelta ? before + value : value);
      return true;
    }
    const isFull = instance.values.size >= VALUES_PER_CLIENT_MAX || this.#values >= VALUES_MAX;
    if (isFull || key.length > NAME_CHARACTERS_MAX) return false;
    instance.values.set(key, value);
    this.#values++;
    return true;
  }

  /** The client goes: what it told does not hold any more. */
  end(instance: ClientInstance): void {
    instance.ended = true;
    this.#values -= instance.values.size;
    instance.values.clear();
  }

  /** Forgets who was not heard of for long. */
  sweep(nowMs: number): void {
    for (const instance of this.#all.values()) {
      const keptMs = Math.max(KEEP_MIN_MS, instance.asked.intervalMs * KEEP_INTERVALS);
      if (nowMs - instance.seenMs > keptMs) this.#forget(instance);
    }
  }

  #forget(instance: ClientInstance): void {
    this.end(instance);
    this.#all.delete(instance.id);
  }
}
