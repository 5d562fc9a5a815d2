/** The options of share groups (KIP-932): part of the Kafka room's section. */
import type { OptionRows } from '#kit';

const SECOND = 1000;
const HOUR = 3600 * SECOND;

export const shareOptions = {
  'share-session-timeout': {
    type: 'duration',
    default: 45 * SECOND,
    min: 1,
    help: 'A member of a share group that is silent for so long loses its place; a group can have its own (share.session.timeout.ms).',
  },
  'share-session-timeout-min': {
    type: 'duration',
    default: 45 * SECOND,
    min: 1,
    help: 'Shortest session timeout that can be set for a share group.',
  },
  'share-session-timeout-max': {
    type: 'duration',
    default: 60 * SECOND,
    min: 1,
    help: 'Longest session timeout that can be set for a share group.',
  },
  'share-heartbeat-interval': {
    type: 'duration',
    default: 5 * SECOND,
    min: 1,
    help: 'How often members of a share group are told to send a heartbeat; a group can have its own (share.heartbeat.interval.ms).',
  },
  'share-heartbeat-interval-min': {
    type: 'duration',
    default: 5 * SECOND,
    min: 1,
    help: 'Shortest heartbeat interval that can be set for a share group.',
  },
  'share-heartbeat-interval-max': {
    type: 'duration',
    default: 15 * SECOND,
    min: 1,
    help: 'Longest heartbeat interval that can be set for a share group.',
  },
  'share-record-lock-duration': {
    type: 'duration',
    default: 30 * SECOND,
    min: SECOND,
    max: HOUR,
    help: 'How long a member of a share group may keep a record before others get it; a group can have its own (share.record.lock.duration.ms).',
  },
  'share-record-lock-duration-min': {
    type: 'duration',
    default: 15 * SECOND,
    min: SECOND,
    max: HOUR,
    help: 'Shortest lock of records that can be set for a share group.',
  },
  'share-record-lock-duration-max': {
    type: 'duration',
    default: 60 * SECOND,
    min: SECOND,
    max: HOUR,
    help: 'Longest lock of records that can be set for a share group.',
  },
  'share-delivery-count-limit': {
    type: 'integer',
    default: 5,
    min: 2,
    max: 10,
    help: 'Deliveries after which a share group gives a record up that nobody accepted.',
  },
  'share-partition-record-locks-max': {
    type: 'integer',
    default: 2000,
    min: 100,
    max: 10_000,
    help: 'Records of one partition that the members of one share group may have in hand.',
  },
  'share-group-members-max': {
    type: 'integer',
    default: 200,
    min: 1,
    max: 1000,
    help: 'Members that one share group may have.',
  },
  'share-sessions-max': {
    type: 'integer',
    default: 2000,
    min: 1,
    max: 100_000,
    help: 'Members of share groups that may fetch at the same time.',
  },
} as const satisfies OptionRows;
