/**
 * Who may not come in. The list lies in the catalogue and holds for all protocols; it is asked for
 * each connection and for each client, so names and addresses are found at once, and only ranges
 * and patterns are gone through.
 */
import type { Client } from '#contract';
import { BrokerError, type Clock, type Timer, type Timers } from '#kit';
import { unmapped } from '../address.ts';
import type { AddressSet } from '../address-set.ts';
import {
  type Ban,
  type BanKind,
  banName,
  checkedValue,
  PATTERN_INPUT_MAX,
  patternOf,
  rangeOf,
} from './ban.ts';

/** Bans in the whole, and those that every client is compared with one by one. */
const BANS_MAX = 100_000;
const SLOW_BANS_MAX = 1_000;
const KIND = 'ban';

type Value =
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | { readonly [key: string]: Value };

/** Where bans are kept: the definitions of the server. */
export interface BanStore {
  list(kind: string): Iterable<[string, Value]>;
  put(kind: string, name: string, value: Value): void;
  remove(kind: string, name: string): void;
  watch(kind: string, watcher: (name: string, value: Value | undefined) => void): () => void;
}

interface Entry {
  readonly ban: Ban;
  readonly range: AddressSet | null;
  readonly pattern: RegExp | null;
}

export interface NewBan {
  readonly kind: BanKind;
  readonly value: string;
  readonly reason?: string;
  /** Absent: until it is lifted. */
  readonly forMs?: number;
}

export class BanList {
  readonly #store: BanStore;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #entries = new Map<string, Entry>();
  readonly #ranges = new Set<Entry>();
  readonly #patterns = new Set<Entry>();
  readonly #watchers = new Set<(ban: Ban) => void>();
  readonly #unwatch: () => void;
  #timer: Timer | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(store: BanStore, clock: Clock, timers: Timers) {
    this.#store = store;
    this.#clock = clock;
    this.#timers = timers;
    for (const [name, value] of store.list(KIND)) this.#enter(name, value as unknown as Ban);
    this.#unwatch = store.watch(KIND, (name, value) => this.#changed(name, value));
    this.#sweep();
  }

  get count(): number {
    return this.#entries.size;
  }

  *list(): Generator<Ban> {
    for (const { ban } of this.#entries.values()) yield ban;
  }

  /** Adds one, or sets its reason and its end anew. @throws BrokerError */
  add({ kind, value: text, reason = '', forMs }: NewBan): Ban {
    const value = checkedValue(kind, text);
    const name = banName(kind, value);
    const slow = this.#ranges.size + this.#patterns.size;
    const isSlow = kind === 'range' || kind === 'client-pattern';
    if (!this.#entries.has(name) && (this.count >= BANS_MAX || (isSlow && slow >= SLOW_BANS_MAX))) {
      throw new BrokerError(
        'limit-reached',
        `${BANS_MAX} bans, ${SLOW_BANS_MAX} of them patterns.`,
      );
    }
    const sinceMs = this.#clock.nowMs();
    const untilMs = forMs === undefined ? null : sinceMs + forMs;
    const ban: Ban = { kind, value, reason, sinceMs, untilMs };
    this.#store.put(KIND, name, { ...ban });
    return ban;
  }

  /** @returns false when there is none */
  lift(kind: BanKind, value: string): boolean {
    const name = banName(kind, kind === 'address' ? unmapped(value) : value);
    if (!this.#entries.has(name)) return false;
    this.#store.remove(KIND, name);
    return true;
  }

  /** Calls with every ban that is added later. */
  onAdd(watcher: (ban: Ban) => void): void {
    this.#watchers.add(watcher);
  }

  ofAddress(address: string): Ban | null {
    if (this.#entries.size === 0) return null;
    const plain = unmapped(address);
    const exact = this.#valid(this.#entries.get(banName('address', plain)));
    if (exact !== null) return exact;
    for (const entry of this.#ranges) {
      if (entry.range!.has(plain) && this.#valid(entry) !== null) return entry.ban;
    }
    return null;
  }

  ofClient({ user, clientId }: Client): Ban | null {
    if (this.#entries.size === 0) return null;
    const byUser = this.#valid(this.#entries.get(banName('user', user)));
    if (byUser !== null || clientId === null) return byUser;
    const exact = this.#valid(this.#entries.get(banName('client', clientId)));
    if (exact !== null || clientId.length > PATTERN_INPUT_MAX) return exact;
    for (const entry of this.#patterns) {
      if (entry.pattern!.test(clientId) && this.#valid(entry) !== null) return entry.ban;
    }
    return null;
  }

  close(): void {
    this.#unwatch();
    this.#timer?.cancel();
    this.#timer = null;
  }

  #valid(entry: Entry | undefined): Ban | null {
    if (entry === undefined) return null;
    const { untilMs } = entry.ban;
    return untilMs !== null && untilMs <= this.#clock.nowMs() ? null : entry.ban;
  }

  #changed(name: string, value: Value | undefined): void {
    this.#forget(name);
    if (value === undefined) return;
    const ban = value as unknown as Ban;
    this.#enter(name, ban);
    if (ban.untilMs !== null && ban.untilMs < this.#timerAtMs) this.#arm(ban.untilMs);
    for (const watcher of this.#watchers) watcher(ban);
  }

  #enter(name: string, ban: Ban): void {
    const entry = {
      ban,
      range: ban.kind === 'range' ? rangeOf(ban.value) : null,
      pattern: ban.kind === 'client-pattern' ? patternOf(ban.value) : null,
    };
    this.#entries.set(name, entry);
    if (entry.range !== null) this.#ranges.add(entry);
    if (entry.pattern !== null) this.#patterns.add(entry);
  }

  #forget(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#ranges.delete(entry);
    this.#patterns.delete(entry);
  }

  /** Takes what has ended out of the catalogue, and waits for the next end. */
  #sweep(): void {
    this.#timer = null;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [name, { ban }] of this.#entries) {
      if (ban.untilMs === null) continue;
      if (ban.untilMs <= nowMs) this.#store.remove(KIND, name);
      else nextMs = Math.min(nextMs, ban.untilMs);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#arm(nextMs);
  }

  #arm(atMs: number): void {
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#timers.after(Math.max(1, atMs - this.#clock.nowMs()), () => this.#sweep());
  }
}
