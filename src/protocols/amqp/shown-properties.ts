/**
 * What an AMQP reader is shown of a message: its own bytes when it came in through AMQP, otherwise
 * properties built from the message's fields as docs/mapping.md says.
 */
import { isUtf8 } from 'node:buffer';
import { addressOfText, type Header, type Message, plainDotSpelling } from '#broker';
import { CORRELATION_HEADER, KEY_HEADER, TIME_HEADER, TYPE_HINT } from './content.ts';
import { type FieldLetter, type TableEntry, type TypedValue, textEntry } from './field-table.ts';
import { utf8Bytes } from './output.ts';
import { type Properties, propertyBytes } from './properties.ts';

const SHORTSTR_BYTES_MAX = 255;

/** The part of an AMQP message that only AMQP readers see: where it went, and its properties. */
export interface NativePart {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: Buffer;
}

/** Exchange, routing key (both as short strings) and property bytes in one run. */
export function packNative(names: Buffer, properties: Buffer): Buffer {
  const packed = Buffer.allocUnsafe(names.length + properties.length);
  packed.set(names, 0);
  packed.set(properties, names.length);
  return packed;
}

/** Position of the properties in packed bytes: after the two short strings. */
export function propertiesAt(native: Buffer): number {
  const exchangeEnd = 1 + (native[0] ?? 0);
  return exchangeEnd + 1 + (native[exchangeEnd] ?? 0);
}

export function unpackNative(native: Buffer): NativePart {
  const exchangeEnd = 1 + native[0]!;
  const keyAt = exchangeEnd + 1;
  const at = propertiesAt(native);
  return {
    exchange: native.toString('utf8', 1, exchangeEnd),
    routingKey: native.toString('utf8', keyAt, at),
    properties: native.subarray(at),
  };
}

export function nativeProperties(native: Buffer): Buffer {
  return native.subarray(propertiesAt(native));
}

/** True when the packed bytes say that the message was published to this exchange. */
export function publishedTo(native: Buffer, exchange: string): boolean {
  return native[0] === exchange.length && native.toString('latin1', 1, 1 + native[0]) === exchange;
}

/** Names and properties, packed, for a message of another protocol. */
export function shownNative(message: Message, queueName: string, nowMs: number): Buffer {
  return packNative(shownNames(message, queueName), shownProperties(message, nowMs));
}

/** Property bytes for a message of another protocol. */
export function shownProperties(message: Message, nowMs: number): Buffer {
  const properties: Properties = { deliveryMode: message.qos === 0 ? 1 : 2 };
  const headers = shownHeaders(message);
  if (message.contentType !== '') properties.contentType = message.contentType;
  if (message.contentEncoding !== '') properties.contentEncoding = message.contentEncoding;
  if (message.priority >= 0) properties.priority = Math.min(message.priority, 255);
  if (message.replyTo !== '') {
    properties.replyTo = plainDotSpelling.show(addressOfText(message.replyTo));
  }
  if (message.messageId !== '') properties.messageId = message.messageId;
  if (message.expiresAtMs !== 0) {
    properties.expiration = String(Math.max(1, message.expiresAtMs - nowMs));
  }
  if (message.timestampMs >= 0) {
    properties.timestamp = Math.floor(message.timestampMs / 1000);
    headers.push({ name: TIME_HEADER, type: 'l', value: BigInt(message.timestampMs) });
  }
  const { correlation } = message;
  if (correlation !== null) {
    if (correlation.length <= SHORTSTR_BYTES_MAX && isUtf8(correlation)) {
      properties.correlationId = correlation;
    } else headers.push(bytesEntry(CORRELATION_HEADER, correlation));
  }
  if (headers.length > 0) properties.headers = headers;
  return propertyBytes(properties);
}

function bytesEntry(name: string, value: Buffer): TableEntry {
  return { name, type: isUtf8(value) ? 'S' : 'x', value };
}

function shownHeaders(message: Message): TableEntry[] {
  const entries: TableEntry[] = [];
  if (message.key !== null) entries.push(bytesEntry(KEY_HEADER, message.key));
  // A record without value is not the same as an empty one, and a body cannot tell them apart.
  if (message.value === null) entries.push(textEntry('_b.null', '1'));
  const byName = new Map<string, TypedValue[]>();
  for (const header of message.headers) {
    const known = byName.get(header.name);
    if (known === undefined) byName.set(header.name, [shownValue(header)]);
    else known.push(shownValue(header));
  }
  for (const [name, values] of byName) {
    entries.push(
      values.length === 1 ? { name, ...values[0]! } : { name, type: 'A', value: values },
    );
  }
  return entries;
}

function shownValue({ value, type }: Header): TypedValue {
  if (value === null) return { type: 'V', value: null };
  if (type?.startsWith(TYPE_HINT)) {
    const typed = typedValue(type.slice(TYPE_HINT.length) as FieldLetter, value);
    if (typed !== null) return typed;
  }
  return isUtf8(value) ? { type: 'S', value } : { type: 'x', value };
}

const INTEGER_LETTERS: Readonly<Record<string, readonly [min: number, max: number]>> = {
  b: [-128, 127],
  B: [0, 255],
  s: [-32768, 32767],
  u: [0, 65535],
  I: [-2147483648, 2147483647],
  i: [0, 4294967295],
};

/** A value whose type hint is one of ours; null when its text does not fit the type. */
function typedValue(type: FieldLetter, bytes: Buffer): TypedValue | null {
  if (type === 'x') return { type, value: bytes };
  const text = bytes.toString('latin1');
  const range = INTEGER_LETTERS[type];
  if (range !== undefined) {
    const value = Number(text);
    return /^-?\d+$/.test(text) && value >= range[0] && value <= range[1] ? { type, value } : null;
  }
  if (type === 't')
    return text === 'true' || text === 'false' ? { type, value: text === 'true' } : null;
  if ((type === 'l' || type === 'T') && /^-?\d{1,20}$/.test(text)) {
    const value = BigInt(text);
    const fits = type === 'l' ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
    return fits === value ? { type, value } : null;
  }
  if (type === 'f' || type === 'd') {
    const value = Number(text);
    return text !== '' && !Number.isNaN(value) ? { type, value } : null;
  }
  return null;
}

/** Exchange and routing key, as short strings, of a message that came by another protocol. */
export function shownNames(message: Message, queueName: string): Buffer {
  const own = message.address.flatName === queueName;
  const exchange = own ? '' : 'amq.topic';
  const key = utf8Bytes(own ? queueName : plainDotSpelling.show(message.address)).subarray(0, 255);
  return Buffer.concat([
    Buffer.of(exchange.length),
    Buffer.from(exchange),
    Buffer.of(key.length),
    key,
  ]);
}
