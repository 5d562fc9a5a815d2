/**
 * What the operator may set about listeners and connections. `NET_OPTIONS` holds for the server,
 * `SHARED_OPTIONS` is its part that every listener may have values of its own for, and
 * `LISTENER_OPTIONS` is what may stand in the table of one listener.
 */
import type { OptionRows, Values } from '#kit';
import { TLS_OPTIONS } from './tls-options.ts';

const SHARED_OPTIONS = {
  'listener-connections-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Connections that may be open at the same time on one listener.',
  },
  'address-connections-max': {
    type: 'integer',
    default: 0,
    min: 0,
    help: 'Connections that one address may have open on a listener; 0 = no limit.',
  },
  'connect-rate': {
    type: 'integer',
    default: 0,
    min: 0,
    help: 'Connections a second that a listener lets in; more wait, oldest first. 0 = no limit.',
  },
  'connect-rate-action': {
    type: 'text',
    default: 'wait',
    choices: ['wait', 'refuse'],
    help: 'What becomes of connections beyond connect-rate: they wait, or are told no and closed.',
  },
  'client-message-rate': {
    type: 'integer',
    default: 0,
    min: 0,
    help: 'Messages a second that one connection may send; 0 = no limit.',
  },
  'client-byte-rate': {
    type: 'bytes',
    default: 0,
    min: 0,
    help: 'Bytes a second that one connection may send; 0 = no limit.',
  },
  'message-rate': {
    type: 'integer',
    default: 0,
    min: 0,
    help: 'Messages a second that all connections of a listener may send; 0 = no limit.',
  },
  'byte-rate': {
    type: 'bytes',
    default: 0,
    min: 0,
    help: 'Bytes a second that all connections of a listener may send; 0 = no limit.',
  },
  'rate-action': {
    type: 'text',
    default: 'slow',
    choices: ['slow', 'disconnect'],
    help:
      'What becomes of a client over its own rate: it is read more slowly, or told and closed. ' +
      'Over the rate of a listener clients are always slowed.',
  },
  'websocket-message-max': {
    type: 'bytes',
    default: 16 * 1024 * 1024,
    min: 1024,
    help: 'Largest WebSocket message that is accepted, uncompressed.',
  },
  'websocket-compression': {
    type: 'boolean',
    default: false,
    help:
      'Accept permessage-deflate. It costs memory per connection and time per message; worth it ' +
      'for text over slow lines.',
  },
  'quic-idle-timeout': {
    type: 'duration',
    default: 300_000,
    min: 1_000,
    help: 'A QUIC connection on which nothing comes for this long is closed.',
  },
  'quic-streams-max': {
    type: 'integer',
    default: 64,
    min: 0,
    max: 10_000,
    help: 'Streams that a QUIC client may have open beside its first one.',
  },
  'forwarded-trust': {
    type: 'list',
    default: [],
    help:
      'Addresses and ranges (10.0.0.0/8) of HTTP proxies whose X-Forwarded-For header is believed ' +
      'on WebSocket listeners.',
  },
  'allowed-hosts': {
    type: 'list',
    default: [],
    help:
      'Names that WebSocket and admin requests may carry in Host and Origin, beside loopback names ' +
      'and addresses. `*` accepts every name.',
  },
  'proxy-trust': {
    type: 'list',
    default: [],
    help:
      'Addresses and ranges of the load balancers whose PROXY headers are believed; connections ' +
      'from elsewhere to such a listener are closed. Empty: every address.',
  },
} as const satisfies OptionRows;

/** Rows that only the table of a listener has. */
const OWN_OPTIONS = {
  protocol: {
    type: 'text',
    default: '',
    help: 'Protocol of a new listener. Not for the listeners that there are anyway.',
  },
  transport: {
    type: 'text',
    default: 'tcp',
    choices: ['tcp', 'tls', 'ws', 'wss', 'quic'],
    help: 'What carries the protocol.',
  },
  listen: { type: 'list', default: [], help: 'Addresses, such as 0.0.0.0:1884.' },
  path: { type: 'text', default: '', help: 'Path of a WebSocket listener; `*` is any.' },
  subprotocols: {
    type: 'list',
    default: [],
    help: 'WebSocket subprotocols that are accepted. Empty: those of the protocol.',
  },
  'subprotocol-optional': {
    type: 'boolean',
    default: false,
    help: 'Accept WebSocket clients that ask for no subprotocol.',
  },
  authentication: {
    type: 'text',
    default: 'remote',
    choices: ['remote', 'required', 'off'],
    help:
      'Who must log in: who comes from another machine, everybody, or nobody (such a listener is ' +
      'open to whoever reaches it, as the user `anonymous`).',
  },
  proxy: {
    type: 'boolean',
    default: false,
    help: 'A load balancer puts a PROXY protocol header (version 1 or 2) before each connection.',
  },
} as const satisfies OptionRows;

export const LISTENER_OPTIONS = {
  ...OWN_OPTIONS,
  ...SHARED_OPTIONS,
  ...TLS_OPTIONS,
} as const satisfies OptionRows;

export type ListenerSettings = Values<typeof LISTENER_OPTIONS>;

export const NET_OPTIONS = {
  'connections-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'Connections that may be open at the same time, over all listeners.',
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
  'flapping-count': {
    type: 'integer',
    default: 0,
    min: 0,
    help: 'Disconnects of one client identifier within the window that lead to a ban; 0 = never.',
  },
  'flapping-window': {
    type: 'duration',
    default: 60_000,
    min: 1000,
    help: 'Time in which the disconnects of a client are counted.',
  },
  'flapping-ban': {
    type: 'duration',
    default: 300_000,
    min: 1000,
    help: 'How long a client that came and went too often is banned.',
  },
  'drain-rate': {
    type: 'integer',
    default: 0,
    min: 0,
    help: 'Clients a second that are asked to leave when the server stops; 0 = all at once.',
  },
  'drain-reference': {
    type: 'text',
    default: '',
    help:
      'Other servers, as host:port separated by spaces, that clients are told of when they are ' +
      'asked to leave, where the protocol has a way to say it (MQTT 5).',
  },
  'proxy-listeners': {
    type: 'list',
    default: [],
    help:
      'Listeners (such as mqtt or amqp-tls) where a load balancer puts a PROXY protocol header ' +
      '(version 1 or 2) in front of each connection. Connections without one are closed.',
  },
  ...SHARED_OPTIONS,
} as const satisfies OptionRows;
