/**
 * The header block of HPUB and HMSG (ADR-4): bytes <-> status and ordered pairs. Names keep their
 * case, names may repeat, lines are not folded. What the names mean is in `message-headers.ts`.
 */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '#kit';

export interface HeaderBlock {
  /** The inline status, `503`, and what follows it; '' when there is none. */
  readonly status: string;
  readonly description: string;
  readonly pairs: readonly HeaderPair[];
}

interface HeaderPair {
  readonly name: string;
  readonly value: Buffer;
}

const VERSION = 'NATS/1.0';
const LINE_END = '\r\n';
const COLON = 58;
const SPACE = 32;
const TAB = 9;
const CR = 13;
const LF = 10;

/** What a requester gets when nobody listens. */
export const NO_RESPONDERS = Buffer.from(`${VERSION} 503\r\n\r\n`);

/** Reads a block as it stands in the frame, its closing empty line included. */
export function readHeaderBlock(bytes: Buffer): HeaderBlock {
  const size = bytes.length;
  if (bytes.toString('latin1', 0, VERSION.length) !== VERSION) {
    throw new ProtocolError('headers', 0, `does not begin with ${VERSION}`, 0);
  }
  if (size < VERSION.length + 4 || bytes.toString('latin1', size - 4) !== '\r\n\r\n') {
    throw new ProtocolError('headers', Math.max(0, size - 4), 'does not end with an empty line', 0);
  }
  let at = lineEnd(bytes, VERSION.length);
  const inline = bytes.toString('utf8', VERSION.length, at).trim();
  const gap = inline.indexOf(' ');
  const pairs: HeaderPair[] = [];
  for (at += 2; at < size - 2; ) {
    const end = lineEnd(bytes, at);
    pairs.push(readPair(bytes, at, end));
    at = end + 2;
  }
  return {
    status: gap < 0 ? inline : inline.slice(0, gap),
    description: gap < 0 ? '' : inline.slice(gap + 1).trim(),
    pairs,
  };
}

/** Where the CR LF is that ends the line; a bare CR or LF is refused. */
function lineEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== CR && bytes[at] !== LF) at++;
  if (bytes[at] !== CR || bytes[at + 1] !== LF) {
    throw new ProtocolError('headers', at, 'a line does not end with CR LF', 0);
  }
  return at;
}

function readPair(bytes: Buffer, from: number, end: number): HeaderPair {
  const colon = bytes.indexOf(COLON, from);
  if (colon <= from || colon >= end) throw new ProtocolError('header', from, 'has no name', 0);
  let start = colon + 1;
  let stop = end;
  while (start < stop && isSpace(bytes[start]!)) start++;
  while (stop > start && isSpace(bytes[stop - 1]!)) stop--;
  const name = bytes.subarray(from, colon);
  if (!isUtf8(name)) throw new ProtocolError('header name', from, 'is not UTF-8', 0);
  return { name: name.toString(), value: bytes.subarray(start, stop) };
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Writes a block. Neither names nor values may hold CR or LF: see `message-headers.ts`. */
export function writeHeaderBlock(pairs: readonly (readonly [string, string])[]): Buffer {
  let text = VERSION + LINE_END;
  for (const [name, value] of pairs) text += `${name}: ${value}${LINE_END}`;
  return Buffer.from(text + LINE_END);
}
