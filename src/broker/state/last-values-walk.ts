/**
 * Walks the kept values that a pattern matches. Their keys are levels joined by U+0000, which sorts
 * before every other character, so all that lies under an address is one stretch of keys. Where a
 * key does not match, the walk goes straight to the next one that could: the cost follows what is
 * found and the number of different levels under a wildcard, not the number of kept values.
 */
import { compareKeys, keyAfter } from '#kit';
import type { MetaRow } from '#meta';
import { Address } from '../addresses/address.ts';
import {
  ANY,
  isReservedWord,
  matches,
  ONE,
  type Part,
  type Pattern,
} from '../addresses/pattern.ts';
import type { StateTable } from './state-table.ts';

const SEPARATOR = '\0';
/** Sorts after everything under an address, and before what comes next. */
const AFTER = '\u0001';
/** Rows of one look: few while it jumps, more while it goes on from row to row. */
const ROWS_MIN = 8;
const ROWS_MAX = 128;
const BYTES_MAX = 1 << 18;

/** The canonical text of an address has no U+0000. */
export function addressKey(text: string): string {
  return text.includes('/') ? text.replaceAll('/', SEPARATOR) : text;
}

export function keyText(key: string): string {
  return key.includes(SEPARATOR) ? key.replaceAll(SEPARATOR, '/') : key;
}

/**
 * Rows that match; null after a look that found none. While every row matches they are read as they
 * are; otherwise keys alone, and the values of those that match.
 * @param start key to begin at; null begins at the first
 */
export function* walk(
  state: StateTable,
  kind: string,
  pattern: Pattern,
  start: string | null = null,
): Generator<MetaRow | null> {
  if (pattern.exact && pattern.form === 'slash') {
    const key = pattern.parts.join(SEPARATOR);
    const value = state.get(kind, key);
    if (value !== undefined) yield { key, value };
    return;
  }
  const jump = pattern.form === 'slash' ? nextOf : nextOfAny;
  const lead = pattern.form === 'slash' ? leadOf(pattern.parts) : [];
  let from: string | null = lead.join(SEPARATOR);
  const before = lead.length === 0 ? null : from + AFTER;
  if (start !== null && compareKeys(start, from) > 0) from = start;
  const look: Look = { rowsMax: ROWS_MIN, dense: false };
  while (from !== null && (before === null || compareKeys(from, before) < 0)) {
    const rows = rowsFrom(state, kind, from, before, look);
    if (rows.length === 0) return;
    let found = 0;
    let seen = 0;
    for (const { key, value } of rows) {
      if (compareKeys(key, from) < 0) continue;
      seen++;
      const words = key.split(SEPARATOR);
      if (matches(pattern, pattern.form === 'slash' ? words : wordsOf(key))) {
        found++;
        from = keyAfter(key);
        // It may have gone since its key was read.
        const bytes: Buffer | undefined = value ?? state.get(kind, key);
        if (bytes !== undefined) yield { key, value: bytes };
      } else {
        from = jump(pattern, words);
        if (from === null) return;
      }
    }
    look.dense = found === rows.length;
    look.rowsMax = seen * 2 > rows.length ? Math.min(2 * look.rowsMax, ROWS_MAX) : ROWS_MIN;
    if (found === 0) yield null;
  }
}

interface Look {
  rowsMax: number;
  /** Everything that the last look saw did match. */
  dense: boolean;
}

interface Seen {
  readonly key: string;
  readonly value: Buffer | null;
}

function rowsFrom(
  state: StateTable,
  kind: string,
  from: string,
  before: string | null,
  { rowsMax, dense }: Look,
): readonly Seen[] {
  if (dense) return state.range(kind, { from, before, rowsMax, bytesMax: BYTES_MAX });
  return state.keys(kind, { from, before, rowsMax }).map((key) => ({ key, value: null }));
}

/** The literal levels that a pattern begins with. */
function leadOf(parts: readonly Part[]): string[] {
  const lead: string[] = [];
  for (const part of parts) {
    if (typeof part !== 'string') break;
    lead.push(part);
  }
  return lead;
}

/** A dotted pattern sees flat names by their dots: no order helps it. */
function nextOfAny(_: Pattern, words: readonly string[]): string {
  return keyAfter(words.join(SEPARATOR));
}

function wordsOf(key: string): readonly string[] {
  return new Address(keyText(key), false).words;
}

/** The first key after a key that does not match that could match; null when there is none. */
function nextOf(pattern: Pattern, words: readonly string[]): string | null {
  const { parts } = pattern;
  if (pattern.hidesReserved && typeof parts[0] !== 'string' && isReservedWord(words[0]!)) {
    return words[0]! + AFTER;
  }
  for (let index = 0; ; index++) {
    const part = parts[index];
    const word = words[index];
    if (part === undefined) return under(words, index) + AFTER;
    if (word === undefined) {
      return under(words, index) + SEPARATOR + (typeof part === 'string' ? part : '');
    }
    if (part === ANY || part === ONE || part === word) continue;
    if (typeof part === 'string' && compareKeys(word, part) < 0) {
      return index === 0 ? part : under(words, index) + SEPARATOR + part;
    }
    return index === 0 ? null : under(words, index) + AFTER;
  }
}

function under(words: readonly string[], count: number): string {
  return words.slice(0, count).join(SEPARATOR);
}
