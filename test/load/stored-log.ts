/**
 * One partition of a stream as it is read back after a restart, against the ledger of its one
 * publisher: nothing acknowledged is missing, nothing was invented, the order is the publisher's,
 * and what was once read at an offset stays there.
 */
import type { Findings } from './findings.ts';
import type { Ledger } from './ledger.ts';

/**
 * What the way of publishing promises:
 * - `once`: the client repeats what is in doubt, and it is stored exactly once;
 * - `repeated`: the client repeats what is in doubt, which may be stored twice;
 * - `unrepeated`: nothing is sent twice; what was in doubt may be there or not;
 * - `async`: as unrepeated, and the newest acknowledged may be missing;
 * - `memory`: gone after a restart; what is there is ours and in order.
 */
export type Keeping = 'once' | 'repeated' | 'unrepeated' | 'async' | 'memory';

/**
 * How old an `async` acknowledgement may be and still be lost: the interval and one commit, which
 * takes its time on a slow disk and a crowded machine. How old they really were is reported.
 */
const ASYNC_LOSS_MS = 10_000;
const SHOWN = 8;

/** A partition that is read back and judged. */
export interface ReadLog {
  readonly topic: string;
  readonly partition: number;
  readonly name: string;
  /** Where reading begins. @param whole at the start, not after what was read before */
  rewind(whole: boolean): number;
  record(offset: number, value: Uint8Array | null, findings: Findings): void;
  /** After the last record: is everything there that must be? */
  finish(end: number, brokenAtMs: number, findings: Findings): void;
}

export class StoredLog implements ReadLog {
  readonly topic: string;
  readonly partition: number;
  readonly keeping: Keeping;
  readonly ledger: Ledger;
  /** Numbers by offset, as first read. */
  #numbers: number[] = [];
  #seen = new Set<number>();
  #last = -1;
  #next = 0;

  constructor(topic: string, partition: number, keeping: Keeping, ledger: Ledger) {
    this.topic = topic;
    this.partition = partition;
    this.keeping = keeping;
    this.ledger = ledger;
  }

  get name(): string {
    return `${this.topic}/${this.partition}`;
  }

  rewind(whole: boolean): number {
    if (this.keeping === 'memory') {
      this.#numbers = [];
      this.#seen.clear();
      this.#last = -1;
    }
    this.#next = whole ? 0 : this.#numbers.length;
    return this.#next;
  }

  record(offset: number, value: Uint8Array | null, findings: Findings): void {
    if (offset < this.#next) return;
    if (offset > this.#next) {
      const gap = `offsets ${this.#next} to ${offset - 1} are missing`;
      findings.add('lost', this.name, gap, offset - this.#next);
      while (this.#numbers.length < offset) this.#numbers.push(-1);
    }
    this.#next = offset + 1;
    const number = this.ledger.bodies.numberOf(value);
    if (offset < this.#numbers.length) this.#compare(offset, number, findings);
    else this.#append(offset, number, value, findings);
  }

  finish(end: number, brokenAtMs: number, findings: Findings): void {
    if (this.#next < Math.max(end, this.#numbers.length)) {
      const detail = `read to offset ${this.#next}, not ${Math.max(end, this.#numbers.length)}`;
      findings.add('lost', this.name, detail);
    }
    const fresh = this.ledger.take();
    if (this.keeping === 'memory') return;
    const missing = fresh.filter(({ number }) => !this.#seen.has(number));
    const excused =
      this.keeping === 'async'
        ? missing.filter((each) => {
            return each.number > this.#last && each.atMs > brokenAtMs - ASYNC_LOSS_MS;
          })
        : [];
    findings.allow('acknowledged on an async stream just before, lost', excused.length);
    for (const { atMs } of excused) {
      findings.worst(
        'oldest acknowledgement on an async stream that was lost, ms',
        brokenAtMs - atMs,
      );
    }
    const lost = missing.filter((each) => !excused.includes(each)).map(({ number }) => number);
    if (lost.length > 0) {
      const detail = `acknowledged, not stored: ${lost.slice(0, SHOWN).join(', ')}`;
      findings.add('lost', this.name, `${detail} (${lost.length} of ${fresh.length})`, lost.length);
    }
    if (this.keeping === 'once' && this.#last !== this.ledger.sent - 1) {
      const detail = `the last is ${this.#last}, sent were ${this.ledger.sent}`;
      findings.add('lost', this.name, detail);
    }
  }

  #compare(offset: number, number: number, findings: Findings): void {
    const before = this.#numbers[offset]!;
    if (before === number || before === -1) return;
    findings.add('moved', this.name, `offset ${offset} was ${before} and is ${number}`);
  }

  #append(offset: number, number: number, value: Uint8Array | null, findings: Findings): void {
    this.#numbers.push(number);
    if (number < 0 || number >= this.ledger.sent) {
      const text = value === null ? 'null' : Buffer.from(value).toString('latin1', 0, 40);
      findings.add('invented', this.name, `offset ${offset}: ${text}`);
      return;
    }
    const last = this.#last;
    if (number > last) {
      const dense = this.keeping === 'once' || this.keeping === 'repeated';
      if (dense && number !== last + 1) {
        findings.add('order', this.name, `offset ${offset}: ${number} after ${last}`);
      }
      this.#last = number;
    } else if (this.#seen.has(number)) {
      if (this.keeping === 'repeated') findings.allow('QoS 1 repeated by its client, stored twice');
      else findings.add('duplicate', this.name, `offset ${offset}: ${number} again`);
    } else {
      findings.add('order', this.name, `offset ${offset}: ${number} after ${last}`);
    }
    this.#seen.add(number);
  }
}
