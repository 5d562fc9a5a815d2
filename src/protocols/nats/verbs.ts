/**
 * The verbs of the NATS protocol, one row each: how a control line is cut, and what follows it.
 * Knows nothing of what a verb means; that is in `connection.ts` and `handlers/`.
 */

/** Who may say it. The parser refuses what the other end may not say. */
type Speaker = 'client' | 'server' | 'both';

/**
 * What stands behind the verb: `words` are cut at spaces and tabs; `rest` is one text to the end of
 * the line (JSON, an error sentence).
 */
type Arguments = 'words' | 'rest';

/**
 * What follows the line: nothing, a body whose size is the last word, or a header block and a body,
 * sized together by the last word and alone by the word before it.
 */
type Tail = 'none' | 'body' | 'headers';

export interface Verb {
  readonly name: string;
  readonly by: Speaker;
  readonly arguments: Arguments;
  /** Smallest and largest number of words; for `rest`, 1 means that the text must not be empty. */
  readonly wordsMin: number;
  readonly wordsMax: number;
  readonly tail: Tail;
}

function verb(
  name: string,
  by: Speaker,
  cut: Arguments,
  wordsMin: number,
  wordsMax: number,
  tail: Tail = 'none',
): Verb {
  return { name, by, arguments: cut, wordsMin, wordsMax, tail };
}

export const VERBS = {
  connect: verb('CONNECT', 'client', 'rest', 1, 1),
  pub: verb('PUB', 'client', 'words', 2, 3, 'body'), //       subject [reply] size
  hpub: verb('HPUB', 'client', 'words', 3, 4, 'headers'), //  subject [reply] header-size size
  sub: verb('SUB', 'client', 'words', 2, 3), //               subject [queue] sid
  unsub: verb('UNSUB', 'client', 'words', 1, 2), //           sid [max]
  ping: verb('PING', 'both', 'rest', 0, 1),
  pong: verb('PONG', 'both', 'rest', 0, 1),
  ok: verb('+OK', 'both', 'rest', 0, 1),
  err: verb('-ERR', 'both', 'rest', 0, 1),
  info: verb('INFO', 'server', 'rest', 1, 1),
  msg: verb('MSG', 'server', 'words', 3, 4, 'body'), //       subject sid [reply] size
  hmsg: verb('HMSG', 'server', 'words', 4, 5, 'headers'), //  subject sid [reply] header-size size
} as const satisfies Record<string, Verb>;

/** Largest `wordsMax` of the table: the parser keeps room for that many. */
export const WORDS_MAX = 5;

const KEY_BYTES = 4;

/**
 * A number for a word of the control line, equal for both cases of its letters: its length and its
 * first four bytes. Setting bit 5 folds the case of letters and leaves `+` and `-` alone.
 */
export function verbKey(bytes: Uint8Array, from: number, to: number): number {
  let key = to - from;
  const end = to - from > KEY_BYTES ? from + KEY_BYTES : to;
  for (let at = from; at < end; at++) key = (key << 8) ^ (bytes[at]! | 0x20);
  return key;
}

/** True when the word is exactly this verb, in any case. */
export function isVerb(verb: Verb, bytes: Uint8Array, from: number, to: number): boolean {
  const { name } = verb;
  if (to - from !== name.length) return false;
  for (let index = 0; index < name.length; index++) {
    let byte = bytes[from + index]!;
    if (byte >= 0x61 && byte <= 0x7a) byte -= 0x20;
    if (byte !== name.charCodeAt(index)) return false;
  }
  return true;
}

/**
 * Can a line that begins like this become one of these verbs? `whole`: the word has ended already.
 * Tells a client that speaks another protocol at its first bytes.
 */
export function mayBecomeVerb(
  table: ReadonlyMap<number, Verb>,
  bytes: Uint8Array,
  from: number,
  to: number,
  whole: boolean,
): boolean {
  const start = Buffer.from(bytes.subarray(from, to)).toString('latin1').toUpperCase();
  for (const { name } of table.values()) {
    if (whole ? name === start : name.startsWith(start)) return true;
  }
  return false;
}

/** The verbs that one side may say, by `verbKey`. No two of them share a key. */
export function verbsBy(speaker: 'client' | 'server'): ReadonlyMap<number, Verb> {
  const table = new Map<number, Verb>();
  for (const row of Object.values(VERBS)) {
    if (row.by !== speaker && row.by !== 'both') continue;
    const name = Buffer.from(row.name);
    table.set(verbKey(name, 0, name.length), row);
  }
  return table;
}
