/**
 * Every method of AMQP 0-9-1 with RabbitMQ's extensions: class id, method id, fields in wire order.
 * Readers and writers are compiled from these rows; nothing else in this room knows a field's
 * order.
 */
import { ProtocolError } from '#kit';
import { readTable, writeTable } from './field-table.ts';
import type { Output } from './output.ts';
import { compileReader, compileWriter, type FieldRows, type FieldValues } from './rows.ts';
import type { WireReader } from './wire-reader.ts';

interface MethodRow {
  readonly classId: number;
  readonly methodId: number;
  readonly fields: FieldRows;
}

function row<const Fields extends FieldRows>(
  classId: number,
  methodId: number,
  fields: Fields,
): { readonly classId: number; readonly methodId: number; readonly fields: Fields } {
  return { classId, methodId, fields };
}

const CONNECTION = 10;
const CHANNEL = 20;
const ACCESS = 30;
const EXCHANGE = 40;
const QUEUE = 50;
export const BASIC = 60;
const CONFIRM = 85;
const TX = 90;

const CLOSE = {
  replyCode: 'short',
  replyText: 'shortstr',
  classId: 'short',
  methodId: 'short',
} as const;

const EXCHANGE_BINDING = {
  ticket: 'short',
  destination: 'shortstr',
  source: 'shortstr',
  routingKey: 'shortstr',
  noWait: 'bit',
  arguments: 'table',
} as const;

export const METHODS = {
  'connection.start': row(CONNECTION, 10, {
    versionMajor: 'octet',
    versionMinor: 'octet',
    serverProperties: 'table',
    mechanisms: 'longstr',
    locales: 'longstr',
  }),
  'connection.start-ok': row(CONNECTION, 11, {
    clientProperties: 'table',
    mechanism: 'shortstr',
    response: 'longstr',
    locale: 'shortstr',
  }),
  'connection.secure': row(CONNECTION, 20, { challenge: 'longstr' }),
  'connection.secure-ok': row(CONNECTION, 21, { response: 'longstr' }),
  'connection.tune': row(CONNECTION, 30, {
    channelMax: 'short',
    frameMax: 'long',
    heartbeat: 'short',
  }),
  'connection.tune-ok': row(CONNECTION, 31, {
    channelMax: 'short',
    frameMax: 'long',
    heartbeat: 'short',
  }),
  'connection.open': row(CONNECTION, 40, {
    virtualHost: 'shortstr',
    capabilities: 'shortstr',
    insist: 'bit',
  }),
  'connection.open-ok': row(CONNECTION, 41, { knownHosts: 'shortstr' }),
  'connection.close': row(CONNECTION, 50, CLOSE),
  'connection.close-ok': row(CONNECTION, 51, {}),
  'connection.blocked': row(CONNECTION, 60, { reason: 'shortstr' }),
  'connection.unblocked': row(CONNECTION, 61, {}),
  'connection.update-secret': row(CONNECTION, 70, { newSecret: 'longstr', reason: 'shortstr' }),
  'connection.update-secret-ok': row(CONNECTION, 71, {}),
  'channel.open': row(CHANNEL, 10, { outOfBand: 'shortstr' }),
  'channel.open-ok': row(CHANNEL, 11, { channelId: 'longstr' }),
  'channel.flow': row(CHANNEL, 20, { active: 'bit' }),
  'channel.flow-ok': row(CHANNEL, 21, { active: 'bit' }),
  'channel.close': row(CHANNEL, 40, CLOSE),
  'channel.close-ok': row(CHANNEL, 41, {}),
  'access.request': row(ACCESS, 10, {
    realm: 'shortstr',
    exclusive: 'bit',
    passive: 'bit',
    active: 'bit',
    write: 'bit',
    read: 'bit',
  }),
  'access.request-ok': row(ACCESS, 11, { ticket: 'short' }),
  'exchange.declare': row(EXCHANGE, 10, {
    ticket: 'short',
    exchange: 'shortstr',
    type: 'shortstr',
    passive: 'bit',
    durable: 'bit',
    autoDelete: 'bit',
    internal: 'bit',
    noWait: 'bit',
    arguments: 'table',
  }),
  'exchange.declare-ok': row(EXCHANGE, 11, {}),
  'exchange.delete': row(EXCHANGE, 20, {
    ticket: 'short',
    exchange: 'shortstr',
    ifUnused: 'bit',
    noWait: 'bit',
  }),
  'exchange.delete-ok': row(EXCHANGE, 21, {}),
  'exchange.bind': row(EXCHANGE, 30, EXCHANGE_BINDING),
  'exchange.bind-ok': row(EXCHANGE, 31, {}),
  'exchange.unbind': row(EXCHANGE, 40, EXCHANGE_BINDING),
  'exchange.unbind-ok': row(EXCHANGE, 51, {}),
  'queue.declare': row(QUEUE, 10, {
    ticket: 'short',
    queue: 'shortstr',
    passive: 'bit',
    durable: 'bit',
    exclusive: 'bit',
    autoDelete: 'bit',
    noWait: 'bit',
    arguments: 'table',
  }),
  'queue.declare-ok': row(QUEUE, 11, {
    queue: 'shortstr',
    messageCount: 'long',
    consumerCount: 'long',
  }),
  'queue.bind': row(QUEUE, 20, {
    ticket: 'short',
    queue: 'shortstr',
    exchange: 'shortstr',
    routingKey: 'shortstr',
    noWait: 'bit',
    arguments: 'table',
  }),
  'queue.bind-ok': row(QUEUE, 21, {}),
  'queue.purge': row(QUEUE, 30, { ticket: 'short', queue: 'shortstr', noWait: 'bit' }),
  'queue.purge-ok': row(QUEUE, 31, { messageCount: 'long' }),
  'queue.delete': row(QUEUE, 40, {
    ticket: 'short',
    queue: 'shortstr',
    ifUnused: 'bit',
    ifEmpty: 'bit',
    noWait: 'bit',
  }),
  'queue.delete-ok': row(QUEUE, 41, { messageCount: 'long' }),
  'queue.unbind': row(QUEUE, 50, {
    ticket: 'short',
    queue: 'shortstr',
    exchange: 'shortstr',
    routingKey: 'shortstr',
    arguments: 'table',
  }),
  'queue.unbind-ok': row(QUEUE, 51, {}),
  'basic.qos': row(BASIC, 10, { prefetchSize: 'long', prefetchCount: 'short', global: 'bit' }),
  'basic.qos-ok': row(BASIC, 11, {}),
  'basic.consume': row(BASIC, 20, {
    ticket: 'short',
    queue: 'shortstr',
    consumerTag: 'shortstr',
    noLocal: 'bit',
    noAck: 'bit',
    exclusive: 'bit',
    noWait: 'bit',
    arguments: 'table',
  }),
  'basic.consume-ok': row(BASIC, 21, { consumerTag: 'shortstr' }),
  'basic.cancel': row(BASIC, 30, { consumerTag: 'shortstr', noWait: 'bit' }),
  'basic.cancel-ok': row(BASIC, 31, { consumerTag: 'shortstr' }),
  'basic.publish': row(BASIC, 40, {
    ticket: 'short',
    exchange: 'shortstr',
    routingKey: 'shortstr',
    mandatory: 'bit',
    immediate: 'bit',
  }),
  'basic.return': row(BASIC, 50, {
    replyCode: 'short',
    replyText: 'shortstr',
    exchange: 'shortstr',
    routingKey: 'shortstr',
  }),
  'basic.deliver': row(BASIC, 60, {
    consumerTag: 'shortstr',
    deliveryTag: 'longlong',
    redelivered: 'bit',
    exchange: 'shortstr',
    routingKey: 'shortstr',
  }),
  'basic.get': row(BASIC, 70, { ticket: 'short', queue: 'shortstr', noAck: 'bit' }),
  'basic.get-ok': row(BASIC, 71, {
    deliveryTag: 'longlong',
    redelivered: 'bit',
    exchange: 'shortstr',
    routingKey: 'shortstr',
    messageCount: 'long',
  }),
  'basic.get-empty': row(BASIC, 72, { clusterId: 'shortstr' }),
  'basic.ack': row(BASIC, 80, { deliveryTag: 'longlong', multiple: 'bit' }),
  'basic.reject': row(BASIC, 90, { deliveryTag: 'longlong', requeue: 'bit' }),
  'basic.recover-async': row(BASIC, 100, { requeue: 'bit' }),
  'basic.recover': row(BASIC, 110, { requeue: 'bit' }),
  'basic.recover-ok': row(BASIC, 111, {}),
  'basic.nack': row(BASIC, 120, { deliveryTag: 'longlong', multiple: 'bit', requeue: 'bit' }),
  'confirm.select': row(CONFIRM, 10, { noWait: 'bit' }),
  'confirm.select-ok': row(CONFIRM, 11, {}),
  'tx.select': row(TX, 10, {}),
  'tx.select-ok': row(TX, 11, {}),
  'tx.commit': row(TX, 20, {}),
  'tx.commit-ok': row(TX, 21, {}),
  'tx.rollback': row(TX, 30, {}),
  'tx.rollback-ok': row(TX, 31, {}),
} as const satisfies Record<string, MethodRow>;

export type MethodName = keyof typeof METHODS;
export type Fields<Name extends MethodName> = FieldValues<(typeof METHODS)[Name]['fields']>;

/** Both ids of a method in one number, as they stand on the wire. */
export type MethodId = number;

/** Class and method id apart, as a close names them. */
export function idsOf(id: MethodId): { readonly classId: number; readonly methodId: number } {
  return { classId: id >>> 16, methodId: id & 0xffff };
}

export interface Codec<Name extends MethodName = MethodName> {
  readonly name: Name;
  readonly id: MethodId;
  readonly classId: number;
  readonly methodId: number;
  read(reader: WireReader): Fields<Name>;
  write(output: Output, fields: Fields<Name>): void;
}

function codec(name: MethodName): Codec {
  const { classId, methodId, fields } = METHODS[name];
  const read = compileReader(fields);
  const write = compileWriter(fields);
  return {
    name,
    id: classId * 0x10000 + methodId,
    classId,
    methodId,
    read: (reader) => read(reader, readTable) as Fields<MethodName>,
    write: (output, values) => write(output, values, writeTable),
  };
}

const byName = new Map<MethodName, Codec>();
const byId = new Map<MethodId, Codec>();
for (const name of Object.keys(METHODS) as MethodName[]) {
  const compiled = codec(name);
  byName.set(name, compiled);
  byId.set(compiled.id, compiled);
}

export function methodNamed<Name extends MethodName>(name: Name): Codec<Name> {
  return byName.get(name)! as unknown as Codec<Name>;
}

export interface Method<Name extends MethodName = MethodName> {
  readonly name: Name;
  readonly fields: Fields<Name>;
}

const SYNTAX_ERROR = 502;
const COMMAND_INVALID = 503;

/** Class and method id of a method frame's payload; the reader stands after them. */
export function readMethodId(reader: WireReader): MethodId {
  return reader.long('method id');
}

/** Reads the arguments that follow the ids. */
export function readMethod(reader: WireReader, id: MethodId): Method {
  const found = byId.get(id);
  if (found === undefined) {
    throw new ProtocolError(
      'method id',
      reader.at,
      `unknown method ${Math.floor(id / 0x10000)}.${id % 0x10000}`,
      COMMAND_INVALID,
    );
  }
  const fields = found.read(reader);
  if (reader.at !== reader.end) {
    throw new ProtocolError(found.name, reader.at, 'bytes after the last field', SYNTAX_ERROR);
  }
  return { name: found.name, fields };
}

const METHOD_FRAME = 1;

/** Appends a method frame. */
export function writeMethod<Name extends MethodName>(
  output: Output,
  channel: number,
  name: Name,
  fields: Fields<Name>,
): void {
  const compiled = methodNamed(name);
  output.beginFrame(METHOD_FRAME, channel);
  output.long(compiled.id);
  compiled.write(output, fields);
  output.endFrame();
}
