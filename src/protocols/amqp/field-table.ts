/**
 * Field tables: the typed name-value lists of AMQP 0-9-1, with the type letters and signedness that
 * RabbitMQ uses (its errata to the specification's section 4.2.5). Values keep their letter, so
 * what was read is written back byte by byte. Not for methods' plain arguments: see `methods.ts`.
 */
import { ProtocolError } from '#kit';
import { type Output, utf8Bytes } from './output.ts';
import type { WireReader } from './wire-reader.ts';

/**
 * t boolean, b/B 8 bit, s/u 16 bit, I/i 32 bit, l 64 bit signed, f/d floats, D decimal, S long
 * string, A array, T time in seconds, F table, V void, x bytes. Lower and upper case differ as in
 * RabbitMQ.
 */
export type FieldLetter =
  | 't'
  | 'b'
  | 'B'
  | 's'
  | 'u'
  | 'I'
  | 'i'
  | 'l'
  | 'f'
  | 'd'
  | 'D'
  | 'S'
  | 'A'
  | 'T'
  | 'F'
  | 'V'
  | 'x';

/** Digits after the decimal point, and the number without it. */
export interface Decimal {
  readonly scale: number;
  readonly digits: number;
}

export type FieldData =
  | boolean
  | number
  | bigint
  | Buffer
  | Decimal
  | readonly TypedValue[]
  | Table
  | null;

export interface TypedValue {
  readonly type: FieldLetter;
  readonly value: FieldData;
}

export interface TableEntry extends TypedValue {
  readonly name: string;
}

export type Table = readonly TableEntry[];

export const EMPTY_TABLE: Table = [];

/** Tables in tables in arrays: deeper than this is refused, so that no input exhausts the stack. */
const TABLE_DEPTH_MAX = 64;

const SYNTAX_ERROR = 502;

/** Reads a table with its 32-bit length in front. */
export function readTable(reader: WireReader, field: string, depth = 0): Table {
  const end = blockEnd(reader, field, depth);
  if (reader.at === end) return EMPTY_TABLE;
  const entries: TableEntry[] = [];
  const outerEnd = reader.end;
  reader.end = end;
  while (reader.at < end) {
    const name = reader.shortstr(field);
    const { type, value } = readValue(reader, field, depth);
    entries.push({ name, type, value });
  }
  reader.end = outerEnd;
  return entries;
}

function readArray(reader: WireReader, field: string, depth: number): TypedValue[] {
  const end = blockEnd(reader, field, depth);
  const values: TypedValue[] = [];
  const outerEnd = reader.end;
  reader.end = end;
  while (reader.at < end) values.push(readValue(reader, field, depth));
  reader.end = outerEnd;
  return values;
}

function blockEnd(reader: WireReader, field: string, depth: number): number {
  if (depth > TABLE_DEPTH_MAX) {
    throw new ProtocolError(field, reader.at, 'nested too deeply', SYNTAX_ERROR);
  }
  const size = reader.long(field);
  if (size > reader.end - reader.at) {
    throw new ProtocolError(field, reader.at, `table of ${size} bytes is cut off`, SYNTAX_ERROR);
  }
  return reader.at + size;
}

type ReadValue = (reader: WireReader, field: string, depth: number) => FieldData;

/** One reader per type letter. */
const READERS: Readonly<Record<FieldLetter, ReadValue>> = {
  t: (reader, field) => reader.octet(field) !== 0,
  b: (reader, field) => (reader.octet(field) << 24) >> 24,
  B: (reader, field) => reader.octet(field),
  s: (reader, field) => (reader.short(field) << 16) >> 16,
  u: (reader, field) => reader.short(field),
  I: (reader, field) => reader.long(field) | 0,
  i: (reader, field) => reader.long(field),
  l: (reader, field) => reader.take(field, 8).readBigInt64BE(0),
  f: (reader, field) => reader.take(field, 4).readFloatBE(0),
  d: (reader, field) => reader.take(field, 8).readDoubleBE(0),
  D: (reader, field) => ({ scale: reader.octet(field), digits: reader.long(field) | 0 }),
  S: (reader, field) => reader.longstr(field),
  A: (reader, field, depth) => readArray(reader, field, depth + 1),
  T: (reader, field) => reader.take(field, 8).readBigUInt64BE(0),
  F: (reader, field, depth) => readTable(reader, field, depth + 1),
  V: () => null,
  x: (reader, field) => reader.longstr(field),
};

function isLetter(text: string): text is FieldLetter {
  return Object.hasOwn(READERS, text);
}

function readValue(reader: WireReader, field: string, depth: number): TypedValue {
  const at = reader.at;
  const letter = String.fromCharCode(reader.octet(field));
  if (!isLetter(letter)) {
    throw new ProtocolError(
      field,
      at,
      `unknown field type ${JSON.stringify(letter)}`,
      SYNTAX_ERROR,
    );
  }
  return { type: letter, value: READERS[letter](reader, field, depth) };
}

/** Writes a table with its length in front. */
export function writeTable(output: Output, table: Table): void {
  const block = output.beginBlock();
  for (const entry of table) {
    output.shortstr(entry.name);
    writeValue(output, entry);
  }
  output.endBlock(block);
}

function writeValue(output: Output, { type, value }: TypedValue): void {
  output.octet(type.charCodeAt(0));
  WRITERS[type](output, value);
}

type WriteValue = (output: Output, value: FieldData) => void;

const writeBytes: WriteValue = (output, value) => output.longstr(value as Buffer);

const WRITERS: Readonly<Record<FieldLetter, WriteValue>> = {
  t: (output, value) => output.octet(value === true ? 1 : 0),
  b: (output, value) => output.octet((value as number) & 0xff),
  B: (output, value) => output.octet(value as number),
  s: (output, value) => output.short((value as number) & 0xffff),
  u: (output, value) => output.short(value as number),
  I: (output, value) => output.long((value as number) >>> 0),
  i: (output, value) => output.long(value as number),
  l: (output, value) => output.bigint(BigInt.asUintN(64, value as bigint)),
  f: (output, value) => {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeFloatBE(value as number);
    output.bytes(bytes);
  },
  d: (output, value) => {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeDoubleBE(value as number);
    output.bytes(bytes);
  },
  D: (output, value) => {
    const { scale, digits } = value as Decimal;
    output.octet(scale);
    output.long(digits >>> 0);
  },
  S: writeBytes,
  A: (output, value) => {
    const block = output.beginBlock();
    for (const item of value as readonly TypedValue[]) writeValue(output, item);
    output.endBlock(block);
  },
  T: (output, value) => output.bigint(value as bigint),
  F: (output, value) => writeTable(output, value as Table),
  V: () => undefined,
  x: writeBytes,
};

/** A long string entry. */
export function textEntry(name: string, text: string): TableEntry {
  return { name, type: 'S', value: utf8Bytes(text) };
}

export function flagEntry(name: string, value: boolean): TableEntry {
  return { name, type: 't', value };
}

export function findEntry(table: Table, name: string): TableEntry | undefined {
  for (const entry of table) if (entry.name === name) return entry;
  return undefined;
}

/** Text of a long string entry, undefined when it is missing or of another type. */
export function textOf(table: Table, name: string): string | undefined {
  const entry = findEntry(table, name);
  return entry?.type === 'S' ? (entry.value as Buffer).toString() : undefined;
}

/** Any of the integer types as a number; undefined for the others and beyond 2^53. */
export function integerOf(entry: TypedValue): number | undefined {
  const { value } = entry;
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : undefined;
  }
  return typeof value === 'number' && entry.type !== 'f' && entry.type !== 'd' ? value : undefined;
}
