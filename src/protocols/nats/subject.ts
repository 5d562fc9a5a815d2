/**
 * What may be a subject (N16): words between dots, none of them empty; UTF-8 without U+0000. The
 * words `*` and `>` make it a pattern, which is no subject to publish on. Control lines are cut at
 * white space, so that none can be inside.
 */
import { isUtf8 } from 'node:buffer';

const DOT = 46;
const STAR = 42;
const MORE = 62;

export const SUBJECT = {
  /** Can be published on. */
  literal: 0,
  /** Well formed, but with a wildcard. */
  pattern: 1,
  invalid: 2,
} as const;
export type SubjectKind = (typeof SUBJECT)[keyof typeof SUBJECT];

export function subjectKind(bytes: Uint8Array, from: number, to: number): SubjectKind {
  let kind: SubjectKind = SUBJECT.literal;
  let wordFrom = from;
  let ascii = true;
  for (let at = from; at <= to; at++) {
    const byte = at === to ? DOT : bytes[at]!;
    if (byte !== DOT) {
      if (byte === 0) return SUBJECT.invalid;
      if (byte > 0x7f) ascii = false;
      continue;
    }
    if (at === wordFrom) return SUBJECT.invalid;
    if (at - wordFrom === 1) {
      const only = bytes[wordFrom]!;
      if (only === MORE && at !== to) return SUBJECT.invalid;
      if (only === MORE || only === STAR) kind = SUBJECT.pattern;
    }
    wordFrom = at + 1;
  }
  return ascii || isUtf8(bytes.subarray(from, to)) ? kind : SUBJECT.invalid;
}

/**
 * Replies under these names are made by servers among themselves; clients may not use them (N22).
 */
const RESERVED_REPLIES = ['_R_.', '_GR_.'] as const;
const UNDERSCORE = 95;

export function isReservedReply(bytes: Uint8Array, from: number, to: number): boolean {
  if (bytes[from] !== UNDERSCORE) return false;
  return RESERVED_REPLIES.some((prefix) => {
    for (let index = 0; index < prefix.length; index++) {
      if (from + index >= to || bytes[from + index] !== prefix.charCodeAt(index)) return false;
    }
    return true;
  });
}

/** Does a pattern, as the client wrote it, cover this subject? For a single question. */
export function covers(pattern: string, subject: string): boolean {
  if (pattern === subject) return true;
  const parts = pattern.split('.');
  const words = subject.split('.');
  for (let index = 0; index < parts.length; index++) {
    if (parts[index] === '>') return index < words.length;
    if (index >= words.length) return false;
    if (parts[index] !== '*' && parts[index] !== words[index]) return false;
  }
  return parts.length === words.length;
}
