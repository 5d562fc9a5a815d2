/**
 * The fourteen properties of a content header, one row each in the order of their flag bits.
 * Reading gives only what is present; `writeProperties` is the exact reverse.
 */
import { ProtocolError } from '#kit';
import { readTable, type Table, writeTable } from './field-table.ts';
import { type Output, written } from './output.ts';
import { WireReader } from './wire-reader.ts';

const PROPERTIES = [
  ['contentType', 'shortstr'],
  ['contentEncoding', 'shortstr'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'shortbytes'],
  ['replyTo', 'shortstr'],
  ['expiration', 'shortstr'],
  ['messageId', 'shortstr'],
  ['timestamp', 'longlong'],
  ['type', 'shortstr'],
  ['userId', 'shortstr'],
  ['appId', 'shortstr'],
  ['clusterId', 'shortstr'],
] as const;

export interface Properties {
  contentType?: string;
  contentEncoding?: string;
  headers?: Table;
  deliveryMode?: number;
  priority?: number;
  /** Bytes, because other protocols correlate by bytes. At most 255. */
  correlationId?: Buffer;
  replyTo?: string;
  /** Text of a number of ms. */
  expiration?: string;
  messageId?: string;
  /** Seconds since 1970. */
  timestamp?: number;
  type?: string;
  userId?: string;
  appId?: string;
  clusterId?: string;
}

const FIRST_FLAG = 15;
/** The lowest bit of a flag word says that another word follows; no property uses a second word. */
const CONTINUED = 1;
const SYNTAX_ERROR = 502;

/** Reads property flags and list: the rest of a header frame after the body size. */
function readProperties(reader: WireReader): Properties {
  const flags = reader.short('property flags');
  let word = flags;
  while ((word & CONTINUED) !== 0) {
    word = reader.short('property flags');
    if (word >>> 1 !== 0) {
      throw new ProtocolError('property flags', reader.at, 'unknown property', SYNTAX_ERROR);
    }
  }
  const properties: Record<string, unknown> = {};
  for (let index = 0; index < PROPERTIES.length; index++) {
    if ((flags & (1 << (FIRST_FLAG - index))) === 0) continue;
    const [name, kind] = PROPERTIES[index]!;
    properties[name] =
      kind === 'table'
        ? readTable(reader, name)
        : kind === 'shortbytes'
          ? reader.take(name, reader.octet(name))
          : reader[kind](name);
  }
  if ((flags & 2) !== 0) {
    throw new ProtocolError('property flags', reader.at, 'unknown property', SYNTAX_ERROR);
  }
  if (reader.at !== reader.end) {
    throw new ProtocolError('properties', reader.at, 'bytes after the last one', SYNTAX_ERROR);
  }
  return properties as Properties;
}

function writeProperties(output: Output, properties: Properties): void {
  const values = properties as Readonly<Record<string, unknown>>;
  let flags = 0;
  for (let index = 0; index < PROPERTIES.length; index++) {
    if (values[PROPERTIES[index]![0]] !== undefined) flags |= 1 << (FIRST_FLAG - index);
  }
  output.short(flags);
  for (const [name, kind] of PROPERTIES) {
    const value = values[name];
    if (value === undefined) continue;
    if (kind === 'table') writeTable(output, value as Table);
    else if (kind === 'shortstr') output.shortstr(value as string);
    else if (kind === 'shortbytes') {
      output.octet((value as Buffer).length);
      output.bytes(value as Buffer);
    } else output[kind](value as number);
  }
}

/** Flags and list as one run of bytes, as a content header carries them. */
export function propertyBytes(properties: Properties): Buffer {
  return written((output) => writeProperties(output, properties));
}

export function parseProperties(bytes: Buffer): Properties {
  return readProperties(new WireReader().over(bytes, 0, bytes.length));
}
