/**
 * Walks the kept values that a pattern matches. Their keys are levels joined by U+0000, which sorts
 * before every other character, so all that lies under an address is one stretch of keys. Where a
 * key does not match, the walk goes straight to the next one that could: the cost follows what is
 * found and the number of different levels under a wildcard, not the number of kept values.
 */
import { compareKeys, keyAfter } from '#kit';
import { Address } from '../addresses/address.ts';
import {
  ANY,
  isReservedWord,
  matches,
  ONE,
  type Part,
  type Pattern,
} from '../addresses/pattern.ts';
import type { LastValueRows, StoredValue } from './last-value-rows.ts';

const SEPARATOR = '\0';
/** Sorts after everything under an address, and before what comes next. */
const AFTER = '\u0001';
/** Keys of one look: few while it jumps, more while it goes on from key to key. */
const KEYS_MIN = 8;
const KEYS_MAX = 128;
/** Values of one look in the order in which they were set. */
const ROWS_MAX = 128;
const BYTES_MAX = 1 << 18;
/** So many values that are passed over are a look that found none. */
const PASSED_MAX = 16;
/** A pattern is broad when it matches at least one in so many of enough values. */
const BROAD_SHARE = 8;
const BROAD_COUNT = 2_000;
const SAMPLES = 64;

/** The canonical text of an address has no U+0000. */
export function addressKey(text: string): string {
  return text.includes('/') ? text.replaceAll('/', SEPARATOR) : text;
}

export function keyText(key: string): string {
  return key.includes(SEPARATOR) ? key.replaceAll(SEPARATOR, '/') : key;
}

/**
 * Values that match, in the order of their keys; null after a look that found none.
 * @param start key to begin at; null begins at the first
 */
export function* walk(
  rows: LastValueRows,
  pattern: Pattern,
  start: string | null = null,
): Generator<StoredValue | null> {
  if (pattern.exact && pattern.form === 'slash') {
    const value = rows.get(pattern.parts.join(SEPARATOR));
    if (value !== undefined) yield value;
    return;
  }
  const jump = pattern.form === 'slash' ? nextOf : nextOfAny;
  const [first, before] = spanOf(pattern);
  let from: string | null = first;
  if (start !== null && compareKeys(start, from) > 0) from = start;
  let keysMax = KEYS_MIN;
  while (from !== null && (before === null || compareKeys(from, before) < 0)) {
    const keys = rows.keys(from, before, keysMax);
    if (keys.length === 0) return;
    let found = 0;
    let seen = 0;
    for (const key of keys) {
      if (compareKeys(key, from) < 0) continue;
      seen++;
      const words = key.split(SEPARATOR);
      if (matches(pattern, pattern.form === 'slash' ? words : wordsOf(key))) {
        found++;
        from = keyAfter(key);
        // It may have gone since its key was read.
        const value = rows.get(key);
        if (value !== undefined) yield value;
      } else {
        from = jump(pattern, words);
        if (from === null) return;
      }
    }
    keysMax = seen * 2 > keys.length ? Math.min(2 * keysMax, KEYS_MAX) : KEYS_MIN;
    if (found === 0) yield null;
  }
}

/**
 * Values that match, in the order in which they were set, which is how they lie on disk; null after
 * some that are passed over.
 * @param from offset to begin at
 * @param before offset where it ends
 */
export function* walkInOrder(
  rows: LastValueRows,
  pattern: Pattern,
  from: number,
  before: number,
): Generator<StoredValue | null> {
  let passed = 0;
  while (true) {
    const { replacements } = rows;
    const values = rows.inOrder(from, before, ROWS_MAX, BYTES_MAX);
    if (values.length === 0) return;
    from = values[values.length - 1]!.offset + 1;
    for (const value of values) {
      const { key, offset } = value;
      const words = pattern.form === 'slash' ? key.split(SEPARATOR) : wordsOf(key);
      // Asked when it is its turn: it may have been replaced since it was read.
      const isKnown = replacements >= 0 && replacements === rows.replacements;
      if (matches(pattern, words) && (isKnown || rows.isNewest(key, offset))) yield value;
      else if (++passed % PASSED_MAX === 0) yield null;
    }
  }
}

/** Does a pattern match so many values that reading all in their order on disk is cheaper? */
export function isBroad(rows: LastValueRows, pattern: Pattern): boolean {
  if (rows.count < BROAD_COUNT || pattern.exact) return false;
  const [from, before] = spanOf(pattern);
  const least = rows.count / BROAD_SHARE;
  const span = rows.estimate(from, before);
  if (span < least) return false;
  const keys = rows.sample(from, before, SAMPLES);
  let found = 0;
  for (const key of keys) {
    const words = pattern.form === 'slash' ? key.split(SEPARATOR) : wordsOf(key);
    if (matches(pattern, words)) found++;
  }
  return (found / keys.length) * span >= least;
}

/** All keys that a pattern can match lie from the first one on and before the second. */
function spanOf(pattern: Pattern): [from: string, before: string | null] {
  const lead = pattern.form === 'slash' ? leadOf(pattern.parts) : [];
  const from = lead.join(SEPARATOR);
  return [from, lead.length === 0 ? null : from + AFTER];
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
