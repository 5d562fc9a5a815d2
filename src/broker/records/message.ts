/**
 * A message while it is in memory: what a protocol publishes and what it delivers. One object
 * serves all readers, so nobody changes it after it was published (the append alone fills in the
 * place).
 */
import { isUtf8 } from 'node:buffer';
import type { Address } from '../addresses/address.ts';
import { type Principal, SERVER_PRINCIPAL } from '../principals/principal.ts';
import type { Partition } from '../streams/partition.ts';
import type { Origin } from './origin.ts';

export interface Header {
  readonly name: string;
  /** Text as UTF-8, or any bytes. Null is a header without value (Kafka). */
  readonly value: Buffer | null;
  /**
   * Says what the bytes of `value` stand for when they are not simply text: the name of a
   * protocol's type, such as `amqp:I` for a number written as decimal text. Crosses as
   * `_b.t.<name>`.
   */
  readonly type?: string;
}

export const NO_HEADERS: readonly Header[] = [];

export class Message {
  address: Address;
  /** Null: none. An empty key is a key. */
  key: Buffer | null = null;
  /** Null is a record without value (a tombstone), which is not the same as an empty one. */
  value: Buffer | null;
  headers: readonly Header[] = NO_HEADERS;
  origin: Origin;
  /** 0 at most once, 1 at least once, 2 exactly once: what the publisher asked for. */
  qos: 0 | 1 | 2 = 0;
  retain = false;
  /** The publisher says that the value is UTF-8 text. */
  text = false;
  /** '' = none; the same for the other texts. */
  contentType = '';
  contentEncoding = '';
  /** Canonical text of an address. */
  replyTo = '';
  correlation: Buffer | null = null;
  messageId = '';
  /** Wall clock in ms after which it is not delivered; 0 = never. */
  expiresAtMs = 0;
  /** The producer's time in ms; -1 = it gave none. */
  timestampMs = -1;
  /** -1 = none given. */
  priority = -1;
  /** Client id or connection name. */
  producer = '';
  principal: Principal = SERVER_PRINCIPAL;
  /** Bytes for the origin's own readers alone: what gives them back the exact original. */
  native: Buffer | null = null;
  /** While live: the connection or session that it came through, for "no local". Never stored. */
  source: object | null = null;
  /** Where it lies; null while it is not stored. */
  partition: Partition | null = null;
  offset = -1;
  /** When the broker took it, in ms. */
  appendTimeMs = 0;

  constructor(address: Address, value: Buffer | null, origin: Origin) {
    this.address = address;
    this.value = value;
    this.origin = origin;
  }

  expired(nowMs: number): boolean {
    return this.expiresAtMs !== 0 && nowMs >= this.expiresAtMs;
  }
}

export function textHeader(name: string, text: string): Header {
  return { name, value: Buffer.from(text) };
}

/** The header's value as text; null when it is absent or not valid UTF-8. */
export function headerText(header: Header): string | null {
  return header.value !== null && isUtf8(header.value) ? header.value.toString() : null;
}

export interface ShownHeader {
  readonly name: string;
  readonly value: string;
}

/** Prefix of header names that belong to the broker. */
export const ENVELOPE_PREFIX = '_b.';
/** Prefix of the header that tells the type of the header before it. */
export const TYPE_PREFIX = '_b.t.';
const NULL_VALUE: ShownHeader = { name: '_b.null', value: '1' };

/**
 * Headers for protocols whose headers are text: text as it is, other bytes as base64 followed by
 * `_b.t.<name>` = `base64`, typed ones followed by their type; `_b.null` marks a value that is
 * null. Never gives invalid UTF-8; U+0000 counts as bytes ([MQTT-1.5.4-2]).
 */
export function shownHeaders(message: Message): ShownHeader[] {
  const shown: ShownHeader[] = [];
  for (const header of message.headers) {
    const text = headerText(header);
    if (header.value === null) shown.push({ name: header.name, value: '' });
    else if (text !== null && !text.includes('\0')) shown.push({ name: header.name, value: text });
    else {
      shown.push({ name: header.name, value: header.value.toString('base64') });
      shown.push({ name: TYPE_PREFIX + header.name, value: 'base64' });
      continue;
    }
    if (header.value === null) shown.push({ name: TYPE_PREFIX + header.name, value: 'null' });
    else if (header.type !== undefined) {
      shown.push({ name: TYPE_PREFIX + header.name, value: header.type });
    }
  }
  if (message.value === null) shown.push(NULL_VALUE);
  return shown;
}

/** Text headers as a text-only protocol wrote them. */
export function readShownHeaders(shown: readonly ShownHeader[]): Header[] {
  return shown.map(({ name, value }) => textHeader(name, value));
}
