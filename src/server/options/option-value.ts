/** One option's value: read from text or from TOML, checked, and written again. */
import type { OptionRow } from '#kit';

export type OptionValue = boolean | number | string | readonly string[];

/** A value that cannot be used; `message` completes the sentence "<option name> …". */
export class OptionProblem extends Error {}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

const DURATION_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  MS: 1,
  S: 1000,
  M: 60_000,
  H: 3_600_000,
  D: 86_400_000,
  W: 604_800_000,
};

const EXAMPLES: Readonly<Record<OptionRow['type'], string>> = {
  boolean: 'true or false',
  integer: 'a whole number',
  text: 'a text',
  list: 'a list of texts',
  bytes: 'a number of bytes or a text such as 64MiB or 1GB',
  duration: 'a number of ms or a text such as 500ms, 30s, 2m, 7d',
};

/** @throws OptionProblem */
export function readOption(row: OptionRow, input: unknown): OptionValue {
  const value = convert(row, input);
  if (value === null) {
    throw new OptionProblem(`is ${JSON.stringify(input)}; expected ${EXAMPLES[row.type]}`);
  }
  checkLimits(row, value);
  return value;
}

function convert(row: OptionRow, input: unknown): OptionValue | null {
  switch (row.type) {
    case 'boolean':
      return toBoolean(input);
    case 'integer':
      return toWhole(input);
    case 'text':
      return typeof input === 'string' ? input : null;
    case 'list':
      return toList(input);
    case 'bytes':
      return toQuantity(input, BYTE_UNITS);
    case 'duration':
      if (input === 'never') return -1;
      return toQuantity(input, DURATION_UNITS);
  }
}

function checkLimits(row: OptionRow, value: OptionValue): void {
  if (typeof value === 'number') {
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = row;
    if (value < min) throw new OptionProblem(`is ${value}; the smallest value is ${min}`);
    if (value > max) throw new OptionProblem(`is ${value}; the largest value is ${max}`);
  }
  if (row.choices !== undefined && typeof value === 'string' && !row.choices.includes(value)) {
    throw new OptionProblem(`is "${value}"; expected one of ${row.choices.join(', ')}`);
  }
}

function toBoolean(input: unknown): boolean | null {
  if (typeof input === 'boolean') return input;
  if (input === 'true' || input === 'on' || input === 'yes' || input === '1') return true;
  if (input === 'false' || input === 'off' || input === 'no' || input === '0') return false;
  return null;
}

function toWhole(input: unknown): number | null {
  if (typeof input === 'string' && /^-?\d[\d_]*$/.test(input)) {
    return toWhole(Number(input.replaceAll('_', '')));
  }
  return Number.isSafeInteger(input) ? (input as number) : null;
}

function toList(input: unknown): readonly string[] | null {
  if (typeof input === 'string') {
    const parts = input.split(',').map((part) => part.trim());
    return parts.filter((part) => part !== '');
  }
  if (!Array.isArray(input)) return null;
  return input.every((part) => typeof part === 'string') ? input : null;
}

function toQuantity(input: unknown, units: Readonly<Record<string, number>>): number | null {
  if (typeof input === 'number') return toWhole(input);
  if (typeof input !== 'string') return null;
  const match = /^(-?\d[\d_]*(?:\.\d+)?)\s*([a-z]*)$/i.exec(input.trim());
  const unit = units[(match?.[2] ?? '').toUpperCase()];
  if (match === null || unit === undefined) return null;
  return Math.round(Number(match[1]!.replaceAll('_', '')) * unit);
}

/** The value as TOML. */
export function showOption(value: OptionValue): string {
  return Array.isArray(value)
    ? `[${value.map((part) => quoted(part)).join(', ')}]`
    : quoted(value as string | number | boolean);
}

/** JSON is TOML but for U+007F, which TOML wants escaped. */
function quoted(value: string | number | boolean): string {
  return JSON.stringify(value).replaceAll('\u007f', '\\u007f');
}
