/** CreateTopics, DeleteTopics, CreatePartitions, DescribeLogDirs. */
import { PARTITIONS_MAX, type Stream } from '#broker';
import { BrokerError } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { isInternalName } from '../internal-topics.ts';
import { createTopics } from '../messages/19-create-topics.ts';
import { deleteTopics } from '../messages/20-delete-topics.ts';
import { describeLogDirs } from '../messages/35-describe-log-dirs.ts';
import { createPartitions } from '../messages/37-create-partitions.ts';
import { MutationQuota, QUOTA_EXCEEDED } from '../mutation-quota.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import { type RequestOf, type ResponseOf, ZERO_UUID } from '../rows.ts';
import { isReadOnly, readTopicConfigs, TOPIC_CONFIGS } from '../topic-configs.ts';
import { LOG_DIR, NODE_ID, nameFault } from '../topics.ts';
import { topicConfig } from './configs.ts';

const DEFAULT = -1;
const REPLICAS = 1;
/** Versions whose clients know that a quota can refuse (KIP-599). */
const STRICT_SINCE = { create: 6, delete: 5, grow: 3 } as const;

type WantedTopic = RequestOf<typeof createTopics>['topics'][number];
type CreatedTopic = ResponseOf<typeof createTopics>['topics'][number];

interface Fault {
  readonly errorCode: number;
  readonly errorMessage: string;
}

const fault = (errorCode: number, errorMessage: string): Fault => ({ errorCode, errorMessage });

export const createTopicsOperation = answers(createTopics, async (request, call, room) => {
  const count = new Map<string, number>();
  for (const { name } of request.topics) count.set(name, (count.get(name) ?? 0) + 1);
  const quota = new MutationQuota(call as unknown as Call, STRICT_SINCE.create);
  const topics = request.topics.map((wanted): CreatedTopic => {
    const { name } = wanted;
    const made =
      count.get(name)! > 1
        ? fault(KAFKA.INVALID_REQUEST, 'the topic is named twice in the request')
        : createTopic(wanted, request.validateOnly ? null : quota, call, room);
    return 'errorCode' in made
      ? { name, topicId: ZERO_UUID, configs: null, ...made }
      : { name, errorCode: KAFKA.NONE, ...made };
  });
  // A duplicate is answered once, as in Kafka.
  const unique = [...new Map(topics.map((topic) => [topic.name, topic])).values()];
  if (!request.validateOnly) await room.broker.streams.durable();
  return { topics: unique };
});

type Made = Pick<CreatedTopic, 'topicId' | 'numPartitions' | 'replicationFactor' | 'configs'>;

function createTopic(
  wanted: WantedTopic,
  /** Null: it is only checked. */
  quota: MutationQuota | null,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault | Made {
  const { name } = wanted;
  if (!room.topics.mayByName(call.session.principal!, 'create', name)) {
    return fault(KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized');
  }
  const reason = nameFault(name);
  if (reason !== null) return fault(KAFKA.INVALID_TOPIC_EXCEPTION, reason);
  if (room.topics.byName(name) !== undefined) {
    return fault(KAFKA.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`);
  }
  const shape = shapeFault(wanted);
  if (shape !== null) return shape;
  const { settings: preset, topicDefaults } = room.dynamicConfigs;
  const settings = readTopicConfigs(wanted.configs, topicDefaults, topicDefaults);
  if (typeof settings === 'string') return fault(KAFKA.INVALID_CONFIG, settings);
  const asked = wanted.assignments.length > 0 ? wanted.assignments.length : wanted.numPartitions;
  const partitions = asked === DEFAULT ? room.options.defaultPartitions : asked;
  if (quota === null) return { topicId: ZERO_UUID, numPartitions: partitions, ...REPLICATION };
  if (!quota.takes(partitions)) return QUOTA_EXCEEDED;
  try {
    const { retentionBytes } = topicDefaults;
    const whole = { ...preset, retentionBytes, ...settings, partitions };
    const stream = room.topics.create(name, whole);
    return {
      topicId: stream.id,
      numPartitions: partitions,
      replicationFactor: REPLICAS,
      configs: configsOf(stream, room),
    };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return fault(wireCode(error), error.message);
  }
}

const REPLICATION = { replicationFactor: REPLICAS, configs: null } as const;

/** What is wrong with the number of partitions, the replication or the assignment, or null. */
function shapeFault({ numPartitions, replicationFactor, assignments }: WantedTopic): Fault | null {
  if (assignments.length > 0) {
    if (numPartitions !== DEFAULT || replicationFactor !== DEFAULT) {
      return fault(KAFKA.INVALID_REQUEST, 'an assignment excludes partitions and replication');
    }
    const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
    const complete = assignments.every((_, index) => indexes.has(index));
    return complete && assignments.every(({ brokerIds }) => isAssignment(brokerIds))
      ? null
      : fault(KAFKA.INVALID_REPLICA_ASSIGNMENT, `every partition belongs to broker ${NODE_ID}`);
  }
  if (numPartitions !== DEFAULT && (numPartitions < 1 || numPartitions > PARTITIONS_MAX)) {
    return fault(KAFKA.INVALID_PARTITIONS, `a topic has 1 to ${PARTITIONS_MAX} partitions`);
  }
  if (replicationFactor !== DEFAULT && replicationFactor !== REPLICAS) {
    return fault(KAFKA.INVALID_REPLICATION_FACTOR, 'there is one broker: the factor is 1');
  }
  return null;
}

function isAssignment(brokerIds: readonly number[]): boolean {
  return brokerIds.length === 1 && brokerIds[0] === NODE_ID;
}

function configsOf(stream: Stream, room: Room): NonNullable<CreatedTopic['configs']> {
  return TOPIC_CONFIGS.map((row) => {
    const { value, configSource } = topicConfig(row, stream, room);
    return { name: row.name, value, readOnly: isReadOnly(row), configSource };
  });
}

export const deleteTopicsOperation = answers(deleteTopics, async (request, call, room) => {
  const asked =
    call.version >= 6
      ? request.topics
      : request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }));
  const quota = new MutationQuota(call as unknown as Call, STRICT_SINCE.delete);
  const responses = asked.map(({ name, topicId }) => {
    const byId = name === null;
    const stream = byId ? room.topics.byId(topicId) : room.topics.byName(name);
    const principal = call.session.principal!;
    const may = (action: 'describe' | 'remove') =>
      stream === undefined
        ? room.topics.mayByName(principal, action, name ?? '')
        : room.topics.may(principal, action, stream);
    if (stream === undefined || (byId && !may('describe'))) {
      if (byId) return { name, topicId, errorCode: KAFKA.UNKNOWN_TOPIC_ID };
      const errorCode =
        may('describe') && !isInternalName(name)
          ? KAFKA.UNKNOWN_TOPIC_OR_PARTITION
          : KAFKA.TOPIC_AUTHORIZATION_FAILED;
      return { name, topicId, errorCode };
    }
    const answer = { name: stream.safeName, topicId: stream.id };
    if (!may('remove')) return { ...answer, errorCode: KAFKA.TOPIC_AUTHORIZATION_FAILED };
    if (!quota.takes(stream.partitions.length)) return { ...answer, ...QUOTA_EXCEEDED };
    room.broker.streams.remove(stream);
    return { ...answer, errorCode: KAFKA.NONE };
  });
  await room.broker.streams.durable();
  return { responses };
});

type Growth = RequestOf<typeof createPartitions>['topics'][number];

export const createPartitionsOperation = answers(createPartitions, async (request, call, room) => {
  const quota = new MutationQuota(call as unknown as Call, STRICT_SINCE.grow);
  const results = request.topics.map((growth) => {
    const wrong = growTopic(growth, request.validateOnly ? null : quota, call, room);
    return { name: growth.name, ...(wrong ?? { errorCode: KAFKA.NONE }) };
  });
  if (!request.validateOnly) await room.broker.streams.durable();
  return { results };
});

function growTopic(
  { name, count, assignments }: Growth,
  /** Null: it is only checked. */
  quota: MutationQuota | null,
  call: Pick<Call, 'session'>,
  room: Room,
): Fault | null {
  const stream = room.topics.byName(name);
  if (!room.topics.mayByName(call.session.principal!, 'alter', stream?.name ?? name)) {
    return fault(KAFKA.TOPIC_AUTHORIZATION_FAILED, 'not authorized');
  }
  if (stream === undefined) {
    return fault(KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such topic');
  }
  const now = stream.partitions.length;
  if (count <= now) {
    const verb = count === now ? 'already has' : 'has';
    return fault(KAFKA.INVALID_PARTITIONS, `the topic ${verb} ${now} partitions; it only grows`);
  }
  if (count > PARTITIONS_MAX) {
    return fault(KAFKA.INVALID_PARTITIONS, `a topic has 1 to ${PARTITIONS_MAX} partitions`);
  }
  if (assignments !== null) {
    const fits = assignments.length === count - now;
    if (!fits || !assignments.every(({ brokerIds }) => isAssignment(brokerIds))) {
      return fault(
        KAFKA.INVALID_REPLICA_ASSIGNMENT,
        `every new partition belongs to broker ${NODE_ID}`,
      );
    }
  }
  if (quota === null) return null;
  if (!quota.takes(count - now)) return QUOTA_EXCEEDED;
  try {
    room.broker.streams.addPartitions(stream, count);
    return null;
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return fault(wireCode(error), error.message);
  }
}

/** Sizes are what each log takes of the files that all share. */
export const describeLogDirsOperation = answers(describeLogDirs, (request, call, room) => {
  const asked =
    request.topics === null
      ? [...room.topics.visible(call.session.principal!)].map((stream) => ({
          stream,
          indexes: stream.partitions.map(({ index }) => index),
        }))
      : request.topics.map(({ topic, partitions }) => ({
          stream: room.topics.byName(topic),
          indexes: partitions,
        }));
  const topics = asked.flatMap(({ stream, indexes }) => {
    if (stream === undefined) return [];
    if (!room.topics.may(call.session.principal!, 'describe', stream)) return [];
    const partitions = indexes.flatMap((index) => {
      const partition = stream.partitions[index];
      if (partition === undefined) return [];
      const partitionSize = partition.stat().bytes;
      return [{ partitionIndex: index, partitionSize, offsetLag: 0, isFutureKey: false }];
    });
    return [{ name: stream.safeName, partitions }];
  });
  return { results: [{ errorCode: KAFKA.NONE, logDir: LOG_DIR, topics }] };
});
