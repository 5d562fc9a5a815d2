/** Options of the MQTT listeners and sessions, one row each. */
import type { OptionRows, Values } from '#kit';
import { STRATEGIES } from './shared-strategies.ts';

export const OPTIONS = {
  listen: {
    type: 'list',
    default: ['localhost:1883'],
    help: 'Addresses for MQTT over TCP.',
  },
  'tls-listen': {
    type: 'list',
    default: ['localhost:8883'],
    help: 'Addresses for MQTT over TLS, opened when a certificate is configured.',
  },
  'ws-listen': {
    type: 'list',
    default: ['localhost:8083'],
    help: 'Addresses for MQTT over WebSocket.',
  },
  'wss-listen': {
    type: 'list',
    default: ['localhost:8084'],
    help: 'Addresses for MQTT over WebSocket with TLS, opened when a certificate is configured.',
  },
  'quic-listen': {
    type: 'list',
    default: [],
    help: 'Addresses for MQTT over QUIC (UDP), opened when a certificate is configured.',
  },
  'ws-path': { type: 'text', default: '/mqtt', help: 'Path of the WebSocket listeners.' },
  'connect-timeout': {
    type: 'duration',
    default: 10_000,
    min: 100,
    help: 'Time a client has from its TCP connect to its complete CONNECT packet.',
  },
  'packet-bytes-max': {
    type: 'bytes',
    default: 16 << 20,
    min: 1024,
    max: 268_435_460,
    help: 'Largest packet that is accepted, with its header; announced to version 5 clients.',
  },
  // Some clients ignore a lower one and would be closed; the broker's own bounds slow them instead.
  'receive-maximum': {
    type: 'integer',
    default: 65_535,
    min: 1,
    max: 65_535,
    help: 'QoS 1 and 2 messages that a version 5 client may have unacknowledged towards us.',
  },
  'in-flight-max': {
    type: 'integer',
    default: 1024,
    min: 1,
    max: 32_767,
    help: 'QoS 1 and 2 messages that we have unacknowledged towards one client, at most.',
  },
  'send-bytes-max': {
    type: 'bytes',
    default: 4 << 20,
    min: 4096,
    help: 'Bytes waiting for one slow client; beyond it QoS 0 is dropped and QoS 1 and 2 wait.',
  },
  'keep-alive-max': {
    type: 'duration',
    default: 65_535_000,
    min: 1000,
    max: 65_535_000,
    help: 'Longest keep alive; version 5 clients are told, and a keep alive of 0 counts as longer.',
  },
  'session-expiry-max': {
    type: 'duration',
    default: -1,
    min: -1,
    help: 'Longest time that a session outlives its connection; -1 = no limit.',
  },
  'session-cold-after': {
    type: 'duration',
    default: 10_000,
    min: 0,
    help: 'Time that a session without a client stays in memory; later it is on disk alone.',
  },
  'clean-session-expiry': {
    type: 'duration',
    default: -1,
    min: -1,
    help: 'Time that the session of a 3.x client with CleanSession 0 outlives it; -1 = for ever.',
  },
  'topic-alias-max': {
    type: 'integer',
    default: 64,
    min: 0,
    max: 65_535,
    help: 'Topic aliases that a version 5 client may use in its messages.',
  },
  'subscriptions-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Subscriptions of one session; more are refused with quota exceeded.',
  },
  'topic-levels-max': {
    type: 'integer',
    default: 256,
    min: 1,
    max: 65_536,
    help: 'Levels of a topic name or filter.',
  },
  'delayed-max': {
    type: 'integer',
    default: 10_000_000,
    min: 0,
    help: 'Messages that wait under $delayed/ for their time; more are refused as quota exceeded.',
  },
  'dedupe-window': {
    type: 'duration',
    default: 0,
    min: 0,
    help: 'Time in which a message with the message-id of an earlier one of its client is dropped.',
  },
  'dedupe-ids-max': {
    type: 'integer',
    default: 1_000_000,
    min: 1,
    help: 'Message ids that are remembered for all clients; the oldest are forgotten first.',
  },
  'qos-max': {
    type: 'integer',
    default: 2,
    min: 0,
    max: 2,
    help: 'Highest QoS of messages from clients; subscriptions are granted no more.',
  },
  'retain-available': {
    type: 'boolean',
    default: true,
    help: 'Clients may publish retained messages.',
  },
  'wildcard-available': {
    type: 'boolean',
    default: true,
    help: 'Clients may subscribe with wildcards.',
  },
  'shared-available': {
    type: 'boolean',
    default: true,
    help: 'Clients may have shared subscriptions.',
  },
  'subscription-ids-available': {
    type: 'boolean',
    default: true,
    help: 'Version 5 clients may name their subscriptions by numbers.',
  },
  'mount-point': {
    type: 'text',
    default: '',
    help:
      'Levels before every topic and filter of the clients, who do not see them; ${clientid} and ' +
      '${username} stand for theirs.',
  },
  'retained-max': {
    type: 'integer',
    default: -1,
    min: -1,
    help: 'Retained messages of the server, -1 = no limit; a new topic beyond is quota exceeded.',
  },
  'retained-bytes-max': {
    type: 'bytes',
    default: 16 << 20,
    min: 0,
    help: 'Largest payload of a retained message; a larger one is refused.',
  },
  'retained-total-bytes-max': {
    type: 'bytes',
    default: -1,
    min: -1,
    help: 'Bytes of all retained messages with their properties, -1 = no limit; more are refused.',
  },
  'retained-rate-max': {
    type: 'integer',
    default: -1,
    min: -1,
    help: 'Retained messages that are taken in a second, -1 = no limit; more are refused.',
  },
  'retained-expiry': {
    type: 'duration',
    default: -1,
    min: -1,
    help: 'Expiry of retained messages that bring none; -1 = they stay.',
  },
  'queue-max': {
    type: 'integer',
    default: -1,
    min: -1,
    help: 'QoS 1 and 2 messages that wait for one session, at most; -1 = as many as come.',
  },
  'queue-overflow': {
    type: 'text',
    default: 'drop-oldest',
    choices: ['drop-oldest', 'drop-newest'],
    help: 'Which message a session loses when queue-max is reached; it is counted as dropped.',
  },
  'shared-strategy': {
    type: 'text',
    default: 'round_robin_per_group',
    choices: STRATEGIES,
    help: 'How a shared subscription chooses a member, where its group has no choice of its own.',
  },
  'queue-alias': {
    type: 'boolean',
    default: true,
    help: 'The filter $queue/{filter} is a shared subscription; otherwise it is refused.',
  },
  'exclusive-subscriptions': {
    type: 'boolean',
    default: true,
    help: 'The filter $exclusive/{filter} has one subscriber; otherwise it is refused.',
  },
  'replay-subscriptions': {
    type: 'boolean',
    default: true,
    help: 'The filters $s/{from}/{filter} and $q/{topic} read stored messages; else refused.',
  },
  'sys-interval': {
    type: 'duration',
    default: 10_000,
    min: 0,
    help: 'How often the values under $SYS are published to who subscribed; 0 = there are none.',
  },
  'presence-events': {
    type: 'list',
    default: ['client_connected', 'client_disconnected', 'session_subscribed'],
    help: 'Events that are published as $events/{name}; also session_unsubscribed and message_*.',
  },
  'auto-subscribe': {
    type: 'list',
    default: [],
    help: 'Filters that every client is subscribed to, as "inbox/%c qos=1 nl=1 rap=1 rh=2".',
  },
  'topic-rewrite': {
    type: 'list',
    default: [],
    help: 'Rules as "publish|subscribe|all {filter} {expression} {new name}", the last match wins.',
  },
  'slow-threshold': {
    type: 'duration',
    default: 0,
    min: 0,
    help: 'Latency from which a subscription is listed as slow; 0 = they are not watched.',
  },
  'slow-kind': {
    type: 'text',
    default: 'whole',
    choices: ['whole', 'internal', 'response'],
    help: 'Which latency: until the acknowledgement, until it is sent, or from there to the end.',
  },
  'slow-max': {
    type: 'integer',
    default: 10,
    min: 1,
    max: 1000,
    help: 'Slow subscriptions that are listed, the slowest first.',
  },
  'slow-expiry': {
    type: 'duration',
    default: 300_000,
    min: 1000,
    help: 'Time after which a slow subscription leaves the list.',
  },
  'topic-metrics-max': {
    type: 'integer',
    default: 512,
    min: 0,
    help: 'Topics whose messages are counted by wish of an administrator.',
  },
  'traces-max': {
    type: 'integer',
    default: 10,
    min: 0,
    help: 'Traces that may run or be kept at one time.',
  },
  'trace-bytes-max': {
    type: 'bytes',
    default: 4 << 20,
    min: 4096,
    help: 'Text of one trace, in memory; it ends when it is full.',
  },
  'deny-action': {
    type: 'text',
    default: 'drop',
    choices: ['drop', 'disconnect'],
    help: 'What happens to a message without the right to publish: dropped, or the client closed.',
  },
} as const satisfies OptionRows;

export type MqttOptions = Values<typeof OPTIONS>;

/** What one listener may have values of its own for. */
export const LISTENER_OPTIONS = [
  'connect-timeout',
  'packet-bytes-max',
  'receive-maximum',
  'in-flight-max',
  'send-bytes-max',
  'keep-alive-max',
  'session-expiry-max',
  'clean-session-expiry',
  'topic-alias-max',
  'subscriptions-max',
  'topic-levels-max',
  'qos-max',
  'retain-available',
  'wildcard-available',
  'shared-available',
  'subscription-ids-available',
  'mount-point',
  'deny-action',
] as const satisfies readonly (keyof typeof OPTIONS)[];
