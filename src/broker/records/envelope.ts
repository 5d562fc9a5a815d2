/**
 * The envelope: what a record carries beside key, value and headers, as record headers in front of
 * the user's (docs/mapping.md, "The record"). The first, `_b.e`, is binary and fixed; a mask in it
 * says which named ones follow, in this order. Honoured only in batches that the server packed: in
 * a producer's own batch a header `_b.…` is plain data.
 *
 * `_b.e`: version 1 | origin | flags | named-header mask (2) | principal id (4).
 * Readers that know only records still see content type, correlation and the like under their
 * names.
 */
import { signedSize, writeSigned } from '#kit';
import { Address, addressOfText } from '../addresses/address.ts';
import { ENVELOPE_PREFIX, type Header, type Message, NO_HEADERS, TYPE_PREFIX } from './message.ts';

const ENVELOPE_NAME = '_b.e';
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
      m.address = lastRead.addressOf(value);
    },
  },
  {
    name: '_b.producer',
    get: (m) => m.producer || null,
    set: (m, value) => {
      m.producer = lastRead.producerOf(value);
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

/**
 * The names that a producer's own headers may use for the same fields (Kafka column of the table).
 */
const PLAIN_NAMED = new Map(
  NAMED.filter((row) => !row.name.startsWith(ENVELOPE_PREFIX)).map((row) => [row.name, row]),
);

const ADDRESS_BIT = NAMED.findIndex((row) => row.name === '_b.address');
const PRODUCER_BIT = NAMED.findIndex((row) => row.name === '_b.producer');

/** Records that follow each other mostly have the same address and producer. */
class LastRead {
  #addressBytes: Buffer = Buffer.alloc(0);
  #address = addressOfText('');
  #producerBytes: Buffer = Buffer.alloc(0);
  #producer = '';

  addressOf(value: Buffer): Address {
    if (!value.equals(this.#addressBytes)) {
      this.#addressBytes = Buffer.from(value);
      this.#address = addressOfText(value.toString());
    }
    return this.#address;
  }

  producerOf(value: Buffer): string {
    if (!value.equals(this.#producerBytes)) {
      this.#producerBytes = Buffer.from(value);
      this.#producer = value.toString();
    }
    return this.#producer;
  }
}

const lastRead = new LastRead();

function decimal(value: Buffer): number | null {
  const text = value.toString('latin1');
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/**
 * Where the headers of the record that is being written are put together. Shared, because writing a
 * record is one synchronous step: no arrays and no small buffers on the way of every message.
 */
let scratch = Buffer.allocUnsafe(64 << 10);
let at = 0;

/** Room for the count in front of the headers. */
const COUNT_BYTES = 5;
/** Header names with their lengths, as they stand in a record. */
const ENVELOPE_PREFIX_BYTES = nameBytes(ENVELOPE_NAME, ENVELOPE_BYTES);
const NAMED_BYTES = NAMED.map((row) => blobBytes(row.name));

function blobBytes(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const bytes = Buffer.alloc(signedSize(size) + size);
  bytes.write(text, writeSigned(bytes, 0, size));
  return bytes;
}

function nameBytes(name: string, valueSize: number): Buffer {
  const blob = blobBytes(name);
  const bytes = Buffer.alloc(blob.length + signedSize(valueSize));
  blob.copy(bytes);
  writeSigned(bytes, blob.length, valueSize);
  return bytes;
}

function reserve(size: number): void {
  if (at + size <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, at + size));
  scratch.copy(larger, 0, 0, at);
  scratch = larger;
}

function putBytes(bytes: Uint8Array): void {
  reserve(bytes.length);
  // A loop beats the call for the few bytes that most headers have.
  if (bytes.length > 24) scratch.set(bytes, at);
  else for (let index = 0; index < bytes.length; index++) scratch[at + index] = bytes[index]!;
  at += bytes.length;
}

function putBlob(blob: Uint8Array | string | null): void {
  if (blob === null) {
    reserve(1);
    scratch[at++] = 1;
  } else if (typeof blob === 'string') {
    const size = Buffer.byteLength(blob);
    reserve(5 + size);
    at = writeSigned(scratch, at, size);
    at += scratch.write(blob, at);
  } else {
    reserve(5);
    at = writeSigned(scratch, at, blob.length);
    putBytes(blob);
  }
}

/** The same text comes again and again: addresses and producers keep their last bytes. */
class LastText {
  #text = '';
  #bytes: Buffer = Buffer.from([0]);

  bytes(text: string): Buffer {
    if (text !== this.#text) {
      this.#bytes = blobBytes(text);
      this.#text = text;
    }
    return this.#bytes;
  }
}

const lastAddress = new LastText();
const lastProducer = new LastText();

/**
 * What the last message had, and the headers that it got: publishers repeat themselves. Headers,
 * keys and the like are compared as objects, which nobody changes once a message has them.
 */
const last = {
  address: null as Message['address'] | null,
  producer: '',
  principal: null as Message['principal'] | null,
  homeText: '',
  origin: -1,
  flags: -1,
  headers: NO_HEADERS,
  native: null as Buffer | null,
  correlation: null as Buffer | null,
  contentType: '',
  contentEncoding: '',
  replyTo: '',
  messageId: '',
  expiresAtMs: 0,
  priority: -1,
  bytes: Buffer.alloc(0) as Buffer,
};

function isLikeLast(message: Message, homeText: string, flags: number): boolean {
  return (
    last.address === message.address &&
    last.native === message.native &&
    last.headers === message.headers &&
    last.producer === message.producer &&
    last.principal === message.principal &&
    last.flags === flags &&
    last.origin === message.origin &&
    last.homeText === homeText &&
    last.expiresAtMs === message.expiresAtMs &&
    last.messageId === message.messageId &&
    last.correlation === message.correlation &&
    last.replyTo === message.replyTo &&
    last.contentType === message.contentType &&
    last.contentEncoding === message.contentEncoding &&
    last.priority === message.priority
  );
}

function rememberLast(message: Message, homeText: string, flags: number): void {
  last.address = message.address;
  last.native = message.native;
  last.headers = message.headers;
  last.producer = message.producer;
  last.principal = message.principal;
  last.flags = flags;
  last.origin = message.origin;
  last.homeText = homeText;
  last.expiresAtMs = message.expiresAtMs;
  last.messageId = message.messageId;
  last.correlation = message.correlation;
  last.replyTo = message.replyTo;
  last.contentType = message.contentType;
  last.contentEncoding = message.contentEncoding;
  last.priority = message.priority;
}

/**
 * The headers to store for a message, with their count in front, envelope first. The bytes are good
 * until the next call.
 * @param homeText canonical address that needs no header, since the stream's name tells it
 * @param routeKey the record's key is the route's
 */
export function storedHeaders(message: Message, homeText: string, routeKey: boolean): Buffer {
  const flags = flagsOf(message) | (routeKey ? FLAG_ROUTE_KEY : 0);
  if (!isLikeLast(message, homeText, flags)) {
    // What is remembered lies where the next headers are written, and goes with them.
    last.address = null;
    last.bytes = writeHeaders(message, homeText, flags);
    rememberLast(message, homeText, flags);
  }
  return last.bytes;
}

function writeHeaders(message: Message, homeText: string, flags: number): Buffer {
  at = COUNT_BYTES;
  putBytes(ENVELOPE_PREFIX_BYTES);
  reserve(ENVELOPE_BYTES);
  const head = at;
  at += ENVELOPE_BYTES;
  let mask = 0;
  let count = 1;
  for (let bit = 0; bit < NAMED.length; bit++) {
    const value = NAMED[bit]!.get(message);
    if (value === null || (bit === ADDRESS_BIT && value === homeText)) continue;
    mask |= 1 << bit;
    count++;
    putBytes(NAMED_BYTES[bit]!);
    if (bit === ADDRESS_BIT) putBytes(lastAddress.bytes(message.address.text));
    else if (bit === PRODUCER_BIT) putBytes(lastProducer.bytes(message.producer));
    else putBlob(value);
  }
  scratch[head] = VERSION;
  scratch[head + 1] = message.origin;
  scratch[head + 2] = flags;
  scratch.writeUInt16BE(mask, head + 3);
  scratch.writeUInt32BE(message.principal.id, head + 5);
  if (message.headers.length > 0) count += putUserHeaders(message);
  const start = COUNT_BYTES - signedSize(count);
  writeSigned(scratch, start, count);
  return scratch.subarray(start, at);
}

function flagsOf(message: Message): number {
  return (
    message.qos |
    (message.retain ? FLAG_RETAIN : 0) |
    (message.text ? FLAG_TEXT : 0) |
    (message.timestampMs >= 0 ? FLAG_PRODUCER_TIME : 0) |
    (message.address.dotted ? FLAG_DOTTED : 0)
  );
}

/** @returns how many headers that made */
function putUserHeaders(message: Message): number {
  let count = 0;
  for (const { name, value, type } of message.headers) {
    putBlob(name.startsWith(ENVELOPE_PREFIX) ? ESCAPED_PREFIX + name : name);
    putBlob(value);
    count++;
    if (type === undefined) continue;
    putBlob(TYPE_PREFIX + name);
    putBlob(type);
    count++;
  }
  return count;
}

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

/**
 * The same for a message whose headers are the very ones of the message before it in its batch:
 * what they say is known.
 */
export function repeatEnvelope(
  message: Message,
  before: Message,
  headers: readonly Header[],
): number {
  const head = headers[0]!.value!;
  const flags = head[2]!;
  if ((flags & FLAG_PRODUCER_TIME) === 0) message.timestampMs = -1;
  if ((flags & FLAG_ROUTE_KEY) !== 0) message.key = null;
  message.origin = before.origin;
  message.qos = before.qos;
  message.retain = before.retain;
  message.text = before.text;
  message.contentType = before.contentType;
  message.contentEncoding = before.contentEncoding;
  message.replyTo = before.replyTo;
  message.correlation = before.correlation;
  message.messageId = before.messageId;
  message.expiresAtMs = before.expiresAtMs;
  message.priority = before.priority;
  message.address = before.address;
  message.producer = before.producer;
  message.native = before.native;
  message.headers = before.headers;
  return head.readUInt32BE(5);
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
