/**
 * A compacted partition as it is read back after a restart: of each key the last acknowledged
 * record is there, or a later one; what is there lies where it always lay, in the order in which it
 * was sent, each once.
 */
import type { Findings } from './findings.ts';
import type { Ledger } from './ledger.ts';
import type { ReadLog } from './stored-log.ts';

export class CompactedLog implements ReadLog {
  readonly topic: string;
  readonly partition = 0;
  readonly #ledger: Ledger;
  readonly #keys: number;
  /** Numbers by offset, as first read. */
  readonly #numbers = new Map<number, number>();
  /** Highest acknowledged number of each key. */
  readonly #confirmed: number[];
  #newest: number[] = [];
  #last = -1;
  #offset = -1;
  #records = 0;

  /** @param keys how many keys the numbers take in turn */
  constructor(topic: string, ledger: Ledger, keys: number) {
    this.topic = topic;
    this.#ledger = ledger;
    this.#keys = keys;
    this.#confirmed = new Array<number>(keys).fill(-1);
  }

  get name(): string {
    return `${this.topic}/${this.partition}`;
  }

  keyOf(number: number): string {
    return `key ${number % this.#keys}`;
  }

  /** It is read as a whole each time: it is short. */
  rewind(): number {
    this.#newest = new Array<number>(this.#keys).fill(-1);
    this.#last = -1;
    this.#offset = -1;
    this.#records = 0;
    return 0;
  }

  record(offset: number, value: Uint8Array | null, findings: Findings): void {
    if (offset <= this.#offset) {
      findings.add('order', this.name, `offset ${offset} after ${this.#offset}`);
      return;
    }
    this.#offset = offset;
    this.#records++;
    const number = this.#ledger.bodies.numberOf(value);
    if (number < 0 || number >= this.#ledger.sent) {
      findings.add('invented', this.name, `offset ${offset}`);
      return;
    }
    const before = this.#numbers.get(offset) ?? number;
    this.#numbers.set(offset, number);
    if (before !== number) {
      findings.add('moved', this.name, `offset ${offset} was ${before} and is ${number}`);
    }
    if (number <= this.#last) {
      findings.add('order', this.name, `offset ${offset}: ${number} after ${this.#last}`);
    }
    this.#last = Math.max(this.#last, number);
    this.#newest[number % this.#keys] = number;
  }

  finish(_end: number, _brokenAtMs: number, findings: Findings): void {
    for (const { number } of this.#ledger.take()) {
      const key = number % this.#keys;
      this.#confirmed[key] = Math.max(this.#confirmed[key]!, number);
    }
    for (let key = 0; key < this.#keys; key++) {
      const [confirmed, newest] = [this.#confirmed[key]!, this.#newest[key]!];
      if (newest >= confirmed) continue;
      const detail = `key ${key}: ${confirmed} was acknowledged, the newest is ${newest}`;
      findings.add('lost', this.name, detail);
    }
    findings.worst('records of a compacted topic that were gone at most', this.#gone);
  }

  get #gone(): number {
    return Math.max(0, this.#offset + 1 - this.#records);
  }
}
