/**
 * What a question about rights is about: an address, a pattern of addresses, or a stream with
 * everything in it; and how a rule answers it.
 */
import { type Address, flatAddress } from '../addresses/address.ts';
import { ANY, matches, overlaps, Pattern, slashPattern } from '../addresses/pattern.ts';
import type { Routes } from '../addresses/routes.ts';
import { LAST_VALUES } from '../streams/last-values-stream.ts';

/** The server as a whole; who has rights on it can give rights. */
export const CLUSTER_ADDRESS = '$cluster';

/** Everything that a stream may hold: its flat name, what lies below, what routes bring there. */
export class StreamPlace {
  readonly address: Address;
  /** The name and what lies below it. */
  readonly below: Pattern;
  /** Patterns of routes that lead into the stream. */
  readonly routed: readonly Pattern[];
  /** Equal for equal places. */
  readonly key: string;

  constructor(name: string, routed: readonly Pattern[]) {
    this.address = flatAddress(name);
    const { text } = this.address;
    this.below = new Pattern('slash', `${text}/#`, [text, ANY], false);
    this.routed = routed;
    this.key = [text, ...routed.map((pattern) => pattern.text)].join('\0');
  }
}

/**
 * A stream with all that it may hold, as routes lead there now: who reads it as a whole needs the
 * right for all of it. Good while the version of the routes is the same.
 */
export function wholeOf(routes: Routes, stream: string): StreamPlace {
  const routed: Pattern[] = [];
  if (stream === LAST_VALUES) routed.push(EVERYTHING);
  for (const route of routes.list()) {
    if (route.stream === stream) routed.push(slashPattern(route.pattern)!);
  }
  return new StreamPlace(stream, routed);
}

/** The last values have addresses of all streams. */
const EVERYTHING = new Pattern('slash', '#', [ANY], false);

export type Place = Address | Pattern | StreamPlace;

/** How the places of a rule are tested. */
export interface Reach {
  /** The first word that every place of the rule begins with; null when there is none. */
  readonly head: string | null;
  /** Does a rule that denies reach any of it? */
  touches(question: Question): boolean;
  /** Does a rule that allows hold for all of it? */
  covers(question: Question): boolean;
}

/** A place, prepared once for all rules that look at it. */
export class Question {
  readonly place: Place;
  /** Words of an address, in each form under which it is one place; of a pattern none. */
  readonly forms: readonly (readonly string[])[];
  readonly pattern: Pattern | null;
  /** The first word that everything in it begins with; null when there is none. */
  readonly head: string | null;

  constructor(place: Place) {
    this.place = place;
    this.pattern =
      place instanceof Pattern ? place : place instanceof StreamPlace ? place.below : null;
    const address = place instanceof StreamPlace ? place.address : place;
    if (address instanceof Pattern) {
      this.forms = address.form === 'dot' && address.exact ? dottedForms(address) : [];
      const first = address.parts[0];
      this.head = typeof first === 'string' ? headOf(first) : null;
    } else {
      this.forms = formsOf(address);
      this.head = headOf(address.text);
    }
  }
}

/** Every spelling of one place begins alike up to its first separator. */
function headOf(text: string): string {
  const end = text.search(/[./]/);
  return end < 0 ? text : text.slice(0, end);
}

/** The forms under which an address is one place: by its levels, and by the dots of a flat name. */
function formsOf(address: Address): readonly (readonly string[])[] {
  const levels = address.text.split('/');
  if (address.flat) {
    const words = address.text.split('.');
    return words.length > 1 ? [levels, words] : [levels];
  }
  return address.dotted ? [levels, [levels.join('.')]] : [levels];
}

/** A pattern of dots without wildcards is one address. */
function dottedForms(pattern: Pattern): readonly (readonly string[])[] {
  const words = pattern.parts as readonly string[];
  return words.length > 1 ? [words, [words.join('.')]] : [words];
}

/** The places of a pattern of addresses. */
export class PatternReach implements Reach {
  readonly head: string | null;
  readonly #pattern: Pattern;

  constructor(pattern: Pattern) {
    // Unlike a subscription, a rule about everything is also about `$…`.
    this.#pattern = new Pattern('slash', pattern.text, pattern.parts, false);
    const first = pattern.parts[0];
    this.head = typeof first === 'string' ? headOf(first) : null;
  }

  touches({ forms, pattern }: Question): boolean {
    if (pattern !== null && overlaps(this.#pattern, pattern)) return true;
    return forms.some((words) => matches(this.#pattern, words));
  }

  covers({ place, forms, pattern, head }: Question): boolean {
    // Rights on the cluster make others: a rule about all data does not give them.
    if (head === CLUSTER_ADDRESS && this.head !== head) return false;
    if (pattern !== null && coversPattern(this.#pattern, pattern)) return true;
    // A stream holds more than its name: a rule must be open at its end to hold for it.
    if (place instanceof StreamPlace && this.#pattern.parts.at(-1) !== ANY) return false;
    return forms.some((words) => matches(this.#pattern, words));
  }
}

/**
 * A pattern is covered when the rule matches it with its wildcards taken as words it cannot name.
 */
function coversPattern(rule: Pattern, pattern: Pattern): boolean {
  const words: string[] = [];
  for (const part of pattern.parts) {
    if (typeof part === 'string') words.push(part);
    else if (part.description === 'one') words.push('\0one');
    else {
      // "Any number of" is covered only by a rule that is open at the same place or before.
      return matchesOpenEnd(rule, words);
    }
  }
  return matches(rule, words);
}

function matchesOpenEnd(rule: Pattern, words: readonly string[]): boolean {
  if (rule.parts.at(-1) !== ANY) return false;
  return matches(rule, words) || matches(rule, [...words, '\0any']);
}

/** The places of a stream, or of all whose names begin alike. */
export class StreamReach implements Reach {
  readonly head: string | null;
  readonly #name: string;
  readonly #prefix: boolean;

  constructor(name: string, prefix: boolean) {
    this.#name = name === '*' ? '' : flatAddress(name).text;
    this.#prefix = prefix || name === '*';
    const open = this.#prefix && !/[./]/.test(this.#name);
    this.head = open ? null : headOf(this.#name);
  }

  touches(question: Question): boolean {
    const { place } = question;
    if (place instanceof Pattern) return this.#touchesPattern(place);
    return this.#holdsAddress(place instanceof StreamPlace ? place.address : place);
  }

  covers(question: Question): boolean {
    const { place } = question;
    if (place instanceof Pattern) return this.#coversPattern(place);
    return this.#holdsAddress(place instanceof StreamPlace ? place.address : place);
  }

  #holds(stream: string): boolean {
    return this.#prefix ? stream.startsWith(this.#name) : stream === this.#name;
  }

  #holdsAddress(address: Address): boolean {
    const { text } = address;
    // What belongs to the server (groups, the cluster) is no stream, whatever the name says.
    if (text.startsWith('$')) return false;
    if (address.flat) return this.#holds(text);
    if (this.#holds(text.slice(0, text.indexOf('/')))) return true;
    return address.dotted && this.#holds(text.replaceAll('/', '.'));
  }

  #touchesPattern(pattern: Pattern): boolean {
    const words = leadingWords(pattern);
    if (words.length === 0) return true;
    if (this.#holds(words[0]!)) return true;
    if (pattern.form === 'slash') return false;
    // Patterns of dots see flat names by their words.
    const joined = words.join('.');
    if (words.length === pattern.parts.length) return this.#holds(joined);
    const open = `${joined}.`;
    return this.#name.startsWith(open) || (this.#prefix && open.startsWith(this.#name));
  }

  #coversPattern(pattern: Pattern): boolean {
    const words = leadingWords(pattern);
    if (words.length === 0) return this.#prefix && this.#name === '';
    const levels = this.#holds(words[0]!);
    if (pattern.form === 'slash') return levels;
    const joined = words.join('.');
    if (words.length === pattern.parts.length) return levels || this.#holds(joined);
    return levels && this.#prefix && `${joined}.`.startsWith(this.#name);
  }
}

function leadingWords(pattern: Pattern): string[] {
  const words: string[] = [];
  for (const part of pattern.parts) {
    if (typeof part !== 'string') break;
    words.push(part);
  }
  return words;
}

/** Things with names of their own, such as groups: addresses below a reserved level. */
export class NamedReach implements Reach {
  readonly head: string;
  readonly #begin: string;
  readonly #prefix: boolean;

  constructor(root: string, name: string, prefix: boolean) {
    this.head = root;
    this.#begin = `${root}/${name === '*' ? '' : name}`;
    this.#prefix = prefix || name === '*';
  }

  touches({ place }: Question): boolean {
    if (place instanceof Pattern || place instanceof StreamPlace) return false;
    return this.#prefix ? place.text.startsWith(this.#begin) : place.text === this.#begin;
  }

  covers(question: Question): boolean {
    return this.touches(question);
  }
}
