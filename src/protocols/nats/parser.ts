/**
 * Bytes -> whole frames of the NATS protocol, for either direction. No I/O, no clock, no meaning.
 *
 * The parser is its own frame: after `next()` answered true, the fields describe the frame, and
 * they stay valid until the next call of `next()`. Nothing is allocated per frame; a body becomes a
 * view on the chunk that was read when it is asked for, and only what a chunk boundary cut in two
 * is joined by copying. `push()` takes bytes at any time, also while a frame is still in use, so a
 * reader may stop after any frame and go on later.
 *
 * Publishers repeat themselves: a control line that is, byte for byte, the one before it in the
 * same chunk is not read again.
 */
import { ProtocolError } from '#kit';
import { isVerb, mayBecomeVerb, VERBS, type Verb, verbKey, verbsBy, WORDS_MAX } from './verbs.ts';

/** Which sentence of the protocol an unreadable stream deserves; `ProtocolError.wireCode`. */
export const FAULT = { parser: 0, operation: 1, controlLine: 2, payload: 3 } as const;

export interface ParserLimits {
  /** Largest control line, counted behind the verb, without the line end. */
  readonly controlLineBytesMax: number;
  /** Largest header block and body together. */
  readonly payloadBytesMax: number;
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const VERB_BYTES_MAX = 7;
const SIZE_DIGITS_MAX = 9;
const EMPTY = Buffer.alloc(0);

const tables = { client: verbsBy('client'), server: verbsBy('server') };

export class Parser {
  /** The frame: its verb, and the buffer that holds its control line. */
  verb: Verb = VERBS.ping;
  line: Buffer = EMPTY;
  /** Number of words behind the verb; for verbs with `rest` 0 or 1. */
  words = 0;
  /** Size of the header block and the body together; `headerSize` bytes of it are the block. */
  bodySize = 0;
  headerSize = 0;
  /** The control line is the same, byte for byte, as that of the frame before. */
  repeated = false;

  readonly #table: ReadonlyMap<number, Verb>;
  readonly #limits: ParserLimits;
  /** Where the control line begins in `line`. */
  #lineAt = 0;
  /** Where the words begin and end, counted from there: two numbers each. */
  readonly #spans: number[] = new Array<number>(2 * WORDS_MAX).fill(0);
  /** What holds the body, and where it begins. */
  #bodyIn: Buffer = EMPTY;
  #bodyAt = 0;
  #chunk: Buffer = EMPTY;
  #at = 0;
  /**
   * Bytes of the last control line, line end included, when that line and its body were whole in
   * `#chunk`; else 0. While it is above 0, `#at` is at the beginning of a frame.
   */
  #lastLineBytes = 0;
  /** Chunks that came while `#chunk` was still in use. */
  #waiting: Buffer[] = [];
  /** The start of a control line whose end has not come. */
  #partial: Buffer | null = null;
  /** Bytes that the body and its line end still lack; 0 outside a body. */
  #missing = 0;
  /** What came so far of a body that a chunk boundary cut; grows by doubling, with what came. */
  #gathered: Buffer = EMPTY;
  #gatheredBytes = 0;

  constructor(speaker: 'client' | 'server', limits: ParserLimits) {
    this.#table = tables[speaker];
    this.#limits = limits;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#at === this.#chunk.length && this.#waiting.length === 0) {
      this.#chunk = chunk;
      this.#at = 0;
      this.#lastLineBytes = 0;
    } else {
      this.#waiting.push(chunk);
    }
  }

  from(word: number): number {
    return this.#lineAt + this.#spans[2 * word]!;
  }

  to(word: number): number {
    return this.#lineAt + this.#spans[2 * word + 1]!;
  }

  /** Header block and body together: a new view on the bytes that were read. */
  get body(): Buffer {
    return this.#part(0, this.bodySize);
  }

  /** The header block alone. */
  get headerBlock(): Buffer {
    return this.#part(0, this.headerSize);
  }

  /** The body without its header block. */
  get payload(): Buffer {
    return this.#part(this.headerSize, this.bodySize);
  }

  /** Copies a word out as text. For what is rare. */
  text(word: number): string {
    return this.line.toString('utf8', this.from(word), this.to(word));
  }

  /** A word as an opaque name, one character per byte. */
  opaque(word: number): string {
    return this.line.toString('latin1', this.from(word), this.to(word));
  }

  /** A word as a number of at most nine digits; throws when it is none. */
  number(word: number): number {
    const { line } = this;
    const from = this.from(word);
    const to = this.to(word);
    if (to - from > SIZE_DIGITS_MAX) throw new ProtocolError('size', from, 'too many digits', 0);
    let value = 0;
    for (let at = from; at < to; at++) {
      const digit = line[at]! - 48;
      if (digit < 0 || digit > 9) throw new ProtocolError('size', at, 'not a number', 0);
      value = value * 10 + digit;
    }
    return value;
  }

  /**
   * True: a frame is there. False: more bytes are needed. Throws `ProtocolError`; do not go on
   * then.
   */
  next(): boolean {
    if (this.#lastLineBytes > 0 && this.#takeRepeated()) return true;
    this.repeated = false;
    for (;;) {
      if (this.#at === this.#chunk.length && !this.#advance()) return false;
      if (this.#missing > 0) {
        if (this.#takeBody()) return true;
      } else if (this.#partial !== null) {
        if (this.#joinLine() && this.#missing === 0) return true;
      } else if (this.#cutLine(this.#chunk, this.#at) && this.#missing === 0) {
        return true;
      }
    }
  }

  #part(from: number, to: number): Buffer {
    if (from === to) return EMPTY;
    return this.#bodyIn.subarray(this.#bodyAt + from, this.#bodyAt + to);
  }

  /**
   * Takes a frame whose control line is that of the last frame again, when all of it is in the
   * chunk: its words and sizes are known. False leaves everything as it is.
   */
  #takeRepeated(): boolean {
    const chunk = this.#chunk;
    const start = this.#at;
    const bodyAt = start + this.#lastLineBytes;
    const end = bodyAt + this.bodySize;
    if (end + 2 > chunk.length) return false;
    // From the end: lines of one verb differ there.
    for (let last = this.#bodyAt - 1, at = bodyAt - 1; at >= start; at--, last--) {
      if (chunk[at] !== chunk[last]) return false;
    }
    if (chunk[end] !== CR || chunk[end + 1] !== LF) this.#badEnd();
    this.#lineAt = start;
    this.#bodyAt = bodyAt;
    this.#at = end + 2;
    this.repeated = true;
    return true;
  }

  /**
   * Moves on to the next waiting chunk; lets go of the last one, so that an idle parser is small.
   */
  #advance(): boolean {
    const chunk = this.#waiting.shift();
    this.#at = 0;
    this.#lastLineBytes = 0;
    if (chunk !== undefined) {
      this.#chunk = chunk;
      return true;
    }
    this.#chunk = EMPTY;
    if (this.#missing === 0) {
      this.line = EMPTY;
      this.#bodyIn = EMPTY;
      this.bodySize = 0;
    }
    return false;
  }

  /**
   * One pass over the line: finds its end and its words. False when the end is not in `bytes`.
   * On true the line is taken; when it has a body and the body is complete, that is taken as well.
   */
  #cutLine(bytes: Buffer, start: number): boolean {
    const spans = this.#spans;
    const end = bytes.length;
    this.#lastLineBytes = 0;
    let at = start;
    while (at < end && bytes[at]! > SPACE) at++;
    const verbEnd = at;
    let words = 0;
    let wordFrom = -1;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte > SPACE) {
        if (wordFrom < 0) wordFrom = at;
        continue;
      }
      if (byte !== SPACE && byte !== TAB && byte !== LF && byte !== CR) {
        if (wordFrom < 0) wordFrom = at;
        continue;
      }
      if (wordFrom >= 0) {
        if (words < WORDS_MAX) {
          spans[2 * words] = wordFrom - start;
          spans[2 * words + 1] = at - start;
        }
        words++;
        wordFrom = -1;
      }
      if (byte === LF) {
        this.#lineLimit(bytes, start, verbEnd, at);
        this.line = bytes;
        this.#lineAt = start;
        this.words = words;
        if (bytes === this.#chunk) this.#at = at + 1;
        this.#readLine(verbEnd, at);
        return true;
      }
    }
    this.#lineLimit(bytes, start, verbEnd, end);
    if (!mayBecomeVerb(this.#table, bytes, start, verbEnd, verbEnd < end)) {
      throw new ProtocolError('verb', 0, 'unknown operation', FAULT.operation);
    }
    this.#partial = Buffer.from(bytes.subarray(start));
    if (bytes === this.#chunk) this.#at = end;
    return false;
  }

  #lineLimit(bytes: Buffer, start: number, verbEnd: number, at: number): void {
    if (verbEnd - start > VERB_BYTES_MAX) {
      throw new ProtocolError('verb', 0, 'no verb is that long', FAULT.operation);
    }
    if (at - verbEnd <= this.#limits.controlLineBytesMax + 2) return;
    // The same answer as when the line comes in pieces, whose first one shows the verb.
    if (!mayBecomeVerb(this.#table, bytes, start, verbEnd, true)) {
      throw new ProtocolError('verb', 0, 'unknown operation', FAULT.operation);
    }
    throw new ProtocolError('control line', at - start, 'too long', FAULT.controlLine);
  }

  /** A line that a chunk boundary cut: joins its parts, no more of the chunk than the line. */
  #joinLine(): boolean {
    const chunk = this.#chunk;
    const room = this.#limits.controlLineBytesMax + VERB_BYTES_MAX + 3 - this.#partial!.length;
    const search = chunk.length > room ? chunk.subarray(0, Math.max(room, 0)) : chunk;
    const end = search.indexOf(LF);
    const taken = end < 0 ? search.length : end + 1;
    if (taken === 0) throw new ProtocolError('control line', 0, 'too long', FAULT.controlLine);
    const line = Buffer.concat([this.#partial!, search.subarray(0, taken)]);
    this.#partial = null;
    this.#at = taken;
    return this.#cutLine(line, 0);
  }

  #readLine(verbEnd: number, lineEnd: number): void {
    const { line } = this;
    const start = this.#lineAt;
    const row = this.#table.get(verbKey(line, start, verbEnd));
    if (row === undefined || !isVerb(row, line, start, verbEnd)) {
      throw new ProtocolError('verb', 0, 'unknown operation', FAULT.operation);
    }
    this.verb = row;
    this.headerSize = 0;
    this.bodySize = 0;
    if (row.arguments === 'rest') this.#takeRest(verbEnd, lineEnd);
    if (this.words < row.wordsMin || this.words > row.wordsMax) {
      throw new ProtocolError('arguments', verbEnd - start, `${row.name}: ${this.words} words`, 0);
    }
    if (row.tail !== 'none') this.#startBody(row, lineEnd);
  }

  /** The whole rest of the line is one text, without the spaces around it. */
  #takeRest(verbEnd: number, lineEnd: number): void {
    const { line } = this;
    let from = verbEnd;
    let to = lineEnd;
    while (from < to && line[from]! <= SPACE) from++;
    while (to > from && line[to - 1]! <= SPACE) to--;
    this.#spans[0] = from - this.#lineAt;
    this.#spans[1] = to - this.#lineAt;
    this.words = from < to ? 1 : 0;
  }

  #startBody(row: Verb, lineEnd: number): void {
    const size = this.number(this.words - 1);
    if (row.tail === 'headers') {
      this.headerSize = this.number(this.words - 2);
      if (this.headerSize > size) {
        throw new ProtocolError('header size', this.from(this.words - 2), 'exceeds the total', 0);
      }
    }
    if (size > this.#limits.payloadBytesMax) {
      throw new ProtocolError('size', this.from(this.words - 1), 'too large', FAULT.payload);
    }
    this.bodySize = size;
    this.#missing = size + 2;
    const inChunk = this.line === this.#chunk;
    // The usual case, all in this chunk: no further state, no copy.
    if (this.#chunk.length - this.#at >= this.#missing) {
      this.#takeBody();
      if (inChunk) this.#lastLineBytes = this.#bodyAt - this.#lineAt;
      return;
    }
    this.#bodyIn = EMPTY;
    if (inChunk) this.#keepLine(lineEnd);
  }

  /** The body comes with later chunks: keep the line, not the whole chunk that it stands in. */
  #keepLine(lineEnd: number): void {
    this.line = Buffer.from(this.line.subarray(this.#lineAt, lineEnd));
    this.#lineAt = 0;
  }

  /** Takes what the chunk has of the body. True when it is complete, its line end included. */
  #takeBody(): boolean {
    const chunk = this.#chunk;
    const at = this.#at;
    if (this.#gatheredBytes === 0 && chunk.length - at >= this.#missing) {
      const end = at + this.bodySize;
      if (chunk[end] !== CR || chunk[end + 1] !== LF) this.#badEnd();
      this.#bodyIn = chunk;
      this.#bodyAt = at;
      this.#at = end + 2;
      this.#missing = 0;
      return true;
    }
    const taken = Math.min(this.#missing, chunk.length - at);
    this.#gather(chunk, at, taken);
    this.#at = at + taken;
    this.#missing -= taken;
    if (this.#missing > 0) return false;
    const whole = this.#gathered;
    this.#gathered = EMPTY;
    this.#gatheredBytes = 0;
    const end = this.bodySize;
    if (whole[end] !== CR || whole[end + 1] !== LF) this.#badEnd();
    this.#bodyIn = whole;
    this.#bodyAt = 0;
    return true;
  }

  /** Memory follows the bytes that came, not the size that the line announced. */
  #gather(chunk: Buffer, at: number, count: number): void {
    const needed = this.#gatheredBytes + count;
    if (needed > this.#gathered.length) {
      const whole = this.bodySize + 2;
      const grown = Buffer.allocUnsafe(
        Math.min(whole, Math.max(needed, 2 * this.#gathered.length)),
      );
      this.#gathered.copy(grown, 0, 0, this.#gatheredBytes);
      this.#gathered = grown;
    }
    chunk.copy(this.#gathered, this.#gatheredBytes, at, at + count);
    this.#gatheredBytes = needed;
  }

  #badEnd(): never {
    throw new ProtocolError('body', this.bodySize, 'does not end with CR LF', FAULT.parser);
  }
}
