/**
 * Addresses and their spellings. An address is a list of levels; its canonical text joins them with
 * `/` after escaping, so that `[a, b]` is `a/b`. Each family of protocols spells levels in its own
 * way; a spelling is a bijection per level (docs/mapping.md, "Names level by level"), so no two
 * names collide and no name can turn into a wildcard.
 */

/** How one spelling treats a level. Codes are two upper-case hex digits. */
class LevelCodec {
  readonly #escape: RegExp | null;
  readonly #unescape: RegExp;
  readonly #wholeLiteral: RegExp | null;
  readonly #codeOf: ReadonlyMap<string, string>;
  readonly #charOf: ReadonlyMap<string, string>;
  readonly #wholeCodeOf: ReadonlyMap<string, string>;
  readonly #wholeCharOf: ReadonlyMap<string, string>;
  readonly #suspicious: RegExp;

  /**
   * @param anywhere characters that may not stand anywhere in a level, with their codes
   * @param whole texts that may not be a whole level, with their codes
   */
  constructor(
    anywhere: readonly (readonly [string, string])[],
    whole: readonly (readonly [string, string])[],
  ) {
    this.#codeOf = new Map(anywhere);
    this.#charOf = new Map(anywhere.map(([char, code]) => [code, char]));
    this.#wholeCodeOf = new Map(whole);
    this.#wholeCharOf = new Map(whole.map(([text, code]) => [code, text]));
    const chars = anywhere.map(([char]) => `\\u${hex4(char)}`).join('');
    const codes = anywhere.map(([, code]) => code).join('|');
    this.#escape = new RegExp(`%((?:25)*)(${codes})|[${chars}]`, 'g');
    this.#unescape = new RegExp(`%((?:25)*)(${codes})`, 'g');
    this.#wholeLiteral =
      whole.length === 0
        ? null
        : new RegExp(`^%((?:25)*)(${whole.map(([, code]) => code).join('|')})$`);
    this.#suspicious = new RegExp(`[%${chars}]`);
  }

  encode(level: string): string {
    const code = this.#wholeCodeOf.get(level);
    if (code !== undefined) return `%${code}`;
    if (!this.#suspicious.test(level)) return level;
    const literal = this.#wholeLiteral?.exec(level);
    if (literal) return `%25${literal[1]}${literal[2]}`;
    return level.replace(this.#escape!, (match: string, more: string | undefined, hh: string) =>
      hh === undefined ? `%${this.#codeOf.get(match)}` : `%25${more}${hh}`,
    );
  }

  decode(text: string): string {
    if (!text.includes('%')) return text;
    const literal = this.#wholeLiteral?.exec(text);
    if (literal) {
      return literal[1] === ''
        ? this.#wholeCharOf.get(literal[2]!)!
        : `%${literal[1]!.slice(2)}${literal[2]}`;
    }
    return text.replace(this.#unescape, (_, more: string, hh: string) =>
      more === '' ? this.#charOf.get(hh)! : `%${more.slice(2)}${hh}`,
    );
  }
}

function hex4(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(4, '0');
}

const slashLevels = new LevelCodec(
  [
    ['/', '2F'],
    ['+', '2B'],
    ['#', '23'],
    ['\0', '00'],
  ],
  [],
);
const strictDotLevels = new LevelCodec(
  [
    ['.', '2E'],
    [' ', '20'],
    ['\t', '09'],
    ['\n', '0A'],
    ['\r', '0D'],
  ],
  [
    ['*', '2A'],
    ['>', '3E'],
    ['', '00'],
  ],
);
const plainDotLevels = new LevelCodec([['.', '2E']], []);

export class Address {
  /** Canonical text: escaped levels joined by `/`. */
  readonly text: string;
  /** True when it was written with dots between its levels (alias rule 2). */
  readonly dotted: boolean;
  #levels: readonly string[] | null = null;

  constructor(text: string, dotted: boolean) {
    this.text = text;
    this.dotted = dotted;
  }

  get levels(): readonly string[] {
    this.#levels ??= this.text.split('/').map((level) => slashLevels.decode(level));
    return this.#levels;
  }

  /** One level: a flat name, which the dotted spellings show by its dots. */
  get flat(): boolean {
    return !this.text.includes('/');
  }

  /**
   * The flat name that is the same place: the level of a flat address; `a.b.c` for the dotted
   * address [a, b, c] when no level has a dot of its own; otherwise null.
   */
  get flatName(): string | null {
    if (this.flat) return slashLevels.decode(this.text);
    if (!this.dotted || this.text.includes('.')) return null;
    return this.levels.join('.');
  }

  /** `$…` and `_INBOX…`: never stored by a default, never seen by a first-level wildcard. */
  get reserved(): boolean {
    return this.text.startsWith('$') || this.text.startsWith('_INBOX');
  }

  /**
   * The words that dotted patterns match, in canonical escaping: a flat name counts by its dots.
   */
  get words(): string[] {
    return this.text.split(this.flat ? '.' : '/');
  }
}

/**
 * One family's way to write addresses. `parse` and `show` are inverse but for the alias of flat
 * names.
 */
export interface Spelling {
  parse(native: string): Address;
  show(address: Address): string;
}

/** Levels between slashes, as they are. */
export const slashSpelling: Spelling = {
  parse: (native) => new Address(native, false),
  show: (address) => address.text,
};

class DotSpelling implements Spelling {
  readonly #levels: LevelCodec;
  /** A name without any of these is the canonical text but for its separators. */
  readonly #plain: RegExp;

  constructor(levels: LevelCodec, plain: RegExp) {
    this.#levels = levels;
    this.#plain = plain;
  }

  parse(native: string): Address {
    if (this.#plain.test(native)) return new Address(native.replaceAll('.', '/'), true);
    const levels = native.split('.').map((word) => slashLevels.encode(this.#levels.decode(word)));
    return new Address(levels.join('/'), true);
  }

  show(address: Address): string {
    const { text } = address;
    if (this.#plain.test(text)) return text;
    if (address.flat) {
      const words = address.levels[0]!.split('.');
      return words.map((word) => this.#levels.encode(word)).join('.');
    }
    return address.levels.map((level) => this.#levels.encode(level)).join('.');
  }
}

/** Words between dots; no white space, no word that is a wildcard, no empty word. */
export const strictDotSpelling: Spelling = new DotSpelling(
  strictDotLevels,
  /^[a-zA-Z0-9_$-]+(?:\.[a-zA-Z0-9_$-]+)*$/,
);

/** Words between dots, anything else as it is. */
export const plainDotSpelling: Spelling = new DotSpelling(
  plainDotLevels,
  /^[a-zA-Z0-9_$-]+(?:\.[a-zA-Z0-9_$-]+)*$/,
);

/** A flat name: one level, every character as it is. */
export function flatAddress(name: string): Address {
  return new Address(slashLevels.encode(name), false);
}

/** The address of several levels, given unescaped. */
export function addressOfLevels(levels: readonly string[], dotted: boolean): Address {
  return new Address(levels.map((level) => slashLevels.encode(level)).join('/'), dotted);
}

/** An address by its canonical text, such as a stored reply address. */
export function addressOfText(canonical: string): Address {
  return new Address(canonical, false);
}

/** For the codec tests and for patterns: the level codecs by themselves. */
export const levelCodecs = {
  slash: slashLevels,
  strictDot: strictDotLevels,
  plainDot: plainDotLevels,
} as const;
