/**
 * Configs of single groups (K67): how long a member may be silent, and how often it is told to
 * speak. What is not set for a group follows the options of the server. Kept as definitions.
 */
import type { Definitions, Json } from '#broker';
import type { KafkaOptions } from './options.ts';

const KIND = 'kafka.group-config';

interface GroupSettings {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

interface GroupConfigRow {
  readonly name: string;
  readonly help: string;
  readonly setting: keyof GroupSettings;
  /** Name of the server's config that it stands in for. */
  readonly synonym: string;
  min(options: KafkaOptions): number;
  max(options: KafkaOptions): number;
}

export const GROUP_CONFIGS: readonly GroupConfigRow[] = [
  {
    name: 'consumer.session.timeout.ms',
    help: 'A member of the consumer protocol that is silent for so long loses its place.',
    setting: 'sessionTimeoutMs',
    synonym: 'group.consumer.session.timeout.ms',
    min: (options) => options.consumerSessionTimeoutMin,
    max: (options) => options.consumerSessionTimeoutMax,
  },
  {
    name: 'consumer.heartbeat.interval.ms',
    help: 'How often members of the consumer protocol are told to send a heartbeat.',
    setting: 'heartbeatIntervalMs',
    synonym: 'group.consumer.heartbeat.interval.ms',
    min: (options) => options.consumerHeartbeatIntervalMin,
    max: (options) => options.consumerHeartbeatIntervalMax,
  },
];

/** What is set for one group, by the names of the configs. */
type OwnConfigs = Readonly<Record<string, number>>;

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
    for (const { name, setting, min, max } of GROUP_CONFIGS) {
      const least = min(this.#options);
      const most = max(this.#options);
      const value = settings[setting];
      if (value < least || value > most) return `${name}: ${value} is not ${least} to ${most}`;
    }
    return settings.sessionTimeoutMs > settings.heartbeatIntervalMs
      ? null
      : 'consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms';
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
    const settings: Record<keyof GroupSettings, number> = { ...this.#defaults };
    for (const { name, setting } of GROUP_CONFIGS)
      settings[setting] = configs[name] ?? settings[setting];
    return settings;
  }
}
