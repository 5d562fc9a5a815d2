/**
 * Broker configs that change at run time (K80, KIP-226): what topics begin with that clients make
 * from then on, set for this broker or for all. Kept as definitions. What else Kafka changes at run
 * time tunes threads, replicas or Kerberos, of which this server has none: asking for it is allowed
 * and does nothing, as with the configs of topics that only lay out files.
 */
import type { Definitions, Json, StreamSettings } from '#broker';
import {
  type ConfigRow,
  readTopicConfigs,
  TOPIC_CONFIGS,
  TOPIC_DEFAULTS,
} from './topic-configs.ts';
import { AFTER_MAX, BEFORE_MAX, COMPRESSION, MIN_INSYNC } from './topic-limits.ts';
import { NODE_ID } from './topics.ts';

const KIND = 'kafka.broker-config';
const ALL_BROKERS = 'all';

/** By their names: the config of topics that each is the default of. */
const DEFAULT_OF: Readonly<Record<string, string>> = {
  [COMPRESSION]: COMPRESSION,
  'log.cleaner.delete.retention.ms': 'delete.retention.ms',
  'log.cleaner.max.compaction.lag.ms': 'max.compaction.lag.ms',
  'log.cleaner.min.cleanable.ratio': 'min.cleanable.dirty.ratio',
  'log.cleaner.min.compaction.lag.ms': 'min.compaction.lag.ms',
  'log.cleanup.policy': 'cleanup.policy',
  'log.message.timestamp.after.max.ms': AFTER_MAX,
  'log.message.timestamp.before.max.ms': BEFORE_MAX,
  'log.message.timestamp.type': 'message.timestamp.type',
  'log.retention.bytes': 'retention.bytes',
  'log.retention.ms': 'retention.ms',
  'log.roll.ms': 'segment.ms',
  'log.segment.bytes': 'segment.bytes',
  'message.max.bytes': 'max.message.bytes',
  [MIN_INSYNC]: MIN_INSYNC,
};

const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'background.threads',
  'follower.replication.throttled.rate',
  'leader.replication.throttled.rate',
  'log.cleaner.backoff.ms',
  'log.cleaner.dedupe.buffer.size',
  'log.cleaner.io.buffer.load.factor',
  'log.cleaner.io.buffer.size',
  'log.cleaner.io.max.bytes.per.second',
  'log.cleaner.threads',
  'num.io.threads',
  'num.network.threads',
  'num.recovery.threads.per.data.dir',
  'num.replica.fetchers',
  'replica.alter.log.dirs.io.max.bytes.per.second',
  'sasl.kerberos.kinit.cmd',
  'sasl.kerberos.min.time.before.relogin',
  'sasl.kerberos.ticket.renew.jitter',
  'sasl.kerberos.ticket.renew.window.factor',
]);

export interface DynamicConfigRow {
  readonly name: string;
  /** The config of topics that it is the default of. */
  readonly topic: ConfigRow;
}

export const DYNAMIC_CONFIGS: readonly DynamicConfigRow[] = TOPIC_CONFIGS.flatMap((topic) => {
  const name = Object.keys(DEFAULT_OF).find((one) => DEFAULT_OF[one] === topic.name);
  return name === undefined ? [] : [{ name, topic }];
});

/** May it be set at run time, though nothing comes of it? */
export function isWithoutEffect(name: string): boolean {
  return WITHOUT_EFFECT.has(name);
}

/** Wire numbers of where a value comes from. */
export const DYNAMIC_SOURCE = { BROKER: 2, ALL_BROKERS: 3 } as const;

/** What is set, by the names of the configs. */
type OwnConfigs = Readonly<Record<string, string>>;

export class DynamicConfigs {
  readonly #definitions: Definitions;
  #settings: Partial<StreamSettings> = {};

  constructor(definitions: Definitions) {
    this.#definitions = definitions;
    this.#read();
  }

  /** Of what topics begin with: that which was set. */
  get settings(): Partial<StreamSettings> {
    return this.#settings;
  }

  /** All that a topic has whose maker says nothing else. */
  get topicDefaults(): StreamSettings {
    return { ...TOPIC_DEFAULTS, ...this.#settings };
  }

  /** @param broker its id as text, or empty for all brokers */
  own(broker: string): OwnConfigs {
    return (this.#definitions.get(KIND, broker || ALL_BROKERS) ?? {}) as OwnConfigs;
  }

  /** Under which name the default of a config of topics is set, and where, or null. */
  defaultOf(topicConfig: string): { readonly name: string; readonly source: number } | null {
    const row = DYNAMIC_CONFIGS.find(({ topic }) => topic.name === topicConfig);
    if (row === undefined) return null;
    const { name } = row;
    if (this.own(String(NODE_ID))[name] !== undefined) {
      return { name, source: DYNAMIC_SOURCE.BROKER };
    }
    return this.own('')[name] === undefined ? null : { name, source: DYNAMIC_SOURCE.ALL_BROKERS };
  }

  /** What is wrong with these configs, or null. */
  fault(configs: OwnConfigs): string | null {
    const settings = settingsOf(configs);
    return typeof settings === 'string' ? settings : null;
  }

  /** Holds for the next topic; on disk when the definitions are durable. */
  set(broker: string, configs: OwnConfigs): void {
    const key = broker || ALL_BROKERS;
    if (Object.keys(configs).length === 0) this.#definitions.remove(KIND, key);
    else this.#definitions.put(KIND, key, configs as Json);
    this.#read();
  }

  #read(): void {
    const settings = settingsOf({ ...this.own(''), ...this.own(String(NODE_ID)) });
    // What an earlier version took and this one does not is as if it were not set.
    this.#settings = typeof settings === 'string' ? {} : settings;
  }
}

function settingsOf(configs: OwnConfigs): Partial<StreamSettings> | string {
  const wanted = Object.entries(configs).map(([name, value]) => {
    return { name: DEFAULT_OF[name] ?? name, value };
  });
  return readTopicConfigs(wanted);
}
