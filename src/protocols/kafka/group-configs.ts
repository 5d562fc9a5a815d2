/**
 * Configs of single groups (K67): how long a member may be silent, how often it is told to speak,
 * and how share groups read. What is not set for a group follows the options of the server. Kept as
 * definitions.
 */
import type { Definitions, Json } from '#broker';
import type { KafkaOptions } from './options.ts';
import { offsetResetFault } from './share/offset-reset.ts';

const KIND = 'kafka.group-config';

interface GroupSettings {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly shareSessionTimeoutMs: number;
  readonly shareHeartbeatIntervalMs: number;
  readonly shareRecordLockMs: number;
  readonly shareOffsetReset: string;
  readonly shareIsolation: string;
}

type SettingOf<Value> = {
  [Name in keyof GroupSettings]: GroupSettings[Name] extends Value ? Name : never;
}[keyof GroupSettings];

interface GroupConfigBasis {
  readonly name: string;
  readonly help: string;
}

interface NumberConfig extends GroupConfigBasis {
  readonly kind: 'int';
  readonly setting: SettingOf<number>;
  /** Name of the server's config that it stands in for. */
  readonly synonym: string;
  min(options: KafkaOptions): number;
  max(options: KafkaOptions): number;
}

interface TextConfig extends GroupConfigBasis {
  readonly kind: 'string';
  readonly setting: SettingOf<string>;
  readonly synonym: null;
  /** What is wrong with a value, or null. */
  fault(value: string): string | null;
}

type GroupConfigRow = NumberConfig | TextConfig;

const ISOLATIONS: readonly string[] = ['read_uncommitted', 'read_committed'];

export const GROUP_CONFIGS: readonly GroupConfigRow[] = [
  {
    kind: 'int',
    name: 'consumer.session.timeout.ms',
    help: 'A member of the consumer protocol that is silent for so long loses its place.',
    setting: 'sessionTimeoutMs',
    synonym: 'group.consumer.session.timeout.ms',
    min: (options) => options.consumerSessionTimeoutMin,
    max: (options) => options.consumerSessionTimeoutMax,
  },
  {
    kind: 'int',
    name: 'consumer.heartbeat.interval.ms',
    help: 'How often members of the consumer protocol are told to send a heartbeat.',
    setting: 'heartbeatIntervalMs',
    synonym: 'group.consumer.heartbeat.interval.ms',
    min: (options) => options.consumerHeartbeatIntervalMin,
    max: (options) => options.consumerHeartbeatIntervalMax,
  },
  {
    kind: 'int',
    name: 'share.session.timeout.ms',
    help: 'A member of the share group that is silent for so long loses its place.',
    setting: 'shareSessionTimeoutMs',
    synonym: 'group.share.session.timeout.ms',
    min: (options) => options.shareSessionTimeoutMin,
    max: (options) => options.shareSessionTimeoutMax,
  },
  {
    kind: 'int',
    name: 'share.heartbeat.interval.ms',
    help: 'How often members of the share group are told to send a heartbeat.',
    setting: 'shareHeartbeatIntervalMs',
    synonym: 'group.share.heartbeat.interval.ms',
    min: (options) => options.shareHeartbeatIntervalMin,
    max: (options) => options.shareHeartbeatIntervalMax,
  },
  {
    kind: 'int',
    name: 'share.record.lock.duration.ms',
    help: 'How long a member of the share group may keep a record before others get it.',
    setting: 'shareRecordLockMs',
    synonym: 'group.share.record.lock.duration.ms',
    min: (options) => options.shareRecordLockDurationMin,
    max: (options) => options.shareRecordLockDurationMax,
  },
  {
    kind: 'string',
    name: 'share.auto.offset.reset',
    help: 'Where the share group begins: latest, earliest, or by_duration with a time (PT1H).',
    setting: 'shareOffsetReset',
    synonym: null,
    fault: offsetResetFault,
  },
  {
    kind: 'string',
    name: 'share.isolation.level',
    help: 'Whether the share group gets records of transactions that are not committed.',
    setting: 'shareIsolation',
    synonym: null,
    fault: (value) => (ISOLATIONS.includes(value) ? null : `not one of ${ISOLATIONS.join(', ')}`),
  },
];

/** What is set for one group, by the names of the configs. */
type OwnConfigs = Readonly<Record<string, number | string>>;

export class GroupConfigs {
  readonly #definitions: Definitions;
  readonly #options: KafkaOptions;
  readonly #defaults: GroupSettings;
  /** Of groups that have configs of their own. */
  readonly #settings = new Map<string, GroupSettings>();

  constructor(definitions: Definitions, options: KafkaOptions) {
    this.#definitions = definitions;
    this.#options = options;
    this.#defaults = {
      sessionTimeoutMs: options.consumerSessionTimeout,
      heartbeatIntervalMs: options.consumerHeartbeatInterval,
      shareSessionTimeoutMs: options.shareSessionTimeout,
      shareHeartbeatIntervalMs: options.shareHeartbeatInterval,
      shareRecordLockMs: options.shareRecordLockDuration,
      shareOffsetReset: 'latest',
      shareIsolation: 'read_uncommitted',
    };
    for (const [groupId] of definitions.list(KIND)) this.#read(groupId);
  }

  get defaults(): GroupSettings {
    return this.#defaults;
  }

  of(groupId: string): GroupSettings {
    return this.#settings.get(groupId) ?? this.#defaults;
  }

  own(groupId: string): OwnConfigs {
    return (this.#definitions.get(KIND, groupId) ?? {}) as OwnConfigs;
  }

  /** Groups that have configs of their own; they need not exist otherwise. */
  groups(): Iterable<string> {
    return this.#settings.keys();
  }

  /** What is wrong with these configs together, or null. */
  fault(configs: OwnConfigs): string | null {
    const settings = this.#settingsOf(configs);
    for (const row of GROUP_CONFIGS) {
      if (row.kind === 'string') {
        const wrong = row.fault(settings[row.setting]);
        if (wrong !== null) return `${row.name}: ${wrong}`;
        continue;
      }
      // Options may contradict each other: what follows them is not the client's mistake.
      if (configs[row.name] === undefined) continue;
      const least = row.min(this.#options);
      const most = row.max(this.#options);
      const value = settings[row.setting];
      if (value < least || value > most) return `${row.name}: ${value} is not ${least} to ${most}`;
    }
    if (settings.sessionTimeoutMs <= settings.heartbeatIntervalMs) {
      return 'consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms';
    }
    return settings.shareSessionTimeoutMs > settings.shareHeartbeatIntervalMs
      ? null
      : 'share.session.timeout.ms must be greater than share.heartbeat.interval.ms';
  }

  /** Holds from the next heartbeat on; on disk when the definitions are durable. */
  set(groupId: string, configs: OwnConfigs): void {
    if (Object.keys(configs).length === 0) this.#definitions.remove(KIND, groupId);
    else this.#definitions.put(KIND, groupId, configs as Json);
    this.#read(groupId);
  }

  durable(): Promise<void> {
    return this.#definitions.durable();
  }

  #read(groupId: string): void {
    const own = this.own(groupId);
    if (Object.keys(own).length === 0) this.#settings.delete(groupId);
    else this.#settings.set(groupId, this.#settingsOf(own));
  }

  /** What was set before the server's limits changed is held within them. */
  #settingsOf(configs: OwnConfigs): GroupSettings {
    const settings: Record<string, number | string> = { ...this.#defaults };
    for (const { name, setting } of GROUP_CONFIGS) {
      settings[setting] = configs[name] ?? this.#defaults[setting];
    }
    return settings as unknown as GroupSettings;
  }
}
