/**
 * What a load process is told and what it answers: one JSON object as its argument, one JSON line
 * on its standard output. No protocol knowledge lives here.
 */

export const LOADS = [
  'mqtt-flow',
  'mqtt-confirm',
  'mqtt-through',
  'mqtt-paced',
  'mqtt-store',
  'mqtt-crossing',
  'mqtt-connect',
  'mqtt-match',
  'nats-flow',
  'nats-publish',
  'nats-paced',
  'nats-request',
  'kafka-produce',
  'kafka-fetch',
  'kafka-paced',
  'amqp-confirm',
  'amqp-flow',
  'amqp-through',
  'amqp-drain',
  'amqp-paced',
] as const;

export type LoadName = (typeof LOADS)[number];

/** The protocol whose frames a load speaks: what stands before the dash. */
export type WireName = 'mqtt' | 'nats' | 'kafka' | 'amqp';

/** What a load is like when nothing else is said: one connection each way, no backlog. */
export const PLAIN = {
  outPort: 0,
  publishers: 1,
  subscribers: 1,
  perSecond: 0,
  batch: 1,
  records: 0,
  take: 0,
  fill: true,
  queueType: '',
  verify: false,
  audit: false,
} as const;

export interface LoadSpec {
  readonly load: LoadName;
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Port of the protocol that consumes, where that is another one; 0 elsewhere. */
  readonly outPort: number;
  /** Payload of one message in bytes. */
  readonly payloadBytes: number;
  /** Messages (Kafka: batches) that may be unanswered at one time, for each publisher. */
  readonly window: number;
  /** Connections that publish, and that subscribe; 1 where a load knows only one. */
  readonly publishers: number;
  readonly subscribers: number;
  /** Messages each second of a paced load; unused elsewhere. */
  readonly perSecond: number;
  /** Records in one Kafka batch; 1 elsewhere. */
  readonly batch: number;
  readonly warmMs: number;
  readonly runMs: number;
  /** Records to store before a load that reads a backlog; unused elsewhere. */
  readonly records: number;
  /** Records that such a load reads in this turn. */
  readonly take: number;
  /** False: an earlier turn has stored the backlog already. */
  readonly fill: boolean;
  /** AMQP: the `x-queue-type` to ask for; empty is the broker's own. */
  readonly queueType: string;
  /** True: before the figure, send numbered payloads and compare what comes back. */
  readonly verify: boolean;
  /** True: after the figure, count what the broker kept and compare with what it acknowledged. */
  readonly audit: boolean;
  /** Distinguishes the names of topics, queues and clients of one run. */
  readonly name: string;
}

export interface LatencyUs {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** The histogram itself: percentile and value, ever closer to 100. */
  readonly curve: readonly (readonly [percent: number, us: number])[];
}

export interface LoadResult {
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly megabytesPerSecond: number;
  /** Messages that never came back although the broker took them (at most once paths). */
  readonly lost: number;
  /** CPU time of the load process itself during the run, as a share of one core. */
  readonly loadCpu: number;
  readonly latency?: LatencyUs;
  /** What was compared, in words; absent when nothing was. */
  readonly verified?: string;
}

/** Lines that a load prints before its result, when the measured part begins and ends. */
export type Moment = 'begin' | 'end';

export function wireOf(load: LoadName): WireName {
  return load.slice(0, load.indexOf('-')) as WireName;
}
