/**
 * Topic configurations (K42), one row each. What a stream can do is stored and enforced. What this
 * server does in one way only must be asked for in that way, or is refused. What only says how
 * files on disk are cut or moved has no counterpart here: it is accepted, and shown as read-only.
 */
import { DEFAULT_SETTINGS, type Durability, type StreamSettings } from '#broker';

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

interface ConfigRow {
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
}

const LONG_MAX = '9223372036854775807';
const INT_MAX = 0x7fffffff;
const DURABILITIES: readonly string[] = ['memory', 'async', 'fsync'];

function integer(value: string, min: number, max: number): number | null {
  if (!/^-?\d{1,19}$/.test(value)) return null;
  const number = Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  return number >= min && number <= max ? number : null;
}

const enforced = (
  name: string,
  kind: ConfigKind,
  setting: 'retentionMs' | 'retentionBytes' | 'messageBytesMax',
  min: number,
  max: number,
  help: string,
): ConfigRow => ({
  name,
  kind,
  help,
  show: (settings) => String(settings[setting]),
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

const layout = (name: string, kind: ConfigKind, value: string): ConfigRow => ({
  name,
  kind,
  help: 'Accepted for compatibility; this server lays out its files without it.',
  show: () => value,
});

export const TOPIC_CONFIGS: readonly ConfigRow[] = [
  enforced(
    'retention.ms',
    'long',
    'retentionMs',
    -1,
    Number.MAX_SAFE_INTEGER,
    'Records older than this may be removed; -1 keeps them.',
  ),
  enforced(
    'retention.bytes',
    'long',
    'retentionBytes',
    -1,
    Number.MAX_SAFE_INTEGER,
    'What a partition may keep; -1 is no limit.',
  ),
  enforced('max.message.bytes', 'int', 'messageBytesMax', 0, INT_MAX, 'Largest record batch.'),
  {
    name: 'robustmq.durability',
    kind: 'string',
    help: 'What an acknowledgement means: memory, async, or fsync (on disk). Set at creation only.',
    show: ({ durability }) => durability,
    apply(value, changes) {
      if (!DURABILITIES.includes(value)) return `one of ${DURABILITIES.join(', ')}`;
      changes.durability = value as Durability;
      return null;
    },
  },
  fixed('cleanup.policy', 'list', 'delete', 'Old records are removed by time and size.'),
  fixed('compression.type', 'string', 'producer', 'Batches stay as the producer packed them.'),
  fixed('message.timestamp.type', 'string', 'CreateTime', 'Timestamps are the producers’.'),
  fixed('min.insync.replicas', 'int', '1', 'There is one replica.'),
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
  fixed(
    'message.timestamp.before.max.ms',
    'long',
    LONG_MAX,
    'Timestamps may lie in the past as far as they want.',
  ),
  layout('segment.bytes', 'int', '1073741824'),
  layout('segment.ms', 'long', '604800000'),
  layout('segment.jitter.ms', 'long', '0'),
  layout('segment.index.bytes', 'int', '10485760'),
  layout('index.interval.bytes', 'int', '4096'),
  layout('file.delete.delay.ms', 'long', '60000'),
  layout('preallocate', 'boolean', 'true'),
  layout('flush.messages', 'long', '1'),
  layout('flush.ms', 'long', '0'),
  layout('delete.retention.ms', 'long', '86400000'),
  layout('min.cleanable.dirty.ratio', 'double', '0.5'),
  layout('min.compaction.lag.ms', 'long', '0'),
  layout('max.compaction.lag.ms', 'long', LONG_MAX),
  layout('compression.gzip.level', 'int', '-1'),
  layout('compression.lz4.level', 'int', '9'),
  layout('compression.zstd.level', 'int', '3'),
  layout('leader.replication.throttled.replicas', 'list', ''),
  layout('follower.replication.throttled.replicas', 'list', ''),
];

const byName = new Map(TOPIC_CONFIGS.map((row) => [row.name, row]));

/**
 * Settings that a list of configurations asks for; a null value asks for the default.
 * @returns the settings to set, or a sentence for the client
 */
export function readTopicConfigs(
  configs: readonly { readonly name: string; readonly value: string | null }[],
): Partial<StreamSettings> | string {
  const changes: Changes = {};
  for (const { name, value } of configs) {
    const row = byName.get(name);
    if (row === undefined) return `unknown topic config '${name}'`;
    const text = (value ?? row.show(DEFAULT_SETTINGS)).trim();
    if (row.apply !== undefined) {
      const fault = row.apply(text, changes);
      if (fault !== null) return fault;
    } else if (row.accepts !== undefined && !row.accepts.includes(text)) {
      return `${name}: only '${row.accepts.join("' or '")}' is supported`;
    }
  }
  return changes;
}

export function isReadOnly(row: ConfigRow): boolean {
  return row.apply === undefined;
}
