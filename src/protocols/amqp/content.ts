/**
 * A content header as it is published: its properties taken apart once into what the shared message
 * wants. Equal header bytes give the same object, so a publisher that repeats its properties is
 * parsed once. The reverse direction is in `shown-properties.ts`.
 */
import { isUtf8 } from 'node:buffer';
import { type Header, plainDotSpelling } from '#broker';
import { AmqpError } from './errors.ts';
import {
  type Decimal,
  EMPTY_TABLE,
  type FieldData,
  findEntry,
  integerOf,
  type Table,
  type TableEntry,
  type TypedValue,
} from './field-table.ts';
import { type Properties, parseProperties, propertyBytes } from './properties.ts';

/** What the headers table may say beside user data; these become fields of the message. */
export const KEY_HEADER = 'x-key';
export const TIME_HEADER = 'timestamp_in_ms';
export const CORRELATION_HEADER = 'x-correlation-id';
const TAKEN_HEADERS: ReadonlySet<string> = new Set([KEY_HEADER, TIME_HEADER, 'CC', 'BCC']);

/** Hint of a header whose value is this text but had an AMQP type. */
export const TYPE_HINT = 'amqp:';

export const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';
const EXPIRATION_MS_MAX = 0xffffffff;

export interface Content {
  /** Flags and list as they are stored and given back; without BCC. */
  readonly bytes: Buffer;
  readonly properties: Properties;
  readonly table: Table;
  readonly headers: readonly Header[];
  readonly key: Buffer | null;
  readonly correlation: Buffer | null;
  /** Canonical text of an address; '' = none. */
  readonly replyTo: string;
  /** -1 = none. */
  readonly expirationMs: number;
  readonly timestampMs: number;
  readonly persistent: boolean;
  /** More routing keys, of the headers CC and BCC. */
  readonly moreKeys: readonly string[];
  /** Reply-to is the pseudo queue: a name of the channel's own must take its place. */
  readonly directReply: boolean;
}

/**
 * @throws ProtocolError for malformed bytes, AmqpError for values that RabbitMQ refuses as well.
 */
export function readContent(bytes: Buffer): Content {
  const properties = parseProperties(bytes);
  const table = properties.headers ?? EMPTY_TABLE;
  const replyTo = properties.replyTo ?? '';
  const correlation = properties.correlationId ?? bytesOf(table, CORRELATION_HEADER);
  const taken = properties.correlationId === undefined && correlation !== null;
  return {
    bytes: findEntry(table, 'BCC') === undefined ? bytes : withoutBcc(properties),
    properties,
    table,
    headers: messageHeaders(table, taken),
    key: bytesOf(table, KEY_HEADER),
    correlation,
    replyTo: replyTo === '' ? '' : plainDotSpelling.parse(replyTo).text,
    expirationMs: expirationOf(properties.expiration),
    timestampMs: timestampOf(properties),
    persistent: properties.deliveryMode === 2,
    moreKeys: [...keysOf(table, 'CC'), ...keysOf(table, 'BCC')],
    directReply: replyTo === DIRECT_REPLY_TO,
  };
}

function bytesOf(table: Table, name: string): Buffer | null {
  const entry = findEntry(table, name);
  return entry?.type === 'S' || entry?.type === 'x' ? (entry.value as Buffer) : null;
}

function withoutBcc(properties: Properties): Buffer {
  const headers = properties.headers!.filter(({ name }) => name !== 'BCC');
  return propertyBytes({ ...properties, headers });
}

/** CC and BCC are arrays of long strings; anything else is refused as RabbitMQ does. */
function keysOf(table: Table, name: string): string[] {
  const entry = findEntry(table, name);
  if (entry === undefined) return [];
  if (entry.type !== 'A') {
    throw new AmqpError(406, `invalid field in header '${name}': ${entry.type} is not an array`);
  }
  return (entry.value as readonly TypedValue[])
    .filter(({ type }) => type === 'S')
    .map(({ value }) => (value as Buffer).toString());
}

/** [A40] A whole number of ms as text; anything else is refused. */
function expirationOf(expiration: string | undefined): number {
  if (expiration === undefined) return -1;
  const ms = /^\d{1,10}$/.test(expiration) ? Number(expiration) : Number.NaN;
  if (!(ms <= EXPIRATION_MS_MAX)) {
    throw new AmqpError(406, `invalid expiration '${expiration}': no_integer`);
  }
  return ms;
}

function timestampOf({ timestamp, headers }: Properties): number {
  const entry = headers === undefined ? undefined : findEntry(headers, TIME_HEADER);
  const ms = entry === undefined ? undefined : integerOf(entry);
  if (ms !== undefined && ms >= 0) return ms;
  if (timestamp === undefined) return -1;
  const asMs = timestamp * 1000;
  return Number.isSafeInteger(asMs) ? asMs : -1;
}

function messageHeaders(table: Table, correlationTaken: boolean): Header[] {
  const headers: Header[] = [];
  for (const entry of table) {
    if (TAKEN_HEADERS.has(entry.name)) continue;
    if (correlationTaken && entry.name === CORRELATION_HEADER) continue;
    addHeaders(headers, entry);
  }
  return headers;
}

function addHeaders(headers: Header[], { name, type, value }: TableEntry): void {
  if (type === 'S') headers.push({ name, value: value as Buffer });
  else if (type === 'x') headers.push({ name, value: value as Buffer, type: `${TYPE_HINT}x` });
  else if (type === 'V') headers.push({ name, value: null });
  else if (isTextList(type, value)) {
    for (const item of value) headers.push({ name, value: item.value as Buffer });
  } else {
    headers.push({ name, value: Buffer.from(textForm(type, value)), type: TYPE_HINT + type });
  }
}

/** An array of texts is the same header several times. */
function isTextList(type: string, value: FieldData): value is readonly TypedValue[] {
  return type === 'A' && Array.isArray(value) && value.length > 1 && value.every(isLongString);
}

function isLongString({ type }: TypedValue): boolean {
  return type === 'S';
}

function textForm(type: string, value: FieldData): string {
  if (type === 'A' || type === 'F') return JSON.stringify(jsonForm(value));
  if (type === 'D') return decimalText(value as Decimal);
  return String(value);
}

function decimalText({ scale, digits }: Decimal): string {
  if (scale === 0) return String(digits);
  const text = String(Math.abs(digits)).padStart(scale + 1, '0');
  return `${digits < 0 ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

type JsonForm = string | number | boolean | null | JsonForm[] | { [name: string]: JsonForm };

/** Tables and arrays as JSON for readers of other protocols; bytes that are no text as base64. */
function jsonForm(value: FieldData): JsonForm {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (Buffer.isBuffer(value)) return value.toString(isUtf8(value) ? 'utf8' : 'base64');
  if (!Array.isArray(value)) return decimalText(value as Decimal);
  const items = value as readonly (TypedValue & { readonly name?: string })[];
  if (items.length === 0 || items[0]!.name === undefined) {
    return items.map((item) => jsonForm(item.value));
  }
  // A null prototype, so that a header named `__proto__` is data like any other.
  const object = Object.create(null) as { [name: string]: JsonForm };
  for (const item of items) object[item.name!] = jsonForm(item.value);
  return object;
}

/** The same content with another reply-to, for direct replies. */
export function withReplyTo(content: Content, replyTo: string): Content {
  const properties = { ...parseProperties(content.bytes), replyTo };
  return {
    ...content,
    properties,
    bytes: propertyBytes(properties),
    replyTo: plainDotSpelling.parse(replyTo).text,
    directReply: false,
  };
}

export const DELAY_HEADER = 'x-delay';
/** As the plugin for RabbitMQ: about 49 days. */
const DELAY_MS_MAX = 0xffffffff;

/** [A64] What the message asks an exchange for that lets messages wait; 0 = nothing. */
export function delayOf(content: Content): number {
  const entry = findEntry(content.table, DELAY_HEADER);
  const delayMs = entry === undefined ? undefined : integerOf(entry);
  return delayMs === undefined ? 0 : Math.max(0, Math.min(delayMs, DELAY_MS_MAX));
}
