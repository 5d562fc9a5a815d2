/** IncrementalAlterConfigs and the older AlterConfigs: topics, groups, broker, client metrics. */
import type { Stream } from '#broker';
import { BrokerError } from '#kit';
import type { Call } from '../call.ts';
import { DYNAMIC_CONFIGS, isWithoutEffect } from '../dynamic-configs.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { GROUP_CONFIGS } from '../group-configs.ts';
import { alterConfigs } from '../messages/33-alter-configs.ts';
import { incrementalAlterConfigs } from '../messages/44-incremental-alter-configs.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import { CLIENT_METRICS_CONFIGS } from '../telemetry/client-metrics-configs.ts';
import {
  changedList,
  changedValues,
  readTopicConfigs,
  TOPIC_CONFIGS,
  TOPIC_DEFAULTS,
} from '../topic-configs.ts';
import { NODE_ID } from '../topics.ts';
import { RESOURCE } from './configs.ts';

const CONFIGURABLE: readonly number[] = Object.values(RESOURCE);
const OPERATION = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const;

interface Change {
  readonly name: string;
  readonly configOperation: number;
  readonly value: string | null;
}

interface Alteration {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly configs: readonly Change[];
  /** Configs that are not named go back to their defaults. */
  readonly replaces: boolean;
}

interface Fault {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

const DONE: Fault = { errorCode: KAFKA.NONE, errorMessage: null };
const fault = (errorCode: number, errorMessage: string): Fault => ({ errorCode, errorMessage });

export const incrementalAlterConfigsOperation = answers(
  incrementalAlterConfigs,
  async (request, call, room) => {
    const asked = request.resources.map((resource) => ({ ...resource, replaces: false }));
    return { responses: await alterAll(asked, request.validateOnly, call, room) };
  },
);

export const alterConfigsOperation = answers(alterConfigs, async (request, call, room) => {
  const asked = request.resources.map(({ configs, ...resource }) => ({
    ...resource,
    configs: configs.map((config) => ({ ...config, configOperation: OPERATION.SET })),
    replaces: true,
  }));
  return { responses: await alterAll(asked, request.validateOnly, call, room) };
});

async function alterAll(
  asked: readonly Alteration[],
  validateOnly: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
) {
  const responses = asked.map((alteration) => {
    const { resourceType, resourceName } = alteration;
    return { resourceType, resourceName, ...alter(alteration, validateOnly, call, room) };
  });
  // All of them are definitions.
  if (!validateOnly) await room.groupConfigs.durable();
  return responses;
}

function alter(
  alteration: Alteration,
  validateOnly: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault {
  const { resourceType, configs } = alteration;
  if (!CONFIGURABLE.includes(resourceType)) {
    return fault(KAFKA.INVALID_REQUEST, `there are no configs of resource type ${resourceType}`);
  }
  if (new Set(configs.map(({ name }) => name)).size !== configs.length) {
    return fault(KAFKA.INVALID_REQUEST, 'a config is named twice');
  }
  for (const { name, configOperation, value } of configs) {
    if (configOperation !== OPERATION.DELETE && value === null) {
      return fault(KAFKA.INVALID_REQUEST, `${name}: a value is missing`);
    }
  }
  if (resourceType === RESOURCE.TOPIC) return alterTopic(alteration, validateOnly, call, room);
  if (resourceType === RESOURCE.GROUP) return alterGroup(alteration, validateOnly, call, room);
  if (resourceType === RESOURCE.BROKER) return alterBroker(alteration, validateOnly, call, room);
  return alterClientMetrics(alteration, validateOnly, call, room);
}

function alterClientMetrics(
  { resourceName, configs, replaces }: Alteration,
  validateOnly: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault {
  if (!room.mayOnCluster(call.session, 'alter-settings')) {
    return fault(KAFKA.CLUSTER_AUTHORIZATION_FAILED, 'not authorized');
  }
  if (resourceName === '') return fault(KAFKA.INVALID_REQUEST, 'a subscription has a name');
  const own: Record<string, string> = replaces ? {} : { ...room.clientMetrics.own(resourceName) };
  for (const { name, configOperation, value } of configs) {
    const row = CLIENT_METRICS_CONFIGS.find((known) => known.name === name);
    const isList = row?.kind === 'list';
    if (configOperation === OPERATION.DELETE) delete own[name];
    else if (configOperation === OPERATION.SET) own[name] = value!.trim();
    else if (isList && configOperation === OPERATION.APPEND) {
      own[name] = changedValues(own[name] ?? row.preset, value!, true);
    } else if (isList && configOperation === OPERATION.SUBTRACT) {
      own[name] = changedValues(own[name] ?? row.preset, value!, false);
    } else return fault(KAFKA.INVALID_CONFIG, `${name}: values cannot be appended or subtracted`);
  }
  const wrong = room.clientMetrics.fault(resourceName, own);
  if (wrong !== null) {
    return fault(wrong.isMatch ? KAFKA.INVALID_CONFIG : KAFKA.INVALID_REQUEST, wrong.message);
  }
  if (!validateOnly) room.clientMetrics.set(resourceName, own);
  return DONE;
}

function alterBroker(
  { resourceName, configs, replaces }: Alteration,
  validateOnly: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault {
  if (!room.mayOnCluster(call.session, 'alter-settings')) {
    return fault(KAFKA.CLUSTER_AUTHORIZATION_FAILED, 'not authorized');
  }
  if (resourceName !== '' && resourceName !== String(NODE_ID)) {
    return fault(KAFKA.INVALID_REQUEST, `there is no broker '${resourceName}', only ${NODE_ID}`);
  }
  const own: Record<string, string> = replaces ? {} : { ...room.dynamicConfigs.own(resourceName) };
  const options: string[] = [];
  for (const { name, configOperation, value } of configs) {
    const row = DYNAMIC_CONFIGS.find((known) => known.name === name);
    const isList = row?.topic.kind === 'list';
    if (row === undefined) {
      if (!isWithoutEffect(name)) options.push(name);
    } else if (configOperation === OPERATION.DELETE) delete own[name];
    else if (configOperation === OPERATION.SET) own[name] = value!.trim();
    else if (isList && configOperation <= OPERATION.SUBTRACT) {
      const adds = configOperation === OPERATION.APPEND;
      own[name] = changedValues(own[name] ?? row.topic.show(TOPIC_DEFAULTS), value!, adds);
    } else return fault(KAFKA.INVALID_CONFIG, `${name}: values cannot be appended or subtracted`);
  }
  if (options.length > 0) {
    // As Kafka says it of configs that only a start can change.
    const why = 'they are options of the server, set when it starts';
    const sentence = `Cannot update these configs dynamically: ${options.join(', ')}; ${why}`;
    return fault(KAFKA.INVALID_REQUEST, sentence);
  }
  const wrong = room.dynamicConfigs.fault(own);
  if (wrong !== null) return fault(KAFKA.INVALID_CONFIG, wrong);
  if (!validateOnly) room.dynamicConfigs.set(resourceName, own);
  return DONE;
}

function alterGroup(
  { resourceName: groupId, configs, replaces }: Alteration,
  validateOnly: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault {
  if (!room.mayUseGroup(call.session, 'alter-settings', groupId)) {
    return fault(KAFKA.GROUP_AUTHORIZATION_FAILED, 'not authorized');
  }
  if (groupId === '') return fault(KAFKA.INVALID_REQUEST, 'a group has a name');
  const own: Record<string, number | string> = replaces
    ? {}
    : { ...room.groupConfigs.own(groupId) };
  for (const { name, configOperation, value } of configs) {
    const row = GROUP_CONFIGS.find((known) => known.name === name);
    if (row === undefined) {
      return fault(KAFKA.INVALID_CONFIG, `unknown group config '${name}'`);
    }
    if (configOperation === OPERATION.DELETE) delete own[name];
    else if (configOperation !== OPERATION.SET) {
      return fault(KAFKA.INVALID_CONFIG, `${name}: values cannot be appended or subtracted`);
    } else if (row.kind === 'string') own[name] = value!.trim();
    else if (/^\d{1,10}$/.test(value!.trim())) own[name] = Number(value);
    else return fault(KAFKA.INVALID_CONFIG, `${name}: '${value}' is not a number`);
  }
  const wrong = room.groupConfigs.fault(own);
  if (wrong !== null) return fault(KAFKA.INVALID_CONFIG, wrong);
  if (!validateOnly) room.groupConfigs.set(groupId, own);
  return DONE;
}

function alterTopic(
  { resourceName, configs, replaces }: Alteration,
  validateOnly: boolean,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault {
  const principal = call.session.principal!;
  const stream = room.topics.byName(resourceName);
  if (!room.topics.mayByName(principal, 'alter-settings', stream?.name ?? resourceName)) {
    return fault(KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized');
  }
  if (stream === undefined) {
    return fault(KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such topic');
  }
  const wanted: { name: string; value: string | null }[] = replaces
    ? TOPIC_CONFIGS.filter(({ atCreation }) => !atCreation)
        .filter(({ name }) => !configs.some((config) => config.name === name))
        .map(({ name }) => ({ name, value: null }))
    : [];
  for (const config of configs) {
    const value = wantedValue(config, stream);
    if (value === undefined) {
      const { name } = config;
      return fault(KAFKA.INVALID_CONFIG, `${name}: values cannot be appended or subtracted`);
    }
    wanted.push({ name: config.name, value });
  }
  const changes = readTopicConfigs(wanted, stream.settings, room.dynamicConfigs.topicDefaults);
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
  { name, configOperation, value }: Change,
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
