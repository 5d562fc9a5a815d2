/** Reads the fields of a request body and refuses what it does not know. */
import { BrokerError } from '#kit';
import type { Json, JsonObject } from './exchange.ts';

interface FieldTypes {
  readonly text: string;
  readonly integer: number;
  readonly boolean: boolean;
  readonly texts: readonly string[];
  readonly map: Readonly<Record<string, string>>;
}
type FieldType = keyof FieldTypes;

/** Fields by name; a `?` at the end marks one that may be left out. */
export type FieldRows = Readonly<Record<string, FieldType | `${FieldType}?`>>;

type Required<Rows extends FieldRows> = {
  [Name in keyof Rows as Rows[Name] extends FieldType ? Name : never]: Rows[Name] extends FieldType
    ? FieldTypes[Rows[Name]]
    : never;
};
type Optional<Rows extends FieldRows> = {
  [Name in keyof Rows as Rows[Name] extends `${FieldType}?`
    ? Name
    : never]?: Rows[Name] extends `${infer Type extends FieldType}?` ? FieldTypes[Type] : never;
};

const CHECKS: { readonly [Type in FieldType]: (value: Json) => boolean } = {
  text: (value) => typeof value === 'string',
  integer: (value) => Number.isSafeInteger(value),
  boolean: (value) => typeof value === 'boolean',
  texts: (value) => Array.isArray(value) && value.every((part) => typeof part === 'string'),
  map: (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((part) => typeof part === 'string'),
};

/** @throws BrokerError `invalid-argument` that names the field */
export function readFields<Rows extends FieldRows>(
  body: JsonObject,
  rows: Rows,
): Required<Rows> & Optional<Rows> {
  for (const name of Object.keys(body)) {
    if (!Object.hasOwn(rows, name)) {
      const known = Object.keys(rows).join(', ');
      throw new BrokerError('invalid-argument', `unknown field "${name}"; known: ${known}.`);
    }
  }
  for (const [name, row] of Object.entries(rows)) {
    const value = body[name];
    const type = row.replace('?', '') as FieldType;
    if (value === undefined) {
      if (row.endsWith('?')) continue;
      throw new BrokerError('invalid-argument', `the field "${name}" is missing.`);
    }
    if (!CHECKS[type](value)) {
      throw new BrokerError('invalid-argument', `the field "${name}" is no ${type}.`);
    }
  }
  return body as unknown as Required<Rows> & Optional<Rows>;
}
