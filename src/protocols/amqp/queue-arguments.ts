/**
 * The arguments of queue.declare, one row each: which types and values are valid, and what they
 * set. An argument that RabbitMQ knows is either enforced here or refused in plain words; arguments
 * that nobody knows are kept and compared on a second declare, as RabbitMQ does.
 */
import { named, refusal } from './errors.ts';
import { integerOf, type Table, type TableEntry } from './field-table.ts';
import { sameValue } from './matchers.ts';

type StartAt = 'first' | 'next' | number;

export interface QueueLimits {
  /** 'quorum' behaves as a durable queue with a delivery limit. */
  type: 'classic' | 'quorum';
  /** Unused this long, the queue goes; 0 = never. */
  expiresMs: number;
  /** Age at which messages are not delivered any more; -1 = none. */
  messageTtlMs: number;
  /** -1 = none. */
  lengthMax: number;
  /** Of the bodies that are ready; -1 = none. */
  bytesMax: number;
  overflow: 'drop-head' | 'reject-publish' | 'reject-publish-dlx';
  /** Highest priority; 0 = there are none. */
  maxPriority: number;
  singleActive: boolean;
  /** Returns after which a message is given up; -1 = never. */
  deliveryLimit: number;
  /** null: none. '' is the default exchange. */
  deadLetterExchange: string | null;
  deadLetterKey: string | null;
  startAt: StartAt;
}

/** RabbitMQ's default for quorum queues since 4.0. */
const QUORUM_DELIVERY_LIMIT = 20;
const PRIORITY_MAX = 255;
const DURATION_MS_MAX = 0xffffffff;

/** Reads one argument into the limits; answers what is wrong with it, or null. */
type Apply = (limits: QueueLimits, entry: TableEntry) => string | null;

function integer(
  min: number,
  max: number,
  set: (limits: QueueLimits, value: number) => void,
): Apply {
  return (limits, entry) => {
    const value = integerOf(entry);
    if (value === undefined) return `{unacceptable_type,${erlangType(entry)}}`;
    if (value < 0 && min >= 0) return `{value_negative,${value}}`;
    if (value === 0 && min > 0) return `{value_zero,${value}}`;
    if (value < min || value > max) return `{value_out_of_range,${value}}`;
    set(limits, value);
    return null;
  };
}

function text(set: (limits: QueueLimits, value: string) => string | null | undefined): Apply {
  return (limits, entry) => {
    if (entry.type !== 'S') return `{unacceptable_type,${erlangType(entry)}}`;
    return set(limits, (entry.value as Buffer).toString()) ?? null;
  };
}

function flag(set: (limits: QueueLimits, value: boolean) => void): Apply {
  return (limits, entry) => {
    if (entry.type !== 't') return `{unacceptable_type,${erlangType(entry)}}`;
    set(limits, entry.value === true);
    return null;
  };
}

const refused = (reason: string): Apply => {
  return () => `not supported by this server: ${reason}`;
};

/** Accepted without effect: they place or store a queue in ways that make no difference here. */
const accepted: Apply = () => null;

const ROWS: ReadonlyMap<string, Apply> = new Map<string, Apply>([
  ['x-expires', integer(1, DURATION_MS_MAX, (limits, ms) => (limits.expiresMs = ms))],
  ['x-message-ttl', integer(0, DURATION_MS_MAX, (limits, ms) => (limits.messageTtlMs = ms))],
  ['x-max-length', integer(0, Number.MAX_SAFE_INTEGER, (limits, n) => (limits.lengthMax = n))],
  ['x-max-length-bytes', integer(0, Number.MAX_SAFE_INTEGER, (limits, n) => (limits.bytesMax = n))],
  [
    'x-overflow',
    text((limits, how) => {
      if (!isOverflow(how)) return `{invalid_overflow,<<"${how}">>}`;
      limits.overflow = how;
      return null;
    }),
  ],
  ['x-single-active-consumer', flag((limits, value) => (limits.singleActive = value))],
  ['x-delivery-limit', integer(-1, 0xffffffff, (limits, count) => (limits.deliveryLimit = count))],
  [
    'x-dead-letter-exchange',
    text((limits, name) => {
      limits.deadLetterExchange = name;
      return null;
    }),
  ],
  [
    'x-dead-letter-routing-key',
    text((limits, key) => {
      limits.deadLetterKey = key;
      return null;
    }),
  ],
  [
    'x-dead-letter-strategy',
    text((_, how) =>
      how === 'at-most-once' || how === 'at-least-once'
        ? null
        : `{invalid_dlx_strategy,<<"${how}">>}`,
    ),
  ],
  ['x-max-priority', integer(0, PRIORITY_MAX, (limits, n) => (limits.maxPriority = n))],
  [
    'x-queue-mode',
    text((_, how) =>
      how === 'default' || how === 'lazy' ? null : `{invalid_queue_mode,<<"${how}">>}`,
    ),
  ],
  ['x-queue-version', integer(1, 2, () => undefined)],
  ['x-queue-leader-locator', accepted],
  ['x-queue-master-locator', accepted],
  ['x-quorum-initial-group-size', integer(1, 1000, () => undefined)],
  ['x-max-in-memory-length', accepted],
  ['x-max-in-memory-bytes', accepted],
  ['x-max-age', refused('queues of type stream')],
  ['x-stream-max-segment-size-bytes', refused('queues of type stream')],
  ['x-stream-filter-size-bytes', refused('queues of type stream')],
  ['x-delayed-retry-type', refused('delayed retry')],
  ['x-message-deduplication', refused('exchanges have it, queues do not')],
  [
    'x-stream-offset',
    (limits, entry) => {
      const value = entry.type === 'S' ? (entry.value as Buffer).toString() : integerOf(entry);
      if (value === 'first' || value === 'next') limits.startAt = value;
      else if (typeof value === 'number' && value >= 0) limits.startAt = value;
      else return 'first, next or an offset is wanted';
      return null;
    },
  ],
]);

/** @throws AmqpError 406 for a value that is not valid, or that this server does not enforce. */
export function queueLimits(name: string, table: Table): QueueLimits {
  const limits: QueueLimits = {
    type: queueType(name, table),
    expiresMs: 0,
    messageTtlMs: -1,
    lengthMax: -1,
    bytesMax: -1,
    maxPriority: 0,
    overflow: 'drop-head',
    singleActive: false,
    deliveryLimit: -1,
    deadLetterExchange: null,
    deadLetterKey: null,
    startAt: 'next',
  };
  if (limits.type === 'quorum') limits.deliveryLimit = QUORUM_DELIVERY_LIMIT;
  for (const entry of table) {
    const problem = ROWS.get(entry.name)?.(limits, entry) ?? null;
    if (problem !== null) throw refusal.invalidArgument(named.queue(name), entry.name, problem);
  }
  if (limits.deadLetterKey !== null && limits.deadLetterExchange === null) {
    throw refusal.invalidArgument(
      named.queue(name),
      'x-dead-letter-routing-key',
      'routing_key_but_no_dlx_defined',
    );
  }
  return limits;
}

function isOverflow(how: string): how is QueueLimits['overflow'] {
  return how === 'drop-head' || how === 'reject-publish' || how === 'reject-publish-dlx';
}

function queueType(name: string, table: Table): QueueLimits['type'] {
  const entry = table.find((argument) => argument.name === 'x-queue-type');
  if (entry === undefined) return 'classic';
  const value = entry.type === 'S' ? (entry.value as Buffer).toString() : '';
  if (value === 'classic' || value === 'quorum') return value;
  throw refusal.invalidArgument(
    named.queue(name),
    'x-queue-type',
    value === 'stream' ? 'not supported by this server: stream' : 'unsupported queue type',
  );
}

/** Names that RabbitMQ gives to the types in its reply texts. */
const ERLANG_TYPES: Readonly<Record<string, string>> = {
  t: 'bool',
  b: 'byte',
  B: 'unsignedbyte',
  s: 'short',
  u: 'unsignedshort',
  I: 'signedint',
  i: 'unsignedint',
  l: 'long',
  f: 'float',
  d: 'double',
  D: 'decimal',
  S: 'longstr',
  A: 'array',
  T: 'timestamp',
  F: 'table',
  V: 'void',
  x: 'binary',
};

function erlangType(entry: TableEntry): string {
  return ERLANG_TYPES[entry.type]!;
}

function shown(entry: TableEntry | undefined): string {
  if (entry === undefined) return 'none';
  const value = Buffer.isBuffer(entry.value) ? entry.value.toString() : String(entry.value);
  return `the value '${value}' of type '${erlangType(entry)}'`;
}

/** @throws AmqpError 406 when a known argument differs between two declares. */
export function checkSameArguments(what: string, received: Table, current: Table): void {
  const names = new Set([...received, ...current].map(({ name }) => name));
  for (const name of names) {
    if (!name.startsWith('x-') && name !== 'alternate-exchange') continue;
    const one = received.find((entry) => entry.name === name);
    const other = current.find((entry) => entry.name === name);
    if (one !== undefined && other !== undefined && sameValue(one, other)) continue;
    throw refusal.inequivalent(what, name, shown(one), shown(other));
  }
}
