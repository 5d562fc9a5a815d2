/**
 * Subjects that were seen lately, of all connections: bytes -> address and target, without making a
 * text of bytes that are known. Direct-mapped, so it is bounded and never swept.
 */
import { type Address, addressOfText, type Broker, strictDotSpelling, type Target } from '#broker';
import { keptBytes } from '#kit';
import { SUBJECT, type SubjectKind, subjectKind } from './subject.ts';

const SLOTS = 2048;

/** A subject to publish on, as clients wrote it. */
export interface Subject {
  readonly bytes: Buffer;
  readonly kind: SubjectKind;
  readonly text: string;
  /** Null when the subject is invalid: nothing can be there. */
  readonly place: { readonly address: Address; readonly target: Target } | null;
}

export class Subjects {
  readonly #broker: Broker;
  readonly #slots = new Array<Subject | null>(SLOTS).fill(null);
  #shownAddress: Address | null = null;
  #shownBytes: Buffer = Buffer.alloc(0);
  #replyText = '';
  #replyBytes: Buffer = Buffer.alloc(0);

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /**
   * The same as `find` where this connection has used `last` before; `repeated`: it is known to be
   * that one.
   */
  again(
    last: Subject | null,
    repeated: boolean,
    line: Uint8Array,
    from: number,
    to: number,
  ): Subject {
    if (last !== null && (repeated || sameBytes(last.bytes, line, from, to))) {
      return this.#show(last);
    }
    return this.#find(line, from, to);
  }

  /** An address as NATS spells it; the subject that was published last is at hand. */
  shown(address: Address): Buffer {
    if (address !== this.#shownAddress) {
      this.#shownAddress = address;
      this.#shownBytes = Buffer.from(strictDotSpelling.show(address));
    }
    return this.#shownBytes;
  }

  /** Canonical text of a reply subject. Its spelling is kept for the delivery that follows. */
  reply(line: Buffer, from: number, to: number): string {
    const bytes = Buffer.from(line.subarray(from, to));
    this.#replyText = strictDotSpelling.parse(bytes.toString()).text;
    this.#replyBytes = bytes;
    return this.#replyText;
  }

  shownReply(canonical: string): Buffer {
    if (canonical !== this.#replyText) {
      this.#replyText = canonical;
      this.#replyBytes = Buffer.from(strictDotSpelling.show(addressOfText(canonical)));
    }
    return this.#replyBytes;
  }

  #find(line: Uint8Array, from: number, to: number): Subject {
    const slot = hash(line, from, to) & (SLOTS - 1);
    const known = this.#slots[slot]!;
    if (known !== null && sameBytes(known.bytes, line, from, to)) return this.#show(known);
    const subject = this.#make(line, from, to);
    this.#slots[slot] = subject;
    return this.#show(subject);
  }

  #make(line: Uint8Array, from: number, to: number): Subject {
    const bytes = keptBytes(line.subarray(from, to));
    const kind = subjectKind(bytes, 0, bytes.length);
    const text = bytes.toString();
    if (kind === SUBJECT.invalid) return { bytes, kind, text, place: null };
    const address = strictDotSpelling.parse(text);
    const target = this.#broker.target(address, 'captured');
    return { bytes, kind, text, place: { address, target } };
  }

  #show(subject: Subject): Subject {
    if (subject.place !== null) {
      this.#shownAddress = subject.place.address;
      this.#shownBytes = subject.bytes;
    }
    return subject;
  }
}

/** FNV-1a, 32 bits. */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let value = 0x811c9dc5;
  for (let at = from; at < to; at++) value = Math.imul(value ^ bytes[at]!, 0x01000193);
  return value ^ (value >>> 15);
}

function sameBytes(known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  const count = to - from;
  if (known.length !== count) return false;
  // From the end: subjects of one family differ there.
  for (let index = count - 1; index >= 0; index--) {
    if (known[index] !== bytes[from + index]) return false;
  }
  return true;
}
