/**
 * A message's fields <-> the header block of NATS (docs/mapping.md, "The record"). What a NATS
 * client wrote goes back to NATS clients byte for byte (`Message.native`); here is the way from and
 * to all others. CR and LF never pass into a block: values that hold them go as base64 (X9).
 */
import { isUtf8 } from 'node:buffer';
import { type Header, type Message, shownHeaders } from '#broker';
import { readHeaderBlock, writeHeaderBlock } from './header-block.ts';

/** A header that stands for a field of the message. */
interface FieldRow {
  readonly name: string;
  /** Takes the value into the field; false when it is none, and then it stays a header. */
  read(message: Message, value: Buffer, nowMs: number): boolean;
  /** The value to show; null when the message has none. */
  write(message: Message, nowMs: number): Buffer | string | null;
}

const ROWS: readonly FieldRow[] = [
  {
    name: 'Nats-Msg-Id',
    read: (message, value) => {
      message.messageId = value.toString();
      return isUtf8(value);
    },
    write: (message) => message.messageId || null,
  },
  {
    name: 'Content-Type',
    read: (message, value) => {
      message.contentType = value.toString();
      return isUtf8(value);
    },
    write: (message) => message.contentType || null,
  },
  {
    name: 'Content-Encoding',
    read: (message, value) => {
      message.contentEncoding = value.toString();
      return isUtf8(value);
    },
    write: (message) => message.contentEncoding || null,
  },
  {
    name: 'Correlation-Id',
    read: (message, value) => {
      message.correlation = value;
      return true;
    },
    write: (message) => message.correlation,
  },
  {
    name: 'Kafka-Key',
    read: (message, value) => {
      message.key = value;
      return true;
    },
    write: (message) => message.key,
  },
  {
    // ADR-43: whole seconds, or a duration such as `1m30s`; `never` is the default here.
    name: 'Nats-TTL',
    read: (message, value, nowMs) => {
      const ttlMs = durationMs(value.toString('latin1'));
      if (ttlMs > 0) message.expiresAtMs = nowMs + ttlMs;
      return ttlMs > 0;
    },
    write: (message, nowMs) =>
      message.expiresAtMs === 0
        ? null
        : String(Math.max(1, Math.ceil((message.expiresAtMs - nowMs) / 1000))),
  },
  {
    name: 'Timestamp',
    read: (message, value) => {
      const text = value.toString('latin1');
      if (!/^\d{1,15}$/.test(text)) return false;
      message.timestampMs = Number(text);
      return true;
    },
    write: (message) => (message.timestampMs < 0 ? null : String(message.timestampMs)),
  },
  {
    name: 'mq9-priority',
    read: (message, value) => {
      const text = value.toString('latin1');
      if (!/^\d{1,3}$/.test(text) || Number(text) > 255) return false;
      message.priority = Number(text);
      return true;
    },
    write: (message) => (message.priority < 0 ? null : String(message.priority)),
  },
];

const ROW_BY_NAME: ReadonlyMap<string, FieldRow> = new Map(ROWS.map((row) => [row.name, row]));
/**
 * The type of the header before it, as `shownHeaders` writes it: `base64`, `null`, or a type's
 * name.
 */
const TYPE_PREFIX = '_b.t.';
const NULL_VALUE = '_b.null';
/** U+0000 in a name; no other character is ever written as `%30`. */
const NUL_CODE = '%30';
const TTL_MS_MAX = 100 * 366 * 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `90`, `90s`, `1m30s`, `1.5h` in ms; 0 when it is not a time to live of at least a second. */
function durationMs(text: string): number {
  if (/^\d{1,12}$/.test(text)) return Math.min(Number(text) * 1000, TTL_MS_MAX);
  if (text.length > 64 || !/^(?:\d+(?:\.\d+)?(?:ms|[smh]))+$/.test(text)) return 0;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smh])/g)) {
    sum += Number(count) * UNIT_MS[unit!]!;
  }
  return sum < 1000 ? 0 : Math.min(sum, TTL_MS_MAX);
}

/**
 * Puts a block that a client sent into the message: known names into their fields (the first of
 * each), the rest into `headers`; an inline status becomes the headers `Status` and `Description`.
 * Throws `ProtocolError` when the block is malformed.
 */
export function readHeaders(message: Message, block: Buffer, nowMs: number): void {
  const { status, description, pairs } = readHeaderBlock(block);
  const headers: Header[] = [];
  if (status !== '') headers.push({ name: 'Status', value: Buffer.from(status) });
  if (description !== '') headers.push({ name: 'Description', value: Buffer.from(description) });
  const taken = new Set<FieldRow>();
  for (let index = 0; index < pairs.length; index++) {
    const { name, value } = pairs[index]!;
    const hint = pairs[index + 1];
    const type = hint?.name === TYPE_PREFIX + name ? hint.value.toString() : '';
    if (type !== '') index++;
    const bytes = type === 'base64' ? Buffer.from(value.toString('latin1'), 'base64') : value;
    const row = ROW_BY_NAME.get(name);
    if (row !== undefined && !taken.has(row) && row.read(message, bytes, nowMs)) taken.add(row);
    else if (name === NULL_VALUE && message.value?.length === 0) message.value = null;
    else headers.push(header(unescapeName(name), bytes, type));
  }
  message.headers = headers;
  message.native = block;
}

function header(name: string, value: Buffer, type: string): Header {
  if (type === '' || type === 'base64') return { name, value };
  return type === 'null' ? { name, value: null } : { name, value, type };
}

/** The block for a message of another protocol; null when it has nothing to say. */
export function writeHeaders(message: Message, nowMs: number): Buffer | null {
  const pairs: [string, string][] = [];
  for (const row of ROWS) {
    const value = row.write(message, nowMs);
    if (value !== null) pushValue(pairs, row.name, value);
  }
  const shown = shownHeaders(message);
  for (let index = 0; index < shown.length; index++) {
    const { name, value } = shown[index]!;
    const escaped = name.startsWith(TYPE_PREFIX)
      ? TYPE_PREFIX + escapeName(name.slice(TYPE_PREFIX.length))
      : escapeName(name);
    const typed = shown[index + 1]?.name === TYPE_PREFIX + name;
    if (name.startsWith(TYPE_PREFIX) || !isUnsafe(value)) pairs.push([escaped, value]);
    else if (typed) pairs.push([escaped, Buffer.from(value).toString('base64')]);
    else pushValue(pairs, escaped, value);
  }
  return pairs.length === 0 ? null : writeHeaderBlock(pairs);
}

/** Text as it is; what a line cannot carry as base64 with a hint behind it. */
function pushValue(pairs: [string, string][], name: string, value: Buffer | string): void {
  const text = typeof value === 'string' || isUtf8(value) ? value.toString() : null;
  if (text !== null && !isUnsafe(text)) {
    pairs.push([name, text]);
    return;
  }
  pairs.push([name, Buffer.from(value as Buffer).toString('base64')]);
  pairs.push([TYPE_PREFIX + name, 'base64']);
}

/** Control characters end or disturb a line; readers trim the white space at its ends. */
function isUnsafe(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is sought.
  return /[\u0000-\u0008\u000a-\u001f\u007f]/.test(text) || text !== text.trim();
}

/**
 * A name as every NATS client reads it: visible ASCII without `:`. Other bytes of its UTF-8 form
 * are `%HH`, no name is `%00` and so U+0000 is `%30`, and a `%` that could be read as one of these
 * is `%25`.
 */
function escapeName(name: string): string {
  if (name === '') return '%00';
  if (/^[a-zA-Z0-9_.$-]+$/.test(name)) return name;
  const bytes = Buffer.from(name).toString('latin1');
  return bytes.replace(/[^!-9;-~]|%(?=[0-9A-F]{2})/g, (char) => {
    if (char === '\0') return NUL_CODE;
    const code = char.charCodeAt(0).toString(16).toUpperCase();
    return `%${code.padStart(2, '0')}`;
  });
}

function unescapeName(name: string): string {
  if (!name.includes('%')) return name;
  if (name === '%00') return '';
  const escaped = /%(0[1-9A-F]|1[0-9A-F]|20|25(?=[0-9A-F]{2})|30|3A|7F|[89A-F][0-9A-F])/g;
  const bytes = Buffer.from(
    Buffer.from(name)
      .toString('latin1')
      .replace(escaped, (code, hex: string) =>
        code === NUL_CODE ? '\0' : String.fromCharCode(Number.parseInt(hex, 16)),
      ),
    'latin1',
  );
  return isUtf8(bytes) ? bytes.toString() : name;
}
