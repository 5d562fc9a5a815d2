/** Options of the MQTT listeners and sessions, one row each. */
import type { OptionRows, Values } from '#kit';

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
  'deny-action': {
    type: 'text',
    default: 'drop',
    choices: ['drop', 'disconnect'],
    help: 'What happens to a message without the right to publish: dropped, or the client closed.',
  },
} as const satisfies OptionRows;

export type MqttOptions = Values<typeof OPTIONS>;
