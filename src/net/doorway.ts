/** What all connections of one listener share, so that a connection itself stays small. */
import type { Connection } from '#contract';
import type { Counter, Gauge, Log, Metrics, Timers } from '#kit';
import type { Certificate } from './certificate.ts';
import type { HalfOpen } from './half-open.ts';
import type { Turn } from './turn.ts';

/** Counts of one listener, labelled with its name. */
export interface DoorwayCounts {
  readonly open: Gauge;
  readonly total: Counter;
  readonly refused: Counter;
  readonly received: Counter;
  readonly sent: Counter;
}

export interface Doorway {
  readonly listener: string;
  readonly log: Log;
  readonly counts: DoorwayCounts;
  readonly turn: Turn;
  readonly timers: Timers;
  readonly halfOpen: HalfOpen;
  readonly sendMark: number;
  readonly lingerMs: number;
  /** The id of the next connection: one sequence over all listeners. */
  nextId(): number;
  /** Null where no certificate is configured. */
  readonly certificate: Certificate | null;
  /** Hands the connection to its protocol. */
  accept(connection: Connection): void;
}

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
      'Connections refused by a limit, a failed handshake or a foreign origin.',
      labels,
    ),
    received: metrics.counter('robustmq_net_received_bytes_total', 'Bytes from clients.', labels),
    sent: metrics.counter('robustmq_net_sent_bytes_total', 'Bytes to clients.', labels),
  };
}
