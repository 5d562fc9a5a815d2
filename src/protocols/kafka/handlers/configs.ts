/** DescribeConfigs and IncrementalAlterConfigs, for topics and (reading only) the broker. */
import { DEFAULT_SETTINGS, type Stream } from '#broker';
import { BrokerError } from '#kit';
import { brokerConfigs } from '../broker-configs.ts';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { describeConfigs } from '../messages/32-describe-configs.ts';
import { incrementalAlterConfigs } from '../messages/44-incremental-alter-configs.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf, ResponseOf } from '../rows.ts';
import {
  CONFIG_TYPES,
  changedList,
  isReadOnly,
  readTopicConfigs,
  TOPIC_CONFIGS,
} from '../topic-configs.ts';
import { NODE_ID } from '../topics.ts';

const TOPIC = 2;
const BROKER = 4;

const SOURCE = { TOPIC: 1, STATIC_BROKER: 4, DEFAULT: 5 } as const;
const OPERATION = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const;

type Described = ResponseOf<typeof describeConfigs>['results'][number];
type Config = Described['configs'][number];
type Asked = RequestOf<typeof describeConfigs>;
type AskedResource = Asked['resources'][number];

export const describeConfigsOperation = answers(describeConfigs, (request, call, room) => ({
  results: request.resources.map((resource) => {
    const { resourceType, resourceName } = resource;
    if (resourceType === TOPIC) return describeTopic(resource, request, call, room);
    if (resourceType === BROKER && (resourceName === '' || resourceName === String(NODE_ID))) {
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
  const stream = room.topics.byName(resource.resourceName);
  const allowed =
    stream === undefined
      ? room.topics.mayByName(principal, 'describe-settings', resource.resourceName)
      : room.topics.may(principal, 'describe-settings', stream);
  if (!allowed) return refused(resource, KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized');
  if (stream === undefined) {
    return refused(resource, KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such topic');
  }
  return described(resource, topicRows(stream, resource, request));
}

function topicRows(stream: Stream, resource: AskedResource, request: Asked): Config[] {
  return TOPIC_CONFIGS.filter(({ name }) => isAsked(resource, name)).map((row) => {
    const value = row.show(stream.settings);
    const preset = row.show(DEFAULT_SETTINGS);
    const own = value !== preset;
    const synonyms = [{ name: row.name, value: preset, source: SOURCE.DEFAULT as number }];
    if (own) synonyms.unshift({ name: row.name, value, source: SOURCE.TOPIC });
    return {
      name: row.name,
      value,
      readOnly: isReadOnly(row),
      configSource: own ? SOURCE.TOPIC : SOURCE.DEFAULT,
      isSensitive: false,
      synonyms: request.includeSynonyms ? synonyms : [],
      configType: CONFIG_TYPES[row.kind],
      documentation: request.includeDocumentation ? row.help : null,
    };
  });
}

function brokerRows(
  resource: AskedResource,
  request: Asked,
  call: Pick<Call, 'session'>,
  room: Room,
): Config[] {
  const { host, port } = room.advertised(call.session);
  const source = SOURCE.STATIC_BROKER;
  return brokerConfigs(room, `${call.session.connection.listener}://${host}:${port}`)
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

type Alteration = RequestOf<typeof incrementalAlterConfigs>['resources'][number];

export const incrementalAlterConfigsOperation = answers(
  incrementalAlterConfigs,
  async (request, call, room) => {
    const responses = request.resources.map((resource) => {
      const { resourceType, resourceName } = resource;
      const fault = alter(resource, request.validateOnly, call, room);
      return { resourceType, resourceName, ...fault };
    });
    if (!request.validateOnly) await room.broker.streams.durable();
    return { responses };
  },
);

interface Fault {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

const DONE: Fault = { errorCode: KAFKA.NONE, errorMessage: null };

function alter(
  { resourceType, resourceName, configs }: Alteration,
  validateOnly: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault {
  const fault = (errorCode: number, errorMessage: string): Fault => ({ errorCode, errorMessage });
  if (resourceType !== TOPIC) {
    return fault(KAFKA.INVALID_REQUEST, 'only topics can be configured here');
  }
  const principal = call.session.principal!;
  const stream = room.topics.byName(resourceName);
  if (!room.topics.mayByName(principal, 'alter-settings', stream?.name ?? resourceName)) {
    return fault(KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized');
  }
  if (stream === undefined) {
    return fault(KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such topic');
  }
  if (new Set(configs.map(({ name }) => name)).size !== configs.length) {
    return fault(KAFKA.INVALID_REQUEST, 'a config is named twice');
  }
  const wanted = [];
  for (const config of configs) {
    const { name, configOperation } = config;
    if (configOperation !== OPERATION.DELETE && config.value === null) {
      return fault(KAFKA.INVALID_REQUEST, `${name}: a value is missing`);
    }
    const value = wantedValue(config, stream);
    if (value === undefined) {
      return fault(KAFKA.INVALID_CONFIG, `${name}: values cannot be appended or subtracted`);
    }
    wanted.push({ name, value });
  }
  const changes = readTopicConfigs(wanted, stream.settings);
  if (typeof changes === 'string') return fault(KAFKA.INVALID_CONFIG, changes);
  if (changes.durability !== undefined && changes.durability !== stream.settings.durability) {
    return fault(KAFKA.INVALID_CONFIG, 'robustmq.durability is set at creation only');
  }
  if (validateOnly) return DONE;
  try {
    room.broker.streams.change(stream, changes);
    return DONE;
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return fault(wireCode(error), error.message);
  }
}

/** The value to set, null for the default; undefined when this cannot be done to this config. */
function wantedValue(
  { name, configOperation, value }: Alteration['configs'][number],
  stream: Stream,
): string | null | undefined {
  switch (configOperation) {
    case OPERATION.SET:
      return value;
    case OPERATION.DELETE:
      return null;
    case OPERATION.APPEND:
    case OPERATION.SUBTRACT: {
      const adds = configOperation === OPERATION.APPEND;
      return changedList(name, stream.settings, value ?? '', adds) ?? undefined;
    }
    default:
      return undefined;
  }
}
