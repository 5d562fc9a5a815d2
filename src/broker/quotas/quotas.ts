/**
 * Quotas: how much users, clients and addresses may take of the server. The most special one of a
 * kind holds; those for whom it is the same share it, over all of their connections. A quota that
 * stands for everyone else gives each of them as much. Kept as definitions; what was taken is in
 * memory only. Whoever serves clients asks here, and keeps them waiting for as long as it is told.
 */
import { BrokerError, type Clock, type Counter, type Metrics, type Timers } from '#kit';
import type { Definitions, Json } from '../state/definitions.ts';
import type { PublishToll } from './publish-toll.ts';
import {
  entityKey,
  entityOf,
  KINDS,
  QUOTA_KINDS,
  type Quota,
  type QuotaEntity,
  type QuotaKind,
  type QuotaValues,
} from './quota.ts';
import { QuotaClient } from './quota-client.ts';
import { Share } from './share.ts';

const KIND = 'quota';
const QUOTAS_MAX = 100_000;
/** Names come from clients: what nobody holds is looked through when there are so many more. */
const SWEEP_EVERY = 1024;

interface Counters {
  readonly times: Counter;
  readonly waitMs: Counter;
}

export class Quotas {
  /** Grows with every change. */
  version = 1;
  /** Those who are not read now: they hear of changes. */
  readonly waiting = new Set<PublishToll>();
  readonly #definitions: Definitions;
  readonly #clock: Clock;
  readonly #quotas = new Map<string, Quota>();
  readonly #shares = new Map<string, Share>();
  readonly #counters = new Map<QuotaKind, Counters>();
  #sweepAt = SWEEP_EVERY;
  #isTelling = false;
  #hasAddresses = false;

  constructor(definitions: Definitions, clock: Clock, timers: Timers, metrics: Metrics) {
    this.#definitions = definitions;
    this.#clock = clock;
    for (const kind of QUOTA_KINDS) {
      const times = 'How often a client was kept waiting because of a quota.';
      const waitMs = 'How long clients were kept waiting because of quotas.';
      this.#counters.set(kind, {
        times: metrics.counter('robustmq_quota_throttles_total', times, { kind }),
        waitMs: metrics.counter('robustmq_quota_throttle_ms_total', waitMs, { kind }),
      });
    }
    for (const [key, values] of definitions.list(KIND)) this.#read(key, values);
    definitions.watch(KIND, (key, values) => {
      this.#read(key, values);
      this.version++;
      if (this.waiting.size === 0 || this.#isTelling) return;
      // Once for all changes of a turn.
      this.#isTelling = true;
      timers.soon(() => this.#tell());
    });
  }

  /** True when nobody has a quota. */
  get blank(): boolean {
    return this.#quotas.size === 0;
  }

  /** Shares in memory. */
  get sharesKept(): number {
    return this.#shares.size;
  }

  list(): Iterable<Quota> {
    return this.#quotas.values();
  }

  valuesOf(entity: QuotaEntity): QuotaValues {
    return this.#quotas.get(entityKey(entity))?.values ?? {};
  }

  /** What is wrong with a quota, or null. */
  fault(entity: QuotaEntity, values: QuotaValues): string | null {
    const kinds = Object.keys(values) as QuotaKind[];
    const { user, client, address } = entity;
    if (address !== undefined) {
      if (user !== undefined || client !== undefined) return 'an address has quotas of its own.';
    } else if (user === undefined && client === undefined) return 'a quota is for somebody.';
    if ([user, client, address].includes('')) return 'a name is empty.';
    for (const kind of kinds) {
      const value = values[kind]!;
      if (!(value > 0 && value <= Number.MAX_SAFE_INTEGER)) return `${kind}: more than 0.`;
      if ((kind === 'connections') !== (address !== undefined)) {
        return `${kind}: not a quota of such an entity.`;
      }
    }
    return null;
  }

  /**
   * Replaces the quota of an entity; without values there is none. It holds from now on, and is on
   * disk when the definitions are durable.
   * @throws BrokerError `invalid-argument`, `limit-reached`
   */
  set(entity: QuotaEntity, values: QuotaValues): void {
    const fault = this.fault(entity, values);
    if (fault !== null) throw new BrokerError('invalid-argument', fault);
    const key = entityKey(entity);
    if (Object.keys(values).length === 0) {
      this.#definitions.remove(KIND, key);
      return;
    }
    if (!this.#quotas.has(key) && this.#quotas.size >= QUOTAS_MAX) {
      throw new BrokerError('limit-reached', `at most ${QUOTAS_MAX} quotas.`);
    }
    this.#definitions.put(KIND, key, values as Json);
  }

  /** A client comes; `leave` is to be called when it goes. */
  enter(user: string, client: string): QuotaClient {
    return new QuotaClient(this, user, client);
  }

  /** Counts a connection from there. @returns false when it comes too soon after others */
  admits(address: string): boolean {
    if (!this.#hasAddresses) return true;
    const values =
      this.#quotas.get(entityKey({ address })) ?? this.#quotas.get(entityKey({ address: null }));
    const perSecond = values?.values.connections;
    if (perSecond === undefined) return true;
    const share = this.#shareOf('connections', `@${address}`, perSecond);
    const nowMs = this.nowMs();
    const waitMs = share.waitFor(1, nowMs);
    if (waitMs > 0) {
      this.exceeded('connections', 0);
      return false;
    }
    share.take(1, nowMs);
    return true;
  }

  /** What holds for a client, by kind. For `QuotaClient`. */
  *sharesOf(user: string, client: string): Generator<[QuotaKind, Share]> {
    if (this.blank) return;
    const candidates = this.#candidates(user, client);
    for (const kind of QUOTA_KINDS) {
      const holds = candidates.find(({ values }) => values[kind] !== undefined);
      if (holds === undefined) continue;
      const { entity, values } = holds;
      const scope = JSON.stringify([
        entity.user === undefined ? null : user,
        entity.client === undefined ? null : client,
      ]);
      yield [kind, this.#shareOf(kind, scope, values[kind]!)];
    }
  }

  exceeded(kind: QuotaKind, waitMs: number): void {
    const { times, waitMs: sum } = this.#counters.get(kind)!;
    times.add();
    sum.add(waitMs);
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Quotas that may hold for a client, the most special one first. */
  #candidates(user: string, client: string): Quota[] {
    const entities: readonly QuotaEntity[] = [
      { user, client },
      { user, client: null },
      { user },
      { user: null, client },
      { user: null, client: null },
      { user: null },
      { client },
      { client: null },
    ];
    return entities
      .map((entity) => this.#quotas.get(entityKey(entity)))
      .filter((quota) => quota !== undefined);
  }

  #shareOf(kind: QuotaKind, scope: string, value: number): Share {
    const key = `${kind} ${scope}`;
    const { units, burst } = KINDS[kind];
    const known = this.#shares.get(key);
    const nowMs = this.nowMs();
    if (known !== undefined) {
      known.set(value * units, burst, nowMs);
      return known;
    }
    if (this.#shares.size >= this.#sweepAt) this.#sweep(nowMs);
    const share = new Share(value * units, burst, nowMs);
    this.#shares.set(key, share);
    return share;
  }

  #tell(): void {
    this.#isTelling = false;
    for (const toll of [...this.waiting]) toll.reconsider();
  }

  /** Forgets what nobody holds and nobody owes to. */
  #sweep(nowMs: number): void {
    for (const [key, share] of this.#shares) {
      if (share.holders === 0 && share.isFull(nowMs)) this.#shares.delete(key);
    }
    this.#sweepAt = this.#shares.size * 2 + SWEEP_EVERY;
  }

  #read(key: string, values: Json | undefined): void {
    if (values === undefined) this.#quotas.delete(key);
    else this.#quotas.set(key, { entity: entityOf(key), values: values as QuotaValues });
    const isAddress = entityOf(key).address !== undefined;
    if (!isAddress) return;
    if (values !== undefined) this.#hasAddresses = true;
    else
      this.#hasAddresses = [...this.#quotas.values()].some((q) => q.entity.address !== undefined);
  }
}
