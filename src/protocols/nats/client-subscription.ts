/** One SUB of one client: its sid, how much it may still get, and the head of its MSG lines. */
import type { Address, Subscription } from '#broker';
import { keptBytes } from '#kit';
import type { Subjects } from './subjects.ts';

const SPACE = 32;
const MSG = Buffer.from('MSG ');

export class ClientSubscription {
  readonly sid: string;
  /** As the client wrote it. */
  readonly subject: string;
  readonly group: string;
  /** Ends after this many messages, counted from the SUB; 0 = no limit (N17). */
  max = 0;
  delivered = 0;
  /** The broker's side of it; null before it is made and after it ended. */
  handle: Subscription | null = null;
  readonly #sid: Buffer;
  /** Messages come on several subjects. */
  readonly #varies: boolean;
  #headAddress: Address | null = null;
  #head: Buffer = MSG;

  constructor(sid: string, subject: string, group: string) {
    this.sid = sid;
    this.subject = subject;
    this.group = group;
    this.#varies = subject.includes('*') || subject.includes('>');
    // One byte per character: a sid may be any bytes.
    this.#sid = keptBytes(Buffer.from(sid, 'latin1'));
  }

  /** `MSG subject sid `, kept as long as the messages come on one address. */
  head(address: Address, subjects: Subjects): Buffer {
    if (address === this.#headAddress) return this.#head;
    const sid = this.#sid;
    const subject = subjects.shown(address);
    const size = MSG.length + subject.length + sid.length + 2;
    // Without a wildcard it stays as long as the subscription.
    const head = this.#varies ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
    head.set(MSG, 0);
    head.set(subject, MSG.length);
    head[MSG.length + subject.length] = SPACE;
    head.set(sid, MSG.length + subject.length + 1);
    head[head.length - 1] = SPACE;
    this.#headAddress = address;
    this.#head = head;
    return head;
  }

  end(): void {
    this.handle?.end();
    this.handle = null;
  }
}
