/** What all connections of one listener share, so that a connection itself stays small. */
import type { Client, Connection, Eviction, ListenerPlan, ListenerTerms, Peer } from '#contract';
import type { Clock, Counter, Gauge, Log, Metrics, Timers, Values } from '#kit';
import { AddressSet } from './address-set.ts';
import { type Admission, OPEN_ADMISSION } from './admission.ts';
import type { HalfOpen } from './half-open.ts';
import type { FirstReads } from './limits/first-reads.ts';
import { Rating } from './limits/meter.ts';
import type { ListenerSettings, NET_OPTIONS } from './net-options.ts';
import { nameRules } from './tls/name-rules.ts';
import type { TlsKeyRing, TlsKeys } from './tls/tls-keys.ts';
import type { Turn } from './turn.ts';

export interface ListenersContext {
  readonly options: Values<typeof NET_OPTIONS>;
  /** What holds for one listener: its own table over the sections `server` and `tls`. */
  settingsOf(listener: string): ListenerSettings;
  readonly keyRing: TlsKeyRing;
  readonly admission?: Admission;
  readonly clock: Clock;
  readonly turn: Turn;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Counts of one listener, labelled with its name. */
export interface DoorwayCounts {
  readonly open: Gauge;
  readonly total: Counter;
  readonly refused: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  readonly slowed: Counter;
  readonly evicted: Counter;
}

/** A connection as the server sees it from outside of its protocol. */
export interface Guest {
  readonly id: number;
  readonly listener: string;
  readonly peer: Peer;
  /** Null until the protocol has told. */
  readonly client: Client | null;
  evict(eviction: Eviction): void;
}

export interface Doorway {
  readonly listener: string;
  readonly settings: ListenerSettings;
  readonly terms: ListenerTerms;
  readonly log: Log;
  readonly counts: DoorwayCounts;
  readonly turn: Turn;
  readonly timers: Timers;
  readonly halfOpen: HalfOpen;
  /** Where newcomers are read a few at a time. */
  readonly firstReads?: FirstReads;
  readonly sendMark: number;
  readonly lingerMs: number;
  readonly rating: Rating;
  readonly admission: Admission;
  /** Load balancers and proxies whose word about the client's address counts. */
  readonly proxyTrust: AddressSet;
  readonly forwardedTrust: AddressSet;
  /** Every open connection of the server. */
  readonly guests: Set<Guest>;
  /** The id of the next connection: one sequence over all listeners. */
  nextId(): number;
  /** Null where no certificate is configured. */
  readonly keys: TlsKeys | null;
  /** Hands the connection to its protocol. */
  accept(connection: Connection): void;
}

/** What the doorways of one server have in common. */
export interface Lobby {
  readonly halfOpen: HalfOpen;
  readonly firstReads?: FirstReads;
  readonly guests: Set<Guest>;
  nextId(): number;
}

/** @throws BrokerError `bad-configuration` */
export function openDoorway(
  context: ListenersContext,
  lobby: Lobby,
  plan: ListenerPlan,
  keys: TlsKeys | null,
  accept: (connection: Connection) => void,
): Doorway {
  const { options, clock, turn, log, metrics, admission = OPEN_ADMISSION } = context;
  const settings = context.settingsOf(plan.name);
  // A rule that cannot be read stops the start, not the first client.
  nameRules(settings.identityUserRules);
  return {
    listener: plan.name,
    settings,
    terms: {
      anonymous: ANONYMOUS[settings.authentication] ?? 'loopback',
      transport: plan.transport,
      upgradable: plan.upgradable === true && keys !== null,
    },
    log: log.with({ listener: plan.name }),
    counts: doorwayCounts(metrics, plan.name),
    turn,
    timers: turn,
    ...lobby,
    nextId: () => lobby.nextId(),
    sendMark: options.sendMark,
    lingerMs: options.lingerTimeout,
    rating: new Rating(clock, settings),
    admission,
    proxyTrust: new AddressSet('proxy-trust', settings.proxyTrust),
    forwardedTrust: new AddressSet('forwarded-trust', settings.forwardedTrust),
    keys,
    accept,
  };
}

const ANONYMOUS: Readonly<Record<string, ListenerTerms['anonymous']>> = {
  remote: 'loopback',
  required: 'nobody',
  off: 'everyone',
};

export function connectionIds(): () => number {
  let last = 0;
  return () => ++last;
}

export function doorwayCounts(metrics: Metrics, listener: string): DoorwayCounts {
  const labels = { listener };
  return {
    open: metrics.gauge('robustmq_net_connections', 'Connections open now.', labels),
    total: metrics.counter('robustmq_net_connections_total', 'Connections accepted.', labels),
    refused: metrics.counter(
      'robustmq_net_connections_refused_total',
      'Connections refused by a limit, a ban, a failed handshake or a foreign origin.',
      labels,
    ),
    received: metrics.counter('robustmq_net_received_bytes_total', 'Bytes from clients.', labels),
    sent: metrics.counter('robustmq_net_sent_bytes_total', 'Bytes to clients.', labels),
    slowed: metrics.counter(
      'robustmq_net_reads_slowed_total',
      'Times that a connection was not read for a while because of a rate.',
      labels,
    ),
    evicted: metrics.counter(
      'robustmq_net_evicted_total',
      'Connections that the server ended for a ban, a rate or a drain.',
      labels,
    ),
  };
}
