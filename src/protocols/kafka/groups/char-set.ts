/** A set of ASCII characters, as the bits of four words. */

const WORDS = 4;
export const ASCII = 128;

export class CharSet {
  readonly #bits = new Uint32Array(WORDS);

  static of(chars: string): CharSet {
    const set = new CharSet();
    for (const char of chars) set.add(char.codePointAt(0)!, char.codePointAt(0)!);
    return set;
  }

  static all(): CharSet {
    return new CharSet().not();
  }

  /** The characters that `test` is true for. */
  static where(test: (char: string) => boolean): CharSet {
    const set = new CharSet();
    for (let code = 0; code < ASCII; code++) {
      if (test(String.fromCharCode(code))) set.add(code, code);
    }
    return set;
  }

  has(code: number): boolean {
    return code < ASCII && (this.#bits[code >>> 5]! & (1 << (code & 31))) !== 0;
  }

  /** Both ends included; what is not ASCII is in no topic's name. */
  add(low: number, high: number): void {
    for (let code = low; code <= Math.min(high, ASCII - 1); code++) {
      this.#bits[code >>> 5]! |= 1 << (code & 31);
    }
  }

  join(other: CharSet): void {
    for (let word = 0; word < WORDS; word++) this.#bits[word]! |= other.#bits[word]!;
  }

  not(): CharSet {
    const set = new CharSet();
    for (let word = 0; word < WORDS; word++) set.#bits[word] = ~this.#bits[word]!;
    return set;
  }

  foldCase(): CharSet {
    return CharSet.where((char) => {
      return (
        this.has(char.toLowerCase().charCodeAt(0)) || this.has(char.toUpperCase().charCodeAt(0))
      );
    });
  }
}

const LETTERS: Readonly<Record<string, RegExp>> = {
  d: /[0-9]/,
  s: /[\t\n\f\r ]/,
  w: /[0-9A-Za-z_]/,
};
const POSIX: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the class of all ASCII
  ascii: /[\x00-\x7f]/,
  blank: /[\t ]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the class of control characters
  cntrl: /[\x00-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  upper: /[A-Z]/,
  word: /[0-9A-Za-z_]/,
  xdigit: /[0-9A-Fa-f]/,
};

/** `\d` is a letter, `[:digit:]` is posix, `\p{Nd}` and `\p{Latin}` are properties of Unicode. */
export function namedSet(kind: 'letter' | 'posix' | 'property', name: string): CharSet | null {
  const test = kind === 'property' ? property(name) : (kind === 'letter' ? LETTERS : POSIX)[name];
  return test === undefined ? null : CharSet.where((char) => test.test(char));
}

function property(name: string): RegExp | undefined {
  for (const text of [`\\p{${name}}`, `\\p{Script=${name}}`]) {
    try {
      return new RegExp(text, 'u');
    } catch {
      // Not a property of this form.
    }
  }
  return undefined;
}
