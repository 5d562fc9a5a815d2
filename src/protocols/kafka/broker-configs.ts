/**
 * The broker's own configurations as Kafka tools know them. Read-only: they come from the options.
 * Those that change at run time are in `dynamic-configs.ts`.
 */
import type { Room } from './room.ts';
import { mechanismsOf } from './sasl.ts';
import { SHARE_ASSIGNOR } from './share/share-assignor.ts';
import type { ConfigKind } from './topic-configs.ts';
import { NODE_ID } from './topics.ts';

export interface BrokerConfig {
  readonly name: string;
  readonly kind: ConfigKind;
  readonly value: string;
}

const MS_PER_MINUTE = 60_000;

export function brokerConfigs(room: Room, advertised: string): BrokerConfig[] {
  const { options } = room;
  const row = (name: string, kind: ConfigKind, value: string | number | boolean): BrokerConfig => ({
    name,
    kind,
    value: String(value),
  });
  return [
    row('advertised.listeners', 'string', advertised),
    row('auto.create.topics.enable', 'boolean', options.autoCreate),
    row('broker.id', 'int', NODE_ID),
    row('connections.max.idle.ms', 'long', options.idleTimeout),
    row('default.replication.factor', 'int', 1),
    row('delete.topic.enable', 'boolean', true),
    row('fetch.max.bytes', 'int', options.fetchBytesMax),
    row('group.consumer.assignors', 'list', 'uniform,range'),
    row('group.consumer.heartbeat.interval.ms', 'int', options.consumerHeartbeatInterval),
    row('group.consumer.max.heartbeat.interval.ms', 'int', options.consumerHeartbeatIntervalMax),
    row('group.consumer.max.session.timeout.ms', 'int', options.consumerSessionTimeoutMax),
    row('group.consumer.max.size', 'int', options.consumerGroupMembersMax),
    row('group.consumer.migration.policy', 'string', options.groupMigration),
    row('group.consumer.min.heartbeat.interval.ms', 'int', options.consumerHeartbeatIntervalMin),
    row('group.consumer.min.session.timeout.ms', 'int', options.consumerSessionTimeoutMin),
    row('group.consumer.session.timeout.ms', 'int', options.consumerSessionTimeout),
    row('group.coordinator.rebalance.protocols', 'list', 'classic,consumer,share'),
    row('group.initial.rebalance.delay.ms', 'int', options.groupInitialRebalanceDelay),
    row('group.max.session.timeout.ms', 'int', options.groupSessionTimeoutMax),
    row('group.max.size', 'int', options.groupMembersMax),
    row('group.min.session.timeout.ms', 'int', options.groupSessionTimeoutMin),
    row('group.share.assignors', 'list', SHARE_ASSIGNOR),
    row('group.share.delivery.count.limit', 'int', options.shareDeliveryCountLimit),
    row('group.share.heartbeat.interval.ms', 'int', options.shareHeartbeatInterval),
    row('group.share.max.heartbeat.interval.ms', 'int', options.shareHeartbeatIntervalMax),
    row('group.share.max.record.lock.duration.ms', 'int', options.shareRecordLockDurationMax),
    row('group.share.max.session.timeout.ms', 'int', options.shareSessionTimeoutMax),
    row('group.share.max.share.sessions', 'int', options.shareSessionsMax),
    row('group.share.max.size', 'int', options.shareGroupMembersMax),
    row('group.share.min.heartbeat.interval.ms', 'int', options.shareHeartbeatIntervalMin),
    row('group.share.min.record.lock.duration.ms', 'int', options.shareRecordLockDurationMin),
    row('group.share.min.session.timeout.ms', 'int', options.shareSessionTimeoutMin),
    row('group.share.partition.max.record.locks', 'int', options.sharePartitionRecordLocksMax),
    row('group.share.record.lock.duration.ms', 'int', options.shareRecordLockDuration),
    row('group.share.session.timeout.ms', 'int', options.shareSessionTimeout),
    row('node.id', 'int', NODE_ID),
    row('num.partitions', 'int', options.defaultPartitions),
    row('offset.metadata.max.bytes', 'int', options.offsetMetadataBytesMax),
    row('offsets.retention.minutes', 'int', Math.floor(options.offsetsRetention / MS_PER_MINUTE)),
    row('process.roles', 'list', 'broker,controller'),
    row('sasl.enabled.mechanisms', 'list', mechanismsOf(room).join(',')),
    row('socket.request.max.bytes', 'int', options.requestBytesMax),
    row('telemetry.max.bytes', 'int', options.telemetryBytesMax),
  ];
}
