/** The start of a connection: protocol header, what the server says of itself, log-in, tuning. */
import { AmqpError } from './errors.ts';
import { flagEntry, readTable, type Table, textEntry, textOf } from './field-table.ts';
import type { Fields } from './methods.ts';
import { FRAME_BYTES_MIN } from './options.ts';
import { WireReader } from './wire-reader.ts';

/** [A1] What a client sends first, and what it is answered when it wants anything else. */
export const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');
/** 0-9 as its first clients wrote it; RabbitMQ takes it for 0-9-1. */
const OLD_HEADER = Buffer.from('AMQP\x01\x01\x00\x09', 'latin1');

export function isProtocolHeader(bytes: Buffer): boolean {
  return bytes.equals(PROTOCOL_HEADER) || bytes.equals(OLD_HEADER);
}

/** True while these bytes may still become a header that is accepted. */
export function mayBecomeHeader(bytes: Buffer): boolean {
  const { length } = bytes;
  return (
    bytes.equals(PROTOCOL_HEADER.subarray(0, length)) ||
    bytes.equals(OLD_HEADER.subarray(0, length))
  );
}

/** What a foreign greeting looks like, in words for the log. */
export function foreignGreeting(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  if (
    /^(GET|POST|PUT|HEAD|OPTIONS|DELETE) /.test(`${text} `.slice(0, 8)) ||
    text.startsWith('GET')
  ) {
    return 'an HTTP request';
  }
  if (bytes[0] === 0x16 && bytes[1] === 0x03) return 'a TLS handshake on a port without TLS';
  if (text.startsWith('AMQP')) {
    return `AMQP version ${[...bytes.subarray(4, 8)].join('.')}, and only 0-9-1 is spoken here`;
  }
  return 'bytes of another protocol';
}

export const MECHANISMS = ['PLAIN', 'AMQPLAIN'] as const;

/** [A4] */
export function serverProperties(product: string, version: string, clusterName: string): Table {
  const capabilities = [
    'publisher_confirms',
    'exchange_exchange_bindings',
    'basic.nack',
    'consumer_cancel_notify',
    'connection.blocked',
    'consumer_priorities',
    'authentication_failure_close',
    'per_consumer_qos',
    'direct_reply_to',
  ].map((name) => flagEntry(name, true));
  return [
    { name: 'capabilities', type: 'F', value: capabilities },
    textEntry('cluster_name', clusterName),
    textEntry('copyright', 'Licensed under the Apache License 2.0'),
    textEntry('information', 'One log, many protocols'),
    textEntry('platform', `Node.js ${process.versions.node}`),
    textEntry('product', product),
    textEntry('version', version),
  ];
}

export interface Login {
  readonly user: string;
  readonly password: string;
}

/** @throws AmqpError 403 as for a wrong password when the response cannot be read. */
export function readLogin(mechanism: string, response: Buffer): Login {
  const login =
    mechanism === 'PLAIN'
      ? readPlain(response)
      : mechanism === 'AMQPLAIN'
        ? readAmqPlain(response)
        : undefined;
  if (login === undefined) throw loginRefused(mechanism);
  return login;
}

export function loginRefused(mechanism: string): AmqpError {
  return new AmqpError(
    403,
    `Login was refused using authentication mechanism ${mechanism}. ` +
      'For details see the broker logfile.',
    true,
  );
}

/** Authorization id, user and password between zero octets (RFC 4616); the first is not used. */
function readPlain(response: Buffer): Login | undefined {
  const parts = response.toString('utf8').split('\0');
  if (parts.length !== 3) return undefined;
  return { user: parts[1]!, password: parts[2]! };
}

/** The entries of a field table, without its length. */
function readAmqPlain(response: Buffer): Login | undefined {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(response.length);
  const bytes = Buffer.concat([size, response]);
  const table = readTable(new WireReader().over(bytes, 0, bytes.length), 'response');
  const user = textOf(table, 'LOGIN');
  const password = textOf(table, 'PASSWORD');
  return user === undefined || password === undefined ? undefined : { user, password };
}

/** What the client says it can do, from its start-ok. */
export interface ClientFacts {
  readonly name: string;
  readonly product: string;
  readonly blockedNotice: boolean;
  readonly cancelNotice: boolean;
  readonly failureClose: boolean;
}

export function clientFacts(properties: Table): ClientFacts {
  const entry = properties.find(({ name }) => name === 'capabilities');
  const capabilities = entry?.type === 'F' ? (entry.value as Table) : [];
  const can = (name: string): boolean =>
    capabilities.some((capability) => capability.name === name && capability.value === true);
  return {
    name: textOf(properties, 'connection_name') ?? '',
    product: textOf(properties, 'product') ?? '',
    blockedNotice: can('connection.blocked'),
    cancelNotice: can('consumer_cancel_notify'),
    failureClose: can('authentication_failure_close'),
  };
}

export interface Tuning {
  readonly channelMax: number;
  readonly frameMax: number;
  readonly heartbeatMs: number;
}

/**
 * [A7] The lower value wins, zero means no wish; a heartbeat is the client's, zero switches it off.
 */
export function tuned(ours: Tuning, client: Fields<'connection.tune-ok'>): Tuning {
  const frameMax = lower(client.frameMax, ours.frameMax);
  // [A8] 4096 is fine, whatever newer servers ask for.
  if (frameMax < FRAME_BYTES_MIN) {
    throw new AmqpError(
      530,
      `negotiated frame_max = ${client.frameMax} is lower than the minimum allowed value ` +
        `(${FRAME_BYTES_MIN})`,
    );
  }
  return {
    channelMax: lower(client.channelMax, ours.channelMax),
    frameMax,
    heartbeatMs: client.heartbeat * 1000,
  };
}

function lower(client: number, ours: number): number {
  return client === 0 ? ours : Math.min(client, ours);
}
