/** DescribeConfigs and ListConfigResources: topics, groups and the broker. */
import type { Stream } from '#broker';
import { brokerConfigs } from '../broker-configs.ts';
import type { Call } from '../call.ts';
import { DYNAMIC_CONFIGS, DYNAMIC_SOURCE } from '../dynamic-configs.ts';
import { KAFKA } from '../error-codes.ts';
import { GROUP_CONFIGS } from '../group-configs.ts';
import { internalTopic } from '../internal-topics.ts';
import { describeConfigs } from '../messages/32-describe-configs.ts';
import { listConfigResources } from '../messages/74-list-config-resources.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf, ResponseOf } from '../rows.ts';
import { CLIENT_METRICS_CONFIGS } from '../telemetry/client-metrics-configs.ts';
import {
  CONFIG_TYPES,
  type ConfigRow,
  isReadOnly,
  TOPIC_CONFIGS,
  TOPIC_DEFAULTS,
} from '../topic-configs.ts';
import { AFTER_MAX } from '../topic-limits.ts';
import { NODE_ID } from '../topics.ts';

/** Wire numbers of the resources that have configs. */
export const RESOURCE = { TOPIC: 2, BROKER: 4, CLIENT_METRICS: 16, GROUP: 32 } as const;

const SOURCE = { TOPIC: 1, STATIC_BROKER: 4, DEFAULT: 5, CLIENT_METRICS: 7, GROUP: 8 } as const;

type Described = ResponseOf<typeof describeConfigs>['results'][number];
type Config = Described['configs'][number];
type Asked = RequestOf<typeof describeConfigs>;
type AskedResource = Asked['resources'][number];

export const describeConfigsOperation = answers(describeConfigs, (request, call, room) => ({
  results: request.resources.map((resource) => {
    const { resourceType, resourceName } = resource;
    if (resourceType === RESOURCE.TOPIC) return describeTopic(resource, request, call, room);
    if (resourceType === RESOURCE.GROUP) return describeGroup(resource, request, call, room);
    if (resourceType === RESOURCE.CLIENT_METRICS) {
      return describeClientMetrics(resource, request, call, room);
    }
    if (
      resourceType === RESOURCE.BROKER &&
      (resourceName === '' || resourceName === String(NODE_ID))
    ) {
      return described(resource, brokerRows(resource, request, call, room));
    }
    return refused(resource, KAFKA.INVALID_REQUEST, 'no such configurable resource here');
  }),
}));

function describeTopic(
  resource: AskedResource,
  request: Asked,
  call: Pick<Call, 'session'>,
  room: Room,
): Described {
  const principal = call.session.principal!;
  if (internalTopic(resource.resourceName, room, principal) !== undefined) {
    return described(resource, topicRows(INTERNAL, resource, request, room, true));
  }
  const stream = room.topics.byName(resource.resourceName);
  const allowed =
    stream === undefined
      ? room.topics.mayByName(principal, 'describe-settings', resource.resourceName)
      : room.topics.may(principal, 'describe-settings', stream);
  if (!allowed) return refused(resource, KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized');
  if (stream === undefined) {
    return refused(resource, KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such topic');
  }
  return described(resource, topicRows(stream, resource, request, room, false));
}

/** What holds of the server's own state, in words of topics. */
const INTERNAL = { settings: { ...TOPIC_DEFAULTS, cleanup: 'compact' } } as const;

function topicRows(
  topic: Pick<Stream, 'settings'>,
  resource: AskedResource,
  request: Asked,
  room: Room,
  isFixed: boolean,
): Config[] {
  return TOPIC_CONFIGS.filter(({ name }) => isAsked(resource, name)).map((row) => {
    const { value, configSource, synonyms } = topicConfig(row, topic, room);
    return {
      name: row.name,
      value,
      readOnly: isFixed || isReadOnly(row),
      configSource,
      isSensitive: false,
      synonyms: request.includeSynonyms ? synonyms : [],
      configType: CONFIG_TYPES[row.kind],
      documentation: request.includeDocumentation ? row.help : null,
    };
  });
}

/** One default is an option of the server. */
function optionOf({ name }: ConfigRow, room: Room): string | null {
  return name === AFTER_MAX ? String(room.options.timestampAheadMax) : null;
}

/** What a config of a topic is, and what it would be without what stands before it. */
export function topicConfig(
  row: ConfigRow,
  { settings }: Pick<Stream, 'settings'>,
  room: Room,
): { value: string; configSource: number; synonyms: NonNullable<Config['synonyms']> } {
  const { name } = row;
  const { dynamicConfigs } = room;
  const option = optionOf(row, room);
  const preset = option ?? row.show(TOPIC_DEFAULTS);
  const synonyms = [{ name, value: preset, source: SOURCE.DEFAULT as number }];
  const set = dynamicConfigs.defaultOf(name);
  if (set !== null) synonyms.unshift({ ...set, value: row.show(dynamicConfigs.topicDefaults) });
  const kept = settings.config[name];
  const value = kept ?? option ?? row.show(settings);
  if (value !== synonyms[0]!.value || (kept !== undefined && set === null)) {
    synonyms.unshift({ name, value, source: SOURCE.TOPIC });
  }
  return { value, configSource: synonyms[0]!.source, synonyms };
}

function brokerRows(
  resource: AskedResource,
  request: Asked,
  call: Pick<Call, 'session'>,
  room: Room,
): Config[] {
  const dynamic = dynamicRows(resource, request, room);
  // Of all brokers together only that is told which was set for them.
  if (resource.resourceName === '') return dynamic;
  const { host, port } = room.advertised(call.session);
  const source = SOURCE.STATIC_BROKER;
  const fixed = brokerConfigs(room, `${call.session.connection.listener}://${host}:${port}`)
    .filter(({ name }) => isAsked(resource, name))
    .map(({ name, kind, value }) => ({
      name,
      value,
      readOnly: true,
      configSource: source,
      isSensitive: false,
      synonyms: request.includeSynonyms ? [{ name, value, source }] : [],
      configType: CONFIG_TYPES[kind],
      documentation: null,
    }));
  return [...fixed, ...dynamic];
}

/** Those that change at run time: what topics begin with. */
function dynamicRows(resource: AskedResource, request: Asked, room: Room): Config[] {
  const forAll = room.dynamicConfigs.own('');
  const forThis = resource.resourceName === '' ? {} : room.dynamicConfigs.own(String(NODE_ID));
  return DYNAMIC_CONFIGS.flatMap(({ name, topic }): Config[] => {
    const synonyms: { name: string; value: string; source: number }[] = [];
    const add = (source: number, value: string | undefined): void => {
      if (value !== undefined) synonyms.push({ name, value, source });
    };
    add(DYNAMIC_SOURCE.BROKER, forThis[name]);
    add(DYNAMIC_SOURCE.ALL_BROKERS, forAll[name]);
    if (resource.resourceName !== '') {
      add(SOURCE.DEFAULT, optionOf(topic, room) ?? topic.show(TOPIC_DEFAULTS));
    }
    const [holds] = synonyms;
    if (holds === undefined || !isAsked(resource, name)) return [];
    return [
      {
        ...{ name, value: holds.value, readOnly: false, isSensitive: false },
        configSource: holds.source,
        synonyms: request.includeSynonyms ? synonyms : [],
        configType: CONFIG_TYPES[topic.kind],
        documentation: request.includeDocumentation ? topic.help : null,
      },
    ];
  });
}

/** No keys, null or empty, ask for all of them. */
function isAsked({ configurationKeys: keys }: AskedResource, name: string): boolean {
  return keys === null || keys.length === 0 || keys.includes(name);
}

function described({ resourceType, resourceName }: AskedResource, configs: Config[]): Described {
  return { errorCode: KAFKA.NONE, errorMessage: null, resourceType, resourceName, configs };
}

function refused(
  { resourceType, resourceName }: AskedResource,
  errorCode: number,
  errorMessage: string,
): Described {
  return { errorCode, errorMessage, resourceType, resourceName, configs: [] };
}

/** A group need not exist to have configs. */
function describeGroup(
  resource: AskedResource,
  request: Asked,
  call: Pick<Call, 'session'>,
  room: Room,
): Described {
  const { resourceName: groupId } = resource;
  if (groupId === '') return refused(resource, KAFKA.INVALID_REQUEST, 'a group has a name');
  if (!room.mayUseGroup(call.session, 'describe-settings', groupId)) {
    return refused(resource, KAFKA.GROUP_AUTHORIZATION_FAILED, 'not authorized');
  }
  const own = room.groupConfigs.own(groupId);
  const { defaults } = room.groupConfigs;
  const rows = GROUP_CONFIGS.filter(({ name }) => isAsked(resource, name)).map((row): Config => {
    const { name, synonym, kind } = row;
    const source = synonym === null ? SOURCE.DEFAULT : SOURCE.STATIC_BROKER;
    const preset = { name: synonym ?? name, value: String(defaults[row.setting]), source };
    const mine = own[name];
    const value = mine === undefined ? preset.value : String(mine);
    const set = { name, value, source: SOURCE.GROUP };
    return {
      ...{ name, value, readOnly: false, isSensitive: false },
      configSource: mine === undefined ? source : SOURCE.GROUP,
      synonyms: request.includeSynonyms ? (mine === undefined ? [preset] : [set, preset]) : [],
      configType: CONFIG_TYPES[kind],
      documentation: request.includeDocumentation ? row.help : null,
    };
  });
  return described(resource, rows);
}

/** A subscription need not exist: then all is as without it. */
function describeClientMetrics(
  resource: AskedResource,
  request: Asked,
  call: Pick<Call, 'session'>,
  room: Room,
): Described {
  if (!room.mayOnCluster(call.session, 'describe-settings')) {
    return refused(resource, KAFKA.CLUSTER_AUTHORIZATION_FAILED, 'not authorized');
  }
  const { resourceName } = resource;
  if (resourceName === '') return refused(resource, KAFKA.INVALID_REQUEST, 'it has a name');
  const own = room.clientMetrics.own(resourceName);
  const asked = CLIENT_METRICS_CONFIGS.filter(({ name }) => isAsked(resource, name));
  const rows = asked.map(({ name, kind, preset: value, help }): Config => {
    const preset = { name, value, source: SOURCE.DEFAULT };
    const mine = own[name];
    const set = { name, value: mine ?? value, source: SOURCE.CLIENT_METRICS };
    const holds = mine === undefined ? preset : set;
    return {
      ...{ name, value: holds.value, readOnly: false, isSensitive: false },
      configSource: holds.source,
      synonyms: request.includeSynonyms ? (mine === undefined ? [preset] : [set, preset]) : [],
      configType: CONFIG_TYPES[kind],
      documentation: request.includeDocumentation ? help : null,
    };
  });
  return described(resource, rows);
}

export const listConfigResourcesOperation = answers(listConfigResources, (request, call, room) => {
  const { TOPIC, BROKER, CLIENT_METRICS, GROUP } = RESOURCE;
  const all = call.version > 0 && request.resourceTypes.length === 0;
  const types = new Set<number>(call.version > 0 ? request.resourceTypes : [CLIENT_METRICS]);
  const known: readonly number[] = [TOPIC, BROKER, CLIENT_METRICS, GROUP];
  if ([...types].some((type) => !known.includes(type))) {
    return { errorCode: KAFKA.UNSUPPORTED_VERSION, configResources: [] };
  }
  const configResources: { resourceName: string; resourceType: number }[] = [];
  const list = (resourceType: number, names: Iterable<string>): void => {
    if (!all && !types.has(resourceType)) return;
    for (const resourceName of names) configResources.push({ resourceName, resourceType });
  };
  const topics = room.topics.visible(call.session.principal!);
  list(
    TOPIC,
    [...topics].map(({ safeName }) => safeName),
  );
  list(BROKER, [String(NODE_ID)]);
  const mayKnow = room.mayOnCluster(call.session, 'describe-settings');
  list(CLIENT_METRICS, mayKnow ? room.clientMetrics.names() : []);
  const groups = [...room.groupConfigs.groups()];
  list(
    GROUP,
    groups.filter((id) => room.mayUseGroup(call.session, 'describe-settings', id)),
  );
  return { errorCode: KAFKA.NONE, configResources };
});
