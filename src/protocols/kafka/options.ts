/** The options of the Kafka room: section `kafka` of the configuration. */
import type { OptionRows, Values } from '#kit';
import { shareOptions } from './share/options.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

export const options = {
  listen: {
    type: 'list',
    default: ['localhost:9092'],
    help: 'Addresses of the Kafka listener; empty for none.',
  },
  'tls-listen': {
    type: 'list',
    default: ['localhost:9093'],
    help: 'Addresses of the Kafka listener with TLS; opened when a certificate is configured.',
  },
  advertised: {
    type: 'list',
    default: [],
    help: 'host[:port] that clients are told to connect to, or listener=host[:port] for one listener (kafka, kafka-tls). Without it, the address that the client came to.',
  },
  'auto-create': {
    type: 'boolean',
    default: true,
    help: 'Create a topic that a client asks for by name and that does not exist.',
  },
  'default-partitions': {
    type: 'integer',
    default: 1,
    min: 1,
    max: 10_000,
    help: 'Partitions of a topic that is created without a number of its own.',
  },
  'request-bytes-max': {
    type: 'bytes',
    default: 100 * MIB,
    min: 64 * KIB,
    max: 0x7fffffff,
    help: 'Largest request; a larger one closes the connection.',
  },
  'unauthenticated-request-bytes-max': {
    type: 'bytes',
    default: 512 * KIB,
    min: 1 * KIB,
    max: 0x7fffffff,
    help: 'Largest request of a client that must still authenticate.',
  },
  'fetch-bytes-max': {
    type: 'bytes',
    default: 55 * MIB,
    min: 1 * KIB,
    max: 0x7fffffff,
    help: 'Largest fetch response, whatever the client asks for; one batch always fits.',
  },
  'sasl-session-max': {
    type: 'duration',
    default: 0,
    min: 0,
    help: 'Time after which a client that logged in must do so again (KIP-368); 0 = never.',
  },
  'failed-authentication-delay': {
    type: 'duration',
    default: 100,
    min: 0,
    max: 10_000,
    help: 'How long the answer to a failed log-in is held back.',
  },
  'idle-timeout': {
    type: 'duration',
    default: 10 * MINUTE,
    min: SECOND,
    help: 'A connection without a request in flight and without bytes for so long is closed.',
  },
  'timestamp-ahead-max': {
    type: 'duration',
    default: 60 * MINUTE,
    min: 0,
    help: 'How far in the future the timestamp of a produced record may lie.',
  },
  'check-compressed': {
    type: 'boolean',
    default: false,
    help: 'Open the compressed batches of producers to check their records before they are stored, as is done with all others. Costs the time of decompression.',
  },
  'group-initial-rebalance-delay': {
    type: 'duration',
    default: 100,
    min: 0,
    max: 5 * MINUTE,
    help: 'How long the first rebalance of an empty group waits for more members.',
  },
  'group-session-timeout-min': {
    type: 'duration',
    default: 6 * SECOND,
    min: 1,
    help: 'Shortest session timeout that a group member may ask for.',
  },
  'group-session-timeout-max': {
    type: 'duration',
    default: 30 * MINUTE,
    min: 1,
    help: 'Longest session timeout that a group member may ask for.',
  },
  'group-members-max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    help: 'Members that one group may have.',
  },
  ...shareOptions,
  'consumer-session-timeout': {
    type: 'duration',
    default: 45 * SECOND,
    min: 1,
    help: 'A member of the consumer protocol (KIP-848) that is silent for so long loses its place; a group can have its own (consumer.session.timeout.ms).',
  },
  'consumer-session-timeout-min': {
    type: 'duration',
    default: 45 * SECOND,
    min: 1,
    help: 'Shortest session timeout that can be set for a group of the consumer protocol.',
  },
  'consumer-session-timeout-max': {
    type: 'duration',
    default: 60 * SECOND,
    min: 1,
    help: 'Longest session timeout that can be set for a group of the consumer protocol.',
  },
  'consumer-heartbeat-interval': {
    type: 'duration',
    default: 5 * SECOND,
    min: 1,
    help: 'How often members of the consumer protocol are told to send a heartbeat; a group can have its own (consumer.heartbeat.interval.ms).',
  },
  'consumer-heartbeat-interval-min': {
    type: 'duration',
    default: 5 * SECOND,
    min: 1,
    help: 'Shortest heartbeat interval that can be set for a group of the consumer protocol.',
  },
  'consumer-heartbeat-interval-max': {
    type: 'duration',
    default: 15 * SECOND,
    min: 1,
    help: 'Longest heartbeat interval that can be set for a group of the consumer protocol.',
  },
  'consumer-group-members-max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    help: 'Members that one group of the consumer protocol may have.',
  },
  'group-migration': {
    type: 'text',
    choices: ['bidirectional', 'upgrade', 'downgrade', 'disabled'],
    default: 'bidirectional',
    help: 'Whether a group with members changes between the classic and the consumer protocol.',
  },
  'groups-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Groups with members that may exist at once.',
  },
  'offset-metadata-bytes-max': {
    type: 'bytes',
    default: 4096,
    min: 0,
    max: 32 * KIB,
    help: 'Longest text that a client may store with a committed offset.',
  },
  'offsets-retention': {
    type: 'duration',
    default: 7 * DAY,
    min: MINUTE,
    help: 'Committed offsets of a group without members are forgotten after this time.',
  },
  'transaction-timeout-max': {
    type: 'duration',
    default: 15 * MINUTE,
    min: 1,
    help: 'Longest time that a producer may ask for until its open transaction is aborted.',
  },
  'transactional-id-expiration': {
    type: 'duration',
    default: 7 * DAY,
    min: MINUTE,
    help: 'A transactional id that was not used for so long is forgotten.',
  },
  'transactional-ids-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Transactional ids that may be known at once.',
  },
  'fetch-sessions-max': {
    type: 'integer',
    default: 1_000,
    min: 0,
    help: 'Fetch sessions (KIP-227) that are kept at once; other clients fetch without one.',
  },
  'fetch-session-eviction-min': {
    type: 'duration',
    default: 2 * MINUTE,
    min: 0,
    help: 'A fetch session that was used within this time gives its place to a larger one only.',
  },
  'telemetry-bytes-max': {
    type: 'bytes',
    default: MIB,
    min: 1 * KIB,
    max: 16 * MIB,
    help: 'Largest push of metrics by a client (KIP-714), as it is sent; opened it may be ten times as large.',
  },
} as const satisfies OptionRows;

export type KafkaOptions = Values<typeof options>;
