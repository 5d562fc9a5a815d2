/** What the owner of a queue asks of it, and what the queue works with. */
import { BrokerError } from '#kit';

export interface QueueSettings {
  readonly durable: boolean;
  /** The stream that the queue is a cursor over. It must exist. */
  readonly stream?: string;
  /** Which partition of it; the first when left out. */
  readonly partition?: number;
  /** True: retention takes what the queue has not finished like anything else. */
  readonly loose?: boolean;
  /** Where in that stream it starts; its end when left out. */
  readonly startOffset?: number;
  /** Ready messages that it may have. */
  readonly lengthMax?: number;
  /** Bytes of ready messages that it may have. */
  readonly bytesMax?: number;
  /** What goes when there are more; `reject`: ask `refuses` before a publish. */
  readonly overflow?: 'drop-oldest' | 'reject';
  /**
   * Highest priority, 0 to 255: messages with a higher one come first. 0 or left out: there are
   * none.
   */
  readonly priorities?: number;
  /** A message waits until the earlier ones of its key are finished. */
  readonly keyOrder?: boolean;
  /** One consumer at a time; another takes over when it goes. */
  readonly singleActive?: boolean;
  /** Deliveries come back when they are not finished so long after; 0 or left out: never. */
  readonly leaseMs?: number;
  /** Deliveries of one message after which it is given up; 0 or left out: never. */
  readonly maxDeliveries?: number;
  /** Waits before the second, third, … delivery; the last one for all later ones. */
  readonly backoffMs?: readonly number[];
  /** Messages that were appended longer ago expire; -1 or left out: never. */
  readonly ttlMs?: number;
}

export interface QueueLimits {
  readonly lengthMax: number;
  readonly bytesMax: number;
  readonly overflow: 'drop-oldest' | 'reject';
  readonly priorities: number;
  readonly keyOrder: boolean;
  readonly singleActive: boolean;
  readonly leaseMs: number;
  readonly maxDeliveries: number;
  readonly backoffMs: readonly number[];
  readonly ttlMs: number;
}

const PRIORITIES_MAX = 255;

const DEFAULT_LIMITS: QueueLimits = {
  lengthMax: Number.POSITIVE_INFINITY,
  bytesMax: Number.POSITIVE_INFINITY,
  overflow: 'drop-oldest',
  priorities: 0,
  keyOrder: false,
  singleActive: false,
  leaseMs: 0,
  maxDeliveries: 0,
  backoffMs: [],
  ttlMs: -1,
};

/** Most queues have the defaults, and then share them. */
export function limitsOf(given: Partial<QueueLimits>): QueueLimits {
  const own = ownLimits(given);
  for (const _ in own) return { ...DEFAULT_LIMITS, ...own };
  return DEFAULT_LIMITS;
}

/** Those that are not the defaults; what is stored of them. */
export function ownLimits(given: Partial<QueueLimits>): Partial<QueueLimits> {
  const own: Record<string, unknown> = {};
  for (const name of Object.keys(DEFAULT_LIMITS) as (keyof QueueLimits)[]) {
    const value = given[name];
    if (value === undefined || value === DEFAULT_LIMITS[name]) continue;
    if (name === 'backoffMs' && (value as readonly number[]).length === 0) continue;
    own[name] = value;
  }
  return own as Partial<QueueLimits>;
}

/** Sizes of single messages count, or their priorities: they must come by reference. */
export function needsReferences(limits: QueueLimits): boolean {
  return limits.priorities > 0 || limits.bytesMax !== Number.POSITIVE_INFINITY;
}

/** @throws BrokerError `invalid-argument` */
export function checkLimits({ priorities, backoffMs }: QueueLimits): void {
  if (!Number.isInteger(priorities) || priorities < 0 || priorities > PRIORITIES_MAX) {
    throw new BrokerError('invalid-argument', `priorities: 0 to ${PRIORITIES_MAX}.`);
  }
  if (backoffMs.some((ms) => !(ms >= 0))) {
    throw new BrokerError('invalid-argument', 'a wait is less than 0.');
  }
}
