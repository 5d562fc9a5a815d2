/**
 * Patterns of addresses. A pattern is a list of canonical words and wildcards, in one of two forms:
 * slash patterns see an address by its levels, dot patterns by its words (a flat `a.b.c` has
 * three).
 */
import { levelCodecs } from './address.ts';

/** Exactly one level. */
export const ONE = Symbol('one');
/** Any number of levels, none included. */
export const ANY = Symbol('any');
/** At least one level; last only. */
export const SOME = Symbol('some');

export type Part = string | typeof ONE | typeof ANY | typeof SOME;

export class Pattern {
  readonly form: 'slash' | 'dot';
  /** As the protocol wrote it. */
  readonly text: string;
  readonly parts: readonly Part[];
  /** True when no first-level wildcard may see `$…` addresses ([MQTT-4.7.2-1] and its like). */
  readonly hidesReserved: boolean;

  constructor(form: 'slash' | 'dot', text: string, parts: readonly Part[], hidesReserved: boolean) {
    this.form = form;
    this.text = text;
    this.parts = parts;
    this.hidesReserved = hidesReserved;
  }

  get exact(): boolean {
    return this.parts.every((part) => typeof part === 'string');
  }
}

/** Does a pattern match these canonical parts? For rights and single questions; not indexed. */
export function matches(pattern: Pattern, words: readonly string[]): boolean {
  const first = pattern.parts[0];
  if (pattern.hidesReserved && typeof first !== 'string' && isReservedWord(words[0] ?? '')) {
    return false;
  }
  return matchFrom(pattern.parts, 0, words, 0);
}

function matchFrom(
  parts: readonly Part[],
  p: number,
  words: readonly string[],
  w: number,
): boolean {
  for (; p < parts.length; p++, w++) {
    const part = parts[p]!;
    if (part === SOME) return w < words.length;
    if (part === ANY) {
      if (p === parts.length - 1) return true;
      for (let rest = w; rest <= words.length; rest++) {
        if (matchFrom(parts, p + 1, words, rest)) return true;
      }
      return false;
    }
    if (w >= words.length || (part !== ONE && part !== words[w])) return false;
  }
  return w === words.length;
}

/**
 * Is there an address that both patterns match? A dot pattern is also seen as a flat name's words.
 */
export function overlaps(a: Pattern, b: Pattern): boolean {
  if (overlapFrom(a.parts, 0, b.parts, 0)) return true;
  // A flat name written with dots: `x.y` as one level is the same place as the words x, y.
  const flatA = a.form === 'slash' ? dotsOf(a) : null;
  const flatB = b.form === 'slash' ? dotsOf(b) : null;
  return (
    (flatA !== null && overlapFrom(flatA, 0, b.parts, 0)) ||
    (flatB !== null && overlapFrom(a.parts, 0, flatB, 0))
  );
}

/** The words of a pattern that is one flat name with dots, or null. */
function dotsOf(pattern: Pattern): string[] | null {
  const only = pattern.parts.length === 1 ? pattern.parts[0] : undefined;
  return typeof only === 'string' && only.includes('.') ? only.split('.') : null;
}

function overlapFrom(a: readonly Part[], i: number, b: readonly Part[], j: number): boolean {
  const x = a[i];
  const y = b[j];
  if (x === undefined && y === undefined) return true;
  if (x === ANY)
    return overlapFrom(a, i + 1, b, j) || (y !== undefined && overlapFrom(a, i, b, j + 1));
  if (y === ANY)
    return overlapFrom(a, i, b, j + 1) || (x !== undefined && overlapFrom(a, i + 1, b, j));
  if (x === undefined || y === undefined) return false;
  // SOME is one word and then any number.
  if (x === SOME) return overlapFrom([ONE, ANY], 0, b, j);
  if (y === SOME) return overlapFrom(a, i, [ONE, ANY], 0);
  if (x !== ONE && y !== ONE && x !== y) return false;
  return overlapFrom(a, i + 1, b, j + 1);
}

export function isReservedWord(word: string): boolean {
  return word.startsWith('$') || word === '_INBOX';
}

/**
 * `+` one level, `#` last: the rest and its parent. Null when a wildcard stands where it may not.
 */
export function slashPattern(filter: string): Pattern | null {
  if (filter === '') return null;
  const levels = filter.split('/');
  const parts: Part[] = [];
  for (let index = 0; index < levels.length; index++) {
    const level = levels[index]!;
    if (level === '#') {
      if (index !== levels.length - 1) return null;
      parts.push(ANY);
    } else if (level === '+') parts.push(ONE);
    else if (level.includes('+') || level.includes('#')) return null;
    else parts.push(level);
  }
  return new Pattern('slash', filter, parts, true);
}

/** `*` one word, `>` last: at least one more. Null when a word is empty or has white space. */
export function strictDotPattern(text: string): Pattern | null {
  const words = text.split('.');
  const parts: Part[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === '' || /\s/.test(word)) return null;
    if (word === '*') parts.push(ONE);
    else if (word === '>') {
      if (index !== words.length - 1) return null;
      parts.push(SOME);
    } else parts.push(levelCodecs.slash.encode(levelCodecs.strictDot.decode(word)));
  }
  return new Pattern('dot', text, parts, false);
}

/**
 * `*` one word, `#` anywhere: any number of words, none included. Every text is a valid pattern.
 */
export function plainDotPattern(text: string): Pattern {
  const parts: Part[] = [];
  for (const word of text.split('.')) {
    if (word === '*') parts.push(ONE);
    else if (word === '#') {
      if (parts.at(-1) !== ANY) parts.push(ANY);
    } else parts.push(levelCodecs.slash.encode(levelCodecs.plainDot.decode(word)));
  }
  return new Pattern('dot', text, parts, true);
}
