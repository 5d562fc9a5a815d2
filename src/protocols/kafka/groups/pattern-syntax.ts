/**
 * Reads a regular expression in the syntax of RE2, which KIP-848 names, into a tree. What RE2 does
 * not know (back references, looking around) is an error here too: the rest can be matched in time
 * linear in the text. Topic names are ASCII, so a set of characters is 128 bits.
 */
import { CharSet, namedSet } from './char-set.ts';

/** Repetitions that one `{n,m}` may ask for, as in RE2. */
const REPEAT_MAX = 1000;
const DEPTH_MAX = 200;

export type Assertion = 'begin' | 'end' | 'word' | 'not-word';

export type Node =
  | { readonly kind: 'empty' }
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'all'; readonly parts: readonly Node[] }
  | { readonly kind: 'any'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly of: Node; readonly min: number; readonly max: number };

/** What is wrong with a pattern, as a sentence for the client. */
export class PatternError extends Error {}

const EMPTY: Node = { kind: 'empty' };
const ESCAPED_CONTROLS: Readonly<Record<string, number>> = {
  ...{ a: 7, t: 9, n: 10, v: 11, f: 12, r: 13 },
};
const POSIX = /^\[:(\^?)(\w+):\]/;
const PROPERTY = /^(?:\{(\^?)(\w+)\}|([A-Z]))/;
const COUNTED = /^\{(\d{1,4})(?:(,)(\d{0,4}))?\}/;
const GROUP_FLAGS = /^\?([imsU]*)(?:-([imsU]+))?([:)])/;
const GROUP_NAME = /^\?P?<\w+>/;

export function parsePattern(text: string): Node {
  return new Parser(text).whole();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #foldsCase = false;
  #dotTakesLines = false;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Node {
    const node = this.#alternatives();
    if (this.#at < this.#text.length) this.#fail('unexpected )');
    return node;
  }

  #fail(what: string): never {
    throw new PatternError(`${what} at position ${this.#at}`);
  }

  #alternatives(): Node {
    if (++this.#depth > DEPTH_MAX) this.#fail('nested too deeply');
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    this.#depth--;
    return parts.length === 1 ? parts[0]! : { kind: 'any', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length) {
      const next = this.#text[this.#at]!;
      if (next === '|' || next === ')') break;
      parts.push(this.#repeated(this.#atom()));
    }
    return parts.length === 1 ? parts[0]! : { kind: 'all', parts };
  }

  #repeated(atom: Node): Node {
    let node = atom;
    let before = '';
    for (;;) {
      const count = this.#count();
      if (count === null) return node;
      // `a**` is an error in RE2, and so is `a+{2}`; one question mark only means "lazy".
      if (before !== '') this.#fail(`bad repetition ${before}`);
      before = '**';
      this.#take('?');
      node = { kind: 'repeat', of: node, ...count };
    }
  }

  #count(): { min: number; max: number } | null {
    const max = Number.POSITIVE_INFINITY;
    if (this.#take('*')) return { min: 0, max };
    if (this.#take('+')) return { min: 1, max };
    if (this.#take('?')) return { min: 0, max: 1 };
    const counted = COUNTED.exec(this.#rest());
    // Braces that count nothing stand for themselves.
    if (counted === null) return null;
    const [all, low, comma, high] = counted;
    const min = Number(low);
    const most = comma === undefined ? min : high === '' ? max : Number(high);
    if (min > REPEAT_MAX || (most > REPEAT_MAX && most !== max) || most < min) {
      this.#fail(`bad repetition ${all}`);
    }
    this.#at += all.length;
    return { min, max: most };
  }

  #atom(): Node {
    const first = this.#text[this.#at++]!;
    switch (first) {
      case '(':
        return this.#group();
      case '[':
        return { kind: 'set', set: this.#bracket() };
      case '.':
        return { kind: 'set', set: this.#dotTakesLines ? CharSet.all() : CharSet.of('\n').not() };
      case '^':
        return { kind: 'assert', what: 'begin' };
      case '$':
        return { kind: 'assert', what: 'end' };
      case '*':
      case '+':
      case '?':
        this.#at--;
        return this.#fail('nothing to repeat');
      case '\\':
        return this.#escape();
      default:
        return this.#literal(first.codePointAt(0)!);
    }
  }

  #literal(code: number): Node {
    const set = new CharSet();
    set.add(code, code);
    return { kind: 'set', set: this.#foldsCase ? set.foldCase() : set };
  }

  #group(): Node {
    const { foldsCase, dotTakesLines } = this.#flags();
    const name = GROUP_NAME.exec(this.#rest());
    const flags = GROUP_FLAGS.exec(this.#rest());
    if (name !== null) this.#at += name[0].length;
    else if (flags !== null) {
      const [all, on = '', off = '', end] = flags;
      this.#at += all.length;
      if (on.includes('i')) this.#foldsCase = true;
      if (off.includes('i')) this.#foldsCase = false;
      if (on.includes('s')) this.#dotTakesLines = true;
      if (off.includes('s')) this.#dotTakesLines = false;
      // `(?i)` changes the rest of the group that it stands in.
      if (end === ')') return EMPTY;
    } else if (this.#text[this.#at] === '?') this.#fail('unknown group (looking around?)');
    const node = this.#alternatives();
    if (!this.#take(')')) this.#fail('missing )');
    this.#foldsCase = foldsCase;
    this.#dotTakesLines = dotTakesLines;
    return node;
  }

  #flags() {
    return { foldsCase: this.#foldsCase, dotTakesLines: this.#dotTakesLines };
  }

  #escape(): Node {
    const letter = this.#text[this.#at];
    const assertions: Readonly<Record<string, Assertion>> = {
      ...{ A: 'begin', z: 'end', b: 'word', B: 'not-word' },
    };
    const what = letter === undefined ? undefined : assertions[letter];
    if (what !== undefined) {
      this.#at++;
      return { kind: 'assert', what };
    }
    if (this.#take('Q')) return this.#quoted();
    const set = this.#classEscape();
    if (set !== null) return { kind: 'set', set };
    return this.#literal(this.#codeEscape());
  }

  /** `\Q...\E`: everything stands for itself. */
  #quoted(): Node {
    const end = this.#text.indexOf('\\E', this.#at);
    const text = this.#text.slice(this.#at, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#text.length : end + 2;
    return { kind: 'all', parts: [...text].map((char) => this.#literal(char.codePointAt(0)!)) };
  }

  /** After a backslash: a class of characters, or null when it is none. */
  #classEscape(): CharSet | null {
    const letter = this.#text[this.#at] ?? '';
    if (letter === 'p' || letter === 'P') {
      this.#at++;
      const found = PROPERTY.exec(this.#rest()) ?? this.#fail('bad character class');
      this.#at += found[0].length;
      const set = namedSet('property', found[2] ?? found[3]!) ?? this.#fail('unknown class');
      return (letter === 'P') !== (found[1] === '^') ? set.not() : set;
    }
    const set = namedSet('letter', letter.toLowerCase());
    if (set === null) return null;
    this.#at++;
    return letter === letter.toLowerCase() ? set : set.not();
  }

  /** After a backslash: one character. */
  #codeEscape(): number {
    const rest = this.#rest();
    const hex = /^x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/.exec(rest);
    const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest);
    if (hex !== null) {
      this.#at += hex[0].length;
      return Number.parseInt(hex[1] ?? hex[2]!, 16);
    }
    if (octal !== null) {
      this.#at += octal[0].length;
      return Number.parseInt(octal[0], 8);
    }
    const letter = rest[0] ?? this.#fail('a backslash at the end');
    const control = ESCAPED_CONTROLS[letter];
    if (control === undefined && /[a-zA-Z0-9]/.test(letter)) this.#fail(`unknown \\${letter}`);
    this.#at++;
    return control ?? letter.codePointAt(0)!;
  }

  #bracket(): CharSet {
    const negated = this.#take('^');
    const set = new CharSet();
    for (let first = true; ; first = false) {
      if (this.#at >= this.#text.length) this.#fail('missing ]');
      if (!first && this.#take(']')) break;
      this.#bracketItem(set);
    }
    const folded = this.#foldsCase ? set.foldCase() : set;
    return negated ? folded.not() : folded;
  }

  #bracketItem(set: CharSet): void {
    const posix = POSIX.exec(this.#rest());
    if (posix !== null) {
      const named = namedSet('posix', posix[2]!) ?? this.#fail('unknown class');
      this.#at += posix[0].length;
      set.join(posix[1] === '^' ? named.not() : named);
      return;
    }
    const escaped = this.#take('\\');
    const named = escaped ? this.#classEscape() : null;
    if (named !== null) {
      set.join(named);
      return;
    }
    const low = escaped ? this.#codeEscape() : this.#plainCode();
    let high = low;
    if (this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']') {
      this.#at++;
      high = this.#take('\\') ? this.#codeEscape() : this.#plainCode();
    }
    if (high < low) this.#fail('bad range');
    set.add(low, high);
  }

  #plainCode(): number {
    const code = this.#text.codePointAt(this.#at) ?? this.#fail('missing ]');
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #rest(): string {
    return this.#text.slice(this.#at, this.#at + 100);
  }
}
