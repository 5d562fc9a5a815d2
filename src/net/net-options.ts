/** What the operator may set about listeners and connections: rows of `server` and `tls`. */
import type { OptionRows } from '#kit';

export const NET_OPTIONS = {
  'connections-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Connections that may be open at the same time, over all listeners.',
  },
  'listener-connections-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Connections that may be open at the same time on one listener.',
  },
  'half-open-max': {
    type: 'integer',
    default: 20_000,
    min: 1,
    help: 'Connections that have not sent a byte yet; beyond this the oldest of them is closed.',
  },
  'first-bytes-timeout': {
    type: 'duration',
    default: 10_000,
    min: 100,
    help: 'A connection that sends nothing for this long after it was opened is closed.',
  },
  'linger-timeout': {
    type: 'duration',
    default: 5_000,
    min: 0,
    help: 'Time a client gets to take the last bytes and hang up before its connection is cut.',
  },
  'send-mark': {
    type: 'bytes',
    default: 256 * 1024,
    min: 64 * 1024,
    help: 'Unsent bytes of one connection above which its protocol is told to wait.',
  },
  'websocket-message-max': {
    type: 'bytes',
    default: 16 * 1024 * 1024,
    min: 1024,
    help: 'Largest WebSocket message that is accepted.',
  },
  'allowed-hosts': {
    type: 'list',
    default: [],
    help:
      'Names that WebSocket and admin requests may carry in Host and Origin, beside loopback names ' +
      'and addresses. `*` accepts every name.',
  },
  'proxy-listeners': {
    type: 'list',
    default: [],
    help:
      'Listeners (such as mqtt or amqp-tls) where a load balancer puts a PROXY protocol header ' +
      '(version 1 or 2) in front of each connection. Connections without one are closed.',
  },
} as const satisfies OptionRows;

export const TLS_OPTIONS = {
  cert: {
    type: 'text',
    default: '',
    help: 'File with the certificate chain in PEM form. With `key` it opens the TLS listeners.',
  },
  key: { type: 'text', default: '', help: 'File with the private key in PEM form.' },
  ca: {
    type: 'text',
    default: '',
    help: 'File with the authorities of client certificates. When set, clients must present one.',
  },
  'min-version': {
    type: 'text',
    default: '1.2',
    choices: ['1.2', '1.3'],
    help: 'Oldest TLS version that is accepted.',
  },
} as const satisfies OptionRows;
