/** Changes to an input: one to a dozen at a time, each a small blind step. */
import type { Dice } from './dice.ts';

export interface Sources {
  readonly words: readonly Buffer[];
  /** Another input of the queue, to take pieces from. */
  readonly other: Buffer;
  readonly bytesMax: number;
}

type Step = (bytes: Buffer, dice: Dice, from: Sources) => Buffer;

const INTERESTING = [
  0,
  1,
  -1,
  2,
  3,
  4,
  5,
  7,
  8,
  15,
  16,
  31,
  32,
  61,
  63,
  64,
  80,
  100,
  127,
  128,
  129,
  255,
  256,
  512,
  1000,
  1023,
  1024,
  4095,
  4096,
  32_767,
  32_768,
  65_535,
  65_536,
  1 << 20,
  0x7fffff,
  0x7fffffff,
  -0x80000000,
  -128,
  -129,
  -32_768,
  0x0fffffff,
  0x10000000,
];
/** Numbers as protocols in plain text write them. */
const NUMERALS = [
  '0',
  '1',
  '-1',
  '2',
  '9',
  '10',
  '255',
  '1024',
  '65536',
  '999999999',
  '9999999999',
];
const REPEATS = [2, 3, 8, 32, 100];

const MUTATIONS: readonly Step[] = [
  flipBit,
  setByte,
  addToByte,
  interestingNumber,
  interestingNumber,
  insertWord,
  overwriteWord,
  remove,
  duplicate,
  repeat,
  splice,
  insertFromOther,
  truncate,
  insertRandom,
  numeral,
  resizeCounted,
  resizeCounted,
  swap,
];

/** A changed copy of the input. */
export function mutate(input: Buffer, dice: Dice, from: Sources): Buffer {
  let bytes: Buffer = Buffer.from(input);
  const steps = 1 + dice.below(2 ** dice.below(4));
  for (let step = 0; step < steps; step++) {
    bytes = dice.pick(MUTATIONS)(bytes, dice, from);
    if (bytes.length > from.bytesMax) bytes = bytes.subarray(0, from.bytesMax);
  }
  return bytes;
}

/** Replaces `count` bytes at `at`. */
function spliced(bytes: Buffer, at: number, count: number, insert: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + count)]);
}

/** A short or, seldom, a long part of the bytes. */
function range(bytes: Buffer, dice: Dice): { at: number; size: number } {
  const at = dice.below(bytes.length + 1);
  const most = Math.min(bytes.length - at, dice.oneIn(4) ? bytes.length : 16);
  return { at, size: most === 0 ? 0 : 1 + dice.below(most) };
}

function flipBit(bytes: Buffer, dice: Dice): Buffer {
  if (bytes.length > 0) bytes[dice.below(bytes.length)]! ^= 1 << dice.below(8);
  return bytes;
}

function setByte(bytes: Buffer, dice: Dice): Buffer {
  if (bytes.length > 0) bytes[dice.below(bytes.length)] = dice.below(256);
  return bytes;
}

function addToByte(bytes: Buffer, dice: Dice): Buffer {
  if (bytes.length > 0) bytes[dice.below(bytes.length)]! += dice.below(33) - 16;
  return bytes;
}

/** A border value in one, two, four or eight bytes, or as a variable-length number. */
function interestingNumber(bytes: Buffer, dice: Dice): Buffer {
  const value = dice.pick(INTERESTING);
  const number = numberBytes(value, dice);
  const at = dice.below(bytes.length + 1);
  return spliced(bytes, at, dice.oneIn(4) ? 0 : number.length, number);
}

function numberBytes(value: number, dice: Dice): Buffer {
  const width = dice.pick([1, 1, 2, 2, 4, 4, 8, 0]);
  if (width === 0) return variable(value >>> 0);
  const bytes = Buffer.alloc(width, value < 0 ? 0xff : 0);
  if (width === 8) bytes.writeInt32BE(value | 0, dice.oneIn(4) ? 0 : 4);
  else for (let at = width - 1, left = value; at >= 0; at--, left >>= 8) bytes[at] = left & 0xff;
  return bytes;
}

function variable(value: number): Buffer {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  bytes.push(value);
  return Buffer.from(bytes);
}

function insertWord(bytes: Buffer, dice: Dice, { words }: Sources): Buffer {
  if (words.length === 0) return bytes;
  return spliced(bytes, dice.below(bytes.length + 1), 0, dice.pick(words));
}

function overwriteWord(bytes: Buffer, dice: Dice, { words }: Sources): Buffer {
  if (words.length === 0) return bytes;
  const word = dice.pick(words);
  return spliced(bytes, dice.below(bytes.length + 1), word.length, word);
}

function remove(bytes: Buffer, dice: Dice): Buffer {
  const { at, size } = range(bytes, dice);
  return spliced(bytes, at, size, Buffer.alloc(0));
}

function duplicate(bytes: Buffer, dice: Dice): Buffer {
  const { at, size } = range(bytes, dice);
  return spliced(bytes, dice.below(bytes.length + 1), 0, bytes.subarray(at, at + size));
}

/** The same piece again and again, where it stands: lists that grow, nesting that deepens. */
function repeat(bytes: Buffer, dice: Dice, { bytesMax }: Sources): Buffer {
  const { at, size } = range(bytes, dice);
  const times = Math.min(dice.pick(REPEATS), Math.floor(bytesMax / Math.max(1, size)));
  const piece = bytes.subarray(at, at + size);
  return spliced(bytes, at, 0, Buffer.concat(Array.from({ length: times }, () => piece)));
}

/** The beginning of this one and the end of another. */
function splice(bytes: Buffer, dice: Dice, { other }: Sources): Buffer {
  return Buffer.concat([
    bytes.subarray(0, dice.below(bytes.length + 1)),
    other.subarray(dice.below(other.length + 1)),
  ]);
}

function insertFromOther(bytes: Buffer, dice: Dice, { other }: Sources): Buffer {
  const { at, size } = range(other, dice);
  return spliced(bytes, dice.below(bytes.length + 1), 0, other.subarray(at, at + size));
}

function truncate(bytes: Buffer, dice: Dice): Buffer {
  return bytes.subarray(0, dice.below(bytes.length + 1));
}

function insertRandom(bytes: Buffer, dice: Dice): Buffer {
  const piece = Buffer.from(Array.from({ length: 1 + dice.below(8) }, () => dice.below(256)));
  return spliced(bytes, dice.below(bytes.length + 1), 0, piece);
}

/** Another number in the place of one that is written in digits. */
function numeral(bytes: Buffer, dice: Dice): Buffer {
  const from = dice.below(bytes.length + 1);
  for (let at = from; at < bytes.length; at++) {
    if (!isDigit(bytes[at]!)) continue;
    let end = at;
    while (end < bytes.length && isDigit(bytes[end]!)) end++;
    return spliced(bytes, at, end - at, Buffer.from(dice.pick(NUMERALS)));
  }
  return bytes;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/**
 * Looks for a number that may be the length of what follows it, makes that longer or shorter, and
 * puts the number right: how a change survives in a format of lengths.
 */
function resizeCounted(bytes: Buffer, dice: Dice): Buffer {
  for (let attempt = 0; attempt < 16; attempt++) {
    const width = dice.pick([1, 2, 4]);
    const at = dice.below(bytes.length);
    if (at + width > bytes.length) continue;
    const length = bytes.readUIntBE(at, width);
    const first = at + width;
    if (length === 0 || first + length > bytes.length) continue;
    const place = first + dice.below(length + 1);
    const cut = dice.oneIn(2) ? Math.min(first + length - place, 1 + dice.below(8)) : 0;
    const piece = cut > 0 ? Buffer.alloc(0) : Buffer.alloc(1 + dice.below(8), dice.below(256));
    const changed = spliced(bytes, place, cut, piece);
    const resized = length - cut + piece.length;
    if (resized < 2 ** (8 * width)) changed.writeUIntBE(resized, at, width);
    return changed;
  }
  return bytes;
}

function swap(bytes: Buffer, dice: Dice): Buffer {
  const { at, size } = range(bytes, dice);
  const piece = Buffer.from(bytes.subarray(at, at + size));
  const without = spliced(bytes, at, size, Buffer.alloc(0));
  return spliced(without, dice.below(without.length + 1), 0, piece);
}
