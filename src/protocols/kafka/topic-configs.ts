/**
 * Topic configurations (K42), one row each. What a stream can do is stored and enforced. What this
 * server does in one way only must be asked for in that way, or is refused. What only says how
 * files on disk are cut or moved has no counterpart here: it is accepted, and shown as read-only.
 */
import {
  CLEANUPS,
  type Cleanup,
  DEFAULT_SETTINGS,
  type Durability,
  type StreamSettings,
  settingsFault,
} from '#broker';
import { AFTER_MAX, BEFORE_MAX, COMPRESSION, COMPRESSIONS, MIN_INSYNC } from './topic-limits.ts';

export type ConfigKind = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list';

/** Wire numbers of DescribeConfigs. */
export const CONFIG_TYPES: Readonly<Record<ConfigKind, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
};

type Changes = { -readonly [Name in keyof StreamSettings]?: StreamSettings[Name] };

export interface ConfigRow {
  readonly name: string;
  readonly kind: ConfigKind;
  readonly help: string;
  /** Value of a stream with these settings. */
  show(settings: StreamSettings): string;
  /** Puts a value into `changes`: returns what is wrong with it, or null. Absent: see `accepts`. */
  apply?(value: string, changes: Changes): string | null;
  /**
   * For what is always the same: the values that mean just that. Absent: every value is accepted.
   */
  readonly accepts?: readonly string[];
  /**
   * For what the broker only keeps for this room (`StreamSettings.config`): what is wrong with a
   * value, or null.
   */
  keep?(value: string): string | null;
  /** Cannot be changed later. */
  readonly atCreation?: true;
}

/**
 * What a topic has that a client makes and says nothing else of. Kafka bounds it by time alone; a
 * stream that its first message made keeps less (decision 0042).
 */
export const TOPIC_DEFAULTS: StreamSettings = { ...DEFAULT_SETTINGS, retentionBytes: -1 };

const LONG_MAX = '9223372036854775807';
const INT_MAX = 0x7fffffff;
const CREATE_TIME = 'CreateTime';
const APPEND_TIME = 'LogAppendTime';
const DURABILITIES: readonly string[] = ['memory', 'async', 'fsync'];

/** The largest number that we can keep stands for the largest of the protocol: no limit. */
function shown(value: number): string {
  return value >= Number.MAX_SAFE_INTEGER ? LONG_MAX : String(value);
}

function integer(value: string, min: number, max: number): number | null {
  if (!/^-?\d{1,19}$/.test(value)) return null;
  const number = Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  return number >= min && number <= max ? number : null;
}

/** Names of settings that are numbers. */
type Numeric = {
  [Name in keyof StreamSettings]: StreamSettings[Name] extends number ? Name : never;
}[keyof StreamSettings];

const enforced = (
  name: string,
  kind: ConfigKind,
  setting: Numeric,
  min: number,
  max: number,
  help: string,
): ConfigRow => ({
  name,
  kind,
  help,
  show: (settings) => shown(settings[setting]),
  apply(value, changes) {
    const number = integer(value, min, max);
    if (number === null) return `${name}: '${value}' is not a number of ${min} or more`;
    changes[setting] = number;
    return null;
  },
});

const fixed = (
  name: string,
  kind: ConfigKind,
  value: string,
  help: string,
  accepts: readonly string[] = [value],
): ConfigRow => ({ name, kind, help, show: () => value, accepts });

/** A number of this room, enforced where records come in (`topic-limits.ts`). */
const kept = (
  name: string,
  kind: ConfigKind,
  preset: string,
  min: number,
  help: string,
): ConfigRow => ({
  name,
  kind,
  help,
  show: ({ config }) => config[name] ?? preset,
  keep: (value) =>
    integer(value, min, Number.MAX_SAFE_INTEGER) === null
      ? `${name}: '${value}' is not a number of ${min} or more`
      : null,
});

const FLUSH_MESSAGES = 'flush.messages';
const FLUSH_MS = 'flush.ms';

/** Kept by streams that are on disk before they acknowledge; others promise no such thing (K43). */
const flushed = (name: string, atOnce: string, min: number, help: string): ConfigRow => ({
  ...kept(name, 'long', atOnce, min, help),
  show: ({ config, durability }) => config[name] ?? (durability === 'fsync' ? atOnce : LONG_MAX),
});

/** What is wrong with a promise to flush, or null. */
function flushFault({ config, durability }: StreamSettings): string | null {
  if (durability === 'fsync') return null;
  const name = [FLUSH_MESSAGES, FLUSH_MS].find((one) => (config[one] ?? LONG_MAX) !== LONG_MAX);
  return name === undefined ? null : `${name}: it takes robustmq.durability=fsync`;
}

const layout = (name: string, kind: ConfigKind, value: string): ConfigRow => ({
  name,
  kind,
  help: 'Accepted for compatibility; this server lays out its files without it.',
  show: () => value,
});

const long = (name: string, setting: Numeric, min: number, help: string): ConfigRow =>
  enforced(name, 'long', setting, min, Number.MAX_SAFE_INTEGER, help);

/** Kafka 4 takes no smaller segments. */
const SEGMENT_BYTES_MIN = 1 << 20;

export const TOPIC_CONFIGS: readonly ConfigRow[] = [
  {
    name: 'cleanup.policy',
    kind: 'list',
    help: 'delete: old records go; compact: the last record of each key stays; both; or nothing.',
    show: ({ cleanup }) => cleanup,
    apply(value, changes) {
      const policy = value.replaceAll(/\s/g, '') as Cleanup;
      if (!CLEANUPS.includes(policy)) return `cleanup.policy: '${value}' is not known`;
      changes.cleanup = policy;
      return null;
    },
  },
  long('retention.ms', 'retentionMs', -1, 'Records older than this may go; -1 keeps them.'),
  long('retention.bytes', 'retentionBytes', -1, 'What a partition may keep; -1 is no limit.'),
  long('min.compaction.lag.ms', 'compactMinLagMs', 0, 'Younger records are not compacted.'),
  long('max.compaction.lag.ms', 'compactMaxLagMs', 1, 'No record waits longer for compaction.'),
  long('delete.retention.ms', 'tombstoneMs', 0, 'How long tombstones stay once compacted.'),
  long('segment.ms', 'headMs', 1, 'Records older than this leave the head, and are compacted.'),
  enforced(
    'segment.bytes',
    'int',
    'headBytes',
    SEGMENT_BYTES_MIN,
    INT_MAX,
    'Largest head of a partition, which is not compacted. Retention is exact to a batch.',
  ),
  {
    name: 'min.cleanable.dirty.ratio',
    kind: 'double',
    help: 'Share of what was not compacted yet, from which on a partition is compacted.',
    show: ({ compactDirtyRatio }) => String(compactDirtyRatio),
    apply(value, changes) {
      const ratio = /^[0-9.eE+-]+$/.test(value) ? Number(value) : Number.NaN;
      if (!(ratio >= 0 && ratio <= 1)) return `min.cleanable.dirty.ratio: '${value}' is not 0 to 1`;
      changes.compactDirtyRatio = ratio;
      return null;
    },
  },
  {
    name: 'message.timestamp.type',
    kind: 'string',
    help: 'CreateTime: as the producers say; LogAppendTime: when the server stored them.',
    show: ({ appendTime }) => (appendTime ? APPEND_TIME : CREATE_TIME),
    apply(value, changes) {
      if (value !== APPEND_TIME && value !== CREATE_TIME) return `${CREATE_TIME} or ${APPEND_TIME}`;
      changes.appendTime = value === APPEND_TIME;
      return null;
    },
  },
  enforced('max.message.bytes', 'int', 'messageBytesMax', 0, INT_MAX, 'Largest record batch.'),
  {
    name: 'robustmq.durability',
    kind: 'string',
    atCreation: true,
    help: 'What an acknowledgement means: memory, async, or fsync (on disk). Set at creation only.',
    show: ({ durability }) => durability,
    apply(value, changes) {
      if (!DURABILITIES.includes(value)) return `one of ${DURABILITIES.join(', ')}`;
      changes.durability = value as Durability;
      return null;
    },
  },
  {
    name: COMPRESSION,
    kind: 'string',
    help: 'producer: batches stay as they were sent; else they are packed in this way when they come.',
    show: ({ config }) => config[COMPRESSION] ?? 'producer',
    keep: (value) =>
      COMPRESSIONS.includes(value) ? null : `${COMPRESSION}: one of ${COMPRESSIONS.join(', ')}`,
  },
  kept(
    MIN_INSYNC,
    'int',
    '1',
    1,
    'Replicas that must have a record of acks=all. There is one: with more nothing is taken.',
  ),
  {
    name: 'remote.storage.enable',
    kind: 'boolean',
    help: 'Older records go to the object store of the server (KIP-405).',
    show: ({ remote }) => String(remote),
    apply(value, changes) {
      if (value !== 'true' && value !== 'false') return 'remote.storage.enable: true or false';
      changes.remote = value === 'true';
      return null;
    },
  },
  fixed(
    'unclean.leader.election.enable',
    'boolean',
    'false',
    'There is one replica, so leadership does not move.',
    ['false', 'true'],
  ),
  flushed(FLUSH_MESSAGES, '1', 1, 'Records after which they are on disk: at the latest, each.'),
  flushed(FLUSH_MS, '0', 0, 'Time after which records are on disk: at the latest, at once.'),
  kept(BEFORE_MAX, 'long', LONG_MAX, 0, 'How far in the past the time of a record may lie.'),
  kept(AFTER_MAX, 'long', '3600000', 0, 'How far in the future the time of a record may lie.'),
  layout('segment.jitter.ms', 'long', '0'),
  layout('segment.index.bytes', 'int', '10485760'),
  layout('index.interval.bytes', 'int', '4096'),
  layout('file.delete.delay.ms', 'long', '60000'),
  layout('preallocate', 'boolean', 'true'),
  layout('compression.gzip.level', 'int', '-1'),
  layout('compression.lz4.level', 'int', '9'),
  layout('compression.zstd.level', 'int', '3'),
  layout('leader.replication.throttled.replicas', 'list', ''),
  layout('follower.replication.throttled.replicas', 'list', ''),
];

const byName = new Map(TOPIC_CONFIGS.map((row) => [row.name, row]));

/**
 * Settings that a list of configurations asks for; a null value asks for the default.
 * @param settings what they change
 * @param defaults what null asks for
 * @returns the settings to set, or a sentence for the client
 */
export function readTopicConfigs(
  configs: readonly { readonly name: string; readonly value: string | null }[],
  settings: StreamSettings = TOPIC_DEFAULTS,
  defaults: StreamSettings = TOPIC_DEFAULTS,
): Partial<StreamSettings> | string {
  const changes: Changes = {};
  let config: Record<string, string> | undefined;
  for (const { name, value } of configs) {
    const row = byName.get(name);
    if (row === undefined) return `unknown topic config '${name}'`;
    const preset = row.show(defaults);
    const text = (value ?? preset).trim();
    if (row.keep !== undefined) {
      const fault = row.keep(text);
      if (fault !== null) return fault;
      config ??= { ...settings.config };
      const kept = value === null ? defaults.config[name] : text;
      if (kept === undefined) delete config[name];
      else config[name] = kept;
    } else if (row.apply !== undefined) {
      const fault = row.apply(text, changes);
      if (fault !== null) return fault;
    } else if (row.accepts !== undefined && !row.accepts.includes(text)) {
      return `${name}: only '${row.accepts.join("' or '")}' is supported`;
    }
  }
  if (config !== undefined) changes.config = config;
  const all = { ...settings, ...changes };
  return settingsFault(all) ?? flushFault(all) ?? changes;
}

/** A list with some values added or taken away, as text; null when the config is no list. */
export function changedList(
  name: string,
  settings: StreamSettings,
  values: string,
  adds: boolean,
): string | null {
  const row = byName.get(name);
  return row?.kind === 'list' ? changedValues(row.show(settings), values, adds) : null;
}

/** The values of a list, with commas between, and others added or taken away. */
export function changedValues(before: string, values: string, adds: boolean): string {
  const split = (text: string): string[] => text.split(',').map((one) => one.trim());
  const own = split(before).filter((one) => one !== '');
  const given = split(values);
  const rest = own.filter((one) => !given.includes(one));
  return (adds ? [...own, ...given.filter((one) => !own.includes(one))] : rest).join(',');
}

export function isReadOnly(row: ConfigRow): boolean {
  return row.apply === undefined && row.keep === undefined;
}
