/**
 * The tables of single listeners: `[listeners.NAME]` in the file, `ROBUSTMQ_LISTENERS_<NAME>_<KEY>`
 * in the environment. A name that a protocol opens anyway (`mqtt-tls`) changes that listener, any
 * other name makes a new one.
 */
import { camel, type OptionRow } from '#kit';
import { LISTENER_OPTIONS, type ListenerSettings } from '#net';
import { ENVIRONMENT_PREFIX } from './option-schema.ts';
import { type OptionValue, readOption } from './option-value.ts';

export const LISTENERS_SECTION = 'listeners';
const VARIABLE_PREFIX = `${ENVIRONMENT_PREFIX}LISTENERS_`;
const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** In the table of a listener there is no need to say what it is about. */
const SHORT: Readonly<Record<string, string>> = {
  'connections-max': 'listener-connections-max',
};

/** What a table may hold, by key: what every listener has, and what its protocol adds. */
export type ListenerRows = ReadonlyMap<string, OptionRow>;

export function listenerKeys(rows: ListenerRows): string[] {
  return [...rows.keys(), ...Object.keys(SHORT)];
}

export interface ListenerSetting {
  readonly value: OptionValue;
  readonly from: string;
}

/** One listener's own settings, by key. */
export type ListenerTable = ReadonlyMap<string, ListenerSetting>;

/** @throws OptionProblem */
export function readListenerOption(
  rows: ListenerRows,
  key: string,
  input: unknown,
  from: string,
): { readonly key: string; readonly setting: ListenerSetting } | null {
  const long = SHORT[key] ?? key;
  const row = rows.get(long);
  if (row === undefined) return null;
  return { key: long, setting: { value: readOption(row, input), from } };
}

export function isListenerName(name: string): boolean {
  return NAME.test(name) && name !== 'admin';
}

/** The listener and the key that a variable speaks of; null when it is about something else. */
export function readListenerVariable(
  rows: ListenerRows,
  variable: string,
): { name: string; key: string } | null {
  if (!variable.startsWith(VARIABLE_PREFIX)) return null;
  const text = variable.slice(VARIABLE_PREFIX.length).toLowerCase().replaceAll('_', '-');
  // The longest key that fits: `connect-rate` is no listener `connect` with a key `rate`.
  const keys = listenerKeys(rows).filter((key) => text.endsWith(`-${key}`));
  const key = keys.sort((one, other) => other.length - one.length)[0];
  return key === undefined ? null : { name: text.slice(0, -key.length - 1), key };
}

/** What holds for a listener: its table, over what `base` says for all. */
export function listenerSettings(
  table: ListenerTable | undefined,
  base: (key: string) => OptionValue | undefined,
): ListenerSettings {
  const values: Record<string, OptionValue> = {};
  for (const [key, row] of Object.entries(LISTENER_OPTIONS)) {
    values[camel(key)] = table?.get(key)?.value ?? base(key) ?? row.default;
  }
  return values as unknown as ListenerSettings;
}
