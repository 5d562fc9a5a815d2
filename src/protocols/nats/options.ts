/** Options of the NATS listeners and connections, one row each. */
import type { OptionRows, Values } from '#kit';

export const OPTIONS = {
  listen: {
    type: 'list',
    default: ['localhost:4222'],
    help: 'Addresses for NATS over TCP; TLS by upgrade when a certificate is configured.',
  },
  'tls-listen': {
    type: 'list',
    default: [],
    help:
      'Addresses for NATS over TLS from the first byte, for clients with handshake first; opened ' +
      'when a certificate is configured.',
  },
  'ws-listen': {
    type: 'list',
    default: ['localhost:8080'],
    help: 'Addresses for NATS over WebSocket.',
  },
  'wss-listen': {
    type: 'list',
    default: ['localhost:4443'],
    help: 'Addresses for NATS over WebSocket with TLS, opened when a certificate is configured.',
  },
  'server-name': {
    type: 'text',
    default: 'robustmq',
    help: 'The server_name that clients are told.',
  },
  'tls-required': {
    type: 'boolean',
    default: false,
    help: 'Refuse clients on the TCP listener that do not upgrade to TLS.',
  },
  token: {
    type: 'text',
    default: '',
    help:
      'Secret that clients may send as auth_token. Where it is set, every client needs it or a user ' +
      'and password; who has it acts as anonymous, from anywhere.',
  },
  'auth-timeout': {
    type: 'duration',
    default: 2000,
    min: 100,
    help: 'Time a client has for its CONNECT where credentials are needed.',
  },
  'ping-interval': {
    type: 'duration',
    default: 120_000,
    min: 100,
    help: 'Silence of a client after which the server sends PING.',
  },
  'pings-outstanding-max': {
    type: 'integer',
    default: 2,
    min: 1,
    max: 1000,
    help: 'Unanswered PINGs after which a connection counts as stale.',
  },
  'payload-bytes-max': {
    type: 'bytes',
    default: 1 << 20,
    min: 1024,
    max: 64 << 20,
    help: 'Largest message, headers included; announced as max_payload.',
  },
  'control-line-bytes-max': {
    type: 'bytes',
    default: 4096,
    min: 256,
    max: 1 << 20,
    help: 'Largest control line of a client.',
  },
  'pending-bytes-max': {
    type: 'bytes',
    default: 64 << 20,
    min: 64 << 10,
    help: 'Bytes waiting for one client; beyond it the connection is closed as a slow consumer.',
  },
  'write-deadline': {
    type: 'duration',
    default: 10_000,
    min: 100,
    help: 'Time in which bytes for a client must leave; then it is closed as a slow consumer.',
  },
  'stall-time': {
    type: 'duration',
    default: 10,
    min: 0,
    max: 1000,
    help: 'Longest pause of a publisher whose subscriber is far behind, per read; 0 = none.',
  },
  'connections-max': {
    type: 'integer',
    default: 65_536,
    min: 1,
    help: 'NATS connections at a time; more are told so and closed.',
  },
  'subscriptions-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Subscriptions of one connection; more are refused.',
  },
} as const satisfies OptionRows;

export type NatsOptions = Values<typeof OPTIONS>;
