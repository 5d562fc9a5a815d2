/**
 * The envelope: what a record carries beside key, value and headers, as record headers in front of
 * the user's (docs/mapping.md, "The record"). The first, `_b.e`, is binary and fixed; a mask in it
 * says which named ones follow, in this order. Honoured only in batches that the server packed: in a
 * producer's own batch a header `_b.…` is plain data.
 *
 * `_b.e`: version 1 | origin | flags | named-header mask (2) | principal id (4).
 * Readers that know only records still see content type, correlation and the like under their names.
 */
import { Address, addressOfText } from './address.ts';
import { ENVELOPE_PREFIX, type Header, type Message, NO_HEADERS, TYPE_PREFIX } from './message.ts';

export const ENVELOPE_NAME = '_b.e';
const ENVELOPE_BYTES = 9;
const VERSION = 1;
/** User headers whose names would look like ours are stored behind this. */
const ESCAPED_PREFIX = '_b.u.';

const FLAG_QOS = 0x03;
const FLAG_RETAIN = 0x04;
const FLAG_TEXT = 0x08;
const FLAG_PRODUCER_TIME = 0x10;
const FLAG_DOTTED = 0x20;
/** The key came from the route, not from the publisher. */
const FLAG_ROUTE_KEY = 0x40;

interface Named {
  readonly name: string;
  readonly get: (message: Message) => Buffer | string | null;
  readonly set: (message: Message, value: Buffer) => void;
}

/** One row per named header; the row's index is its bit in the mask. Append only. */
const NAMED: readonly Named[] = [
  {
    name: 'content-type',
    get: (m) => m.contentType || null,
    set: (m, value) => {
      m.contentType = value.toString();
    },
  },
  {
    name: 'content-encoding',
    get: (m) => m.contentEncoding || null,
    set: (m, value) => {
      m.contentEncoding = value.toString();
    },
  },
  {
    name: 'reply-topic',
    get: (m) => m.replyTo || null,
    set: (m, value) => {
      m.replyTo = value.toString();
    },
  },
  {
    name: 'correlation-id',
    get: (m) => m.correlation,
    set: (m, value) => {
      m.correlation = value;
    },
  },
  {
    name: 'message-id',
    get: (m) => m.messageId || null,
    set: (m, value) => {
      m.messageId = value.toString();
    },
  },
  {
    name: 'expires-at',
    get: (m) => (m.expiresAtMs === 0 ? null : String(m.expiresAtMs)),
    set: (m, value) => {
      m.expiresAtMs = decimal(value) ?? 0;
    },
  },
  {
    name: 'priority',
    get: (m) => (m.priority < 0 ? null : String(m.priority)),
    set: (m, value) => {
      m.priority = decimal(value) ?? -1;
    },
  },
  {
    name: '_b.address',
    get: (m) => m.address.text,
    set: (m, value) => {
      m.address = addressOfText(value.toString());
    },
  },
  {
    name: '_b.producer',
    get: (m) => m.producer || null,
    set: (m, value) => {
      m.producer = value.toString();
    },
  },
  {
    name: '_b.n',
    get: (m) => m.native,
    set: (m, value) => {
      m.native = value;
    },
  },
];

/** The names that a producer's own headers may use for the same fields (Kafka column of the table). */
const PLAIN_NAMED = new Map(
  NAMED.filter((row) => !row.name.startsWith(ENVELOPE_PREFIX)).map((row) => [row.name, row]),
);

function decimal(value: Buffer): number | null {
  const text = value.toString('latin1');
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** A record's headers as they are stored: names and values, ready to be measured and written. */
export interface StoredHeaders {
  readonly names: string[];
  readonly values: (Buffer | string | null)[];
}

/**
 * The headers to store for a message, envelope first.
 * @param homeText canonical address that needs no header, since the stream's name tells it
 * @param routeKey the record's key is the route's
 */
export function storedHeaders(
  message: Message,
  homeText: string,
  routeKey: boolean,
): StoredHeaders {
  const head = Buffer.allocUnsafe(ENVELOPE_BYTES);
  const names: string[] = [ENVELOPE_NAME];
  const values: (Buffer | string | null)[] = [head];
  let mask = 0;
  for (let bit = 0; bit < NAMED.length; bit++) {
    const row = NAMED[bit]!;
    const value = row.get(message);
    if (value === null || (bit === ADDRESS_BIT && value === homeText)) continue;
    mask |= 1 << bit;
    names.push(row.name);
    values.push(value);
  }
  head[0] = VERSION;
  head[1] = message.origin;
  head[2] =
    message.qos |
    (message.retain ? FLAG_RETAIN : 0) |
    (message.text ? FLAG_TEXT : 0) |
    (message.timestampMs >= 0 ? FLAG_PRODUCER_TIME : 0) |
    (message.address.dotted ? FLAG_DOTTED : 0) |
    (routeKey ? FLAG_ROUTE_KEY : 0);
  head.writeUInt16BE(mask, 3);
  head.writeUInt32BE(message.principal.id, 5);
  for (const header of message.headers) {
    const { name } = header;
    names.push(name.startsWith(ENVELOPE_PREFIX) ? ESCAPED_PREFIX + name : name);
    values.push(header.value);
    if (header.type === undefined) continue;
    names.push(TYPE_PREFIX + name);
    values.push(header.type);
  }
  return { names, values };
}

const ADDRESS_BIT = NAMED.findIndex((row) => row.name === '_b.address');

/**
 * Fills a message from the headers of a record in a batch that the server packed.
 * @returns the principal's id, or -1 when there is no envelope (then nothing was changed).
 */
export function readEnvelope(message: Message, headers: readonly Header[]): number {
  const head = headers[0];
  if (head?.name !== ENVELOPE_NAME || head.value === null || head.value.length < ENVELOPE_BYTES) {
    return -1;
  }
  const flags = head.value[2]!;
  message.origin = head.value[1]!;
  message.qos = Math.min(flags & FLAG_QOS, 2) as 0 | 1 | 2;
  message.retain = (flags & FLAG_RETAIN) !== 0;
  message.text = (flags & FLAG_TEXT) !== 0;
  if ((flags & FLAG_PRODUCER_TIME) === 0) message.timestampMs = -1;
  if ((flags & FLAG_ROUTE_KEY) !== 0) message.key = null;
  const mask = head.value.readUInt16BE(3);
  let next = 1;
  for (let bit = 0; bit < NAMED.length; bit++) {
    if ((mask & (1 << bit)) === 0) continue;
    const value = headers[next++]?.value;
    if (value) NAMED[bit]!.set(message, value);
  }
  if ((flags & FLAG_DOTTED) !== 0) message.address = new Address(message.address.text, true);
  message.headers = headers.length > next ? userHeaders(headers, next) : NO_HEADERS;
  return head.value.readUInt32BE(5);
}

function userHeaders(stored: readonly Header[], from: number): Header[] {
  const headers: Header[] = [];
  for (let index = from; index < stored.length; index++) {
    const { name, value } = stored[index]!;
    const hint = stored[index + 1];
    if (name.startsWith(ESCAPED_PREFIX)) {
      headers.push({ name: name.slice(ESCAPED_PREFIX.length), value });
    } else if (hint !== undefined && hint.value !== null && hint.name === TYPE_PREFIX + name) {
      headers.push({ name, value, type: hint.value.toString() });
      index++;
    } else headers.push({ name, value });
  }
  return headers;
}

/** Fills a message from a producer's own headers: the well-known names become fields. */
export function readPlainHeaders(message: Message, headers: readonly Header[]): void {
  if (headers.length === 0) return;
  const rest: Header[] = [];
  let used = 0;
  for (const header of headers) {
    const row = PLAIN_NAMED.get(header.name);
    // The first of a repeated name is the field, the others stay headers.
    const bit = row === undefined ? 0 : 1 << NAMED.indexOf(row);
    if (row === undefined || header.value === null || (used & bit) !== 0) {
      rest.push(header);
      continue;
    }
    used |= bit;
    row.set(message, header.value);
  }
  message.headers = rest.length === 0 ? NO_HEADERS : rest;
}
