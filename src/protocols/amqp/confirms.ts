/**
 * Publisher confirms of one channel: what the broker has committed since the last flush leaves as
 * few acknowledgements as possible. Commits may come in any order; none is told twice as a failure.
 */
import type { PublishSink } from '#broker';
import type { BrokerError } from '#kit';
import type { Outstanding } from './outstanding.ts';

export type TellConfirm = (tag: number, multiple: boolean, acked: boolean) => void;

export class ConfirmLedger implements PublishSink {
  readonly #wake: () => void;
  readonly #outstanding: Outstanding;
  /** Tags below are settled. */
  #floor = 1;
  /** Tags below are settled and told. */
  #toldTo = 1;
  /** Settled tags above the floor. */
  readonly #early = new Set<number>();
  #earlyUntold: number[] = [];
  /** Failures, and tags told before those below them. */
  readonly #toldAlone = new Set<number>();
  #nacks: number[] = [];
  #lastTag = 0;
  /** A flush was asked for and has not come. */
  #awaitsFlush = false;

  /** @param wake asks for a call of `flush` at the end of this turn */
  constructor(outstanding: Outstanding, wake: () => void) {
    this.#outstanding = outstanding;
    this.#wake = wake;
  }

  /** The tag of the next publish. */
  next(): number {
    return ++this.#lastTag;
  }

  get unsettledCount(): number {
    return this.#lastTag - this.#floor + 1 - this.#early.size;
  }

  published(tag: number, error: BrokerError | null): void {
    this.#outstanding.end();
    this.#settle(tag, error);
  }

  /** Refused: nothing of it was published. */
  refused(tag: number, error: BrokerError): void {
    this.#settle(tag, error);
  }

  #settle(tag: number, error: BrokerError | null): void {
    if (error !== null) this.#nacks.push(tag);
    if (tag === this.#floor) {
      this.#floor++;
      if (this.#early.size > 0) while (this.#early.delete(this.#floor)) this.#floor++;
    } else {
      this.#early.add(tag);
      if (error === null) this.#earlyUntold.push(tag);
    }
    if (this.#awaitsFlush) return;
    this.#awaitsFlush = true;
    this.#wake();
  }

  flush(tell: TellConfirm): void {
    this.#awaitsFlush = false;
    // Failures first: an acknowledgement of several must not pass over a tag that is not told yet.
    const nacks = this.#nacks;
    this.#nacks = [];
    for (const tag of nacks) {
      this.#toldAlone.add(tag);
      tell(tag, false, false);
    }
    this.#tellRange(tell);
    const early = this.#earlyUntold;
    if (early.length === 0) return;
    this.#earlyUntold = [];
    for (const tag of early) {
      if (tag < this.#floor) continue;
      this.#toldAlone.add(tag);
      tell(tag, false, true);
    }
  }

  /** Everything below the floor that was not told by itself, in one frame. */
  #tellRange(tell: TellConfirm): void {
    let last = this.#floor - 1;
    let count = this.#floor - this.#toldTo;
    if (this.#toldAlone.size > 0) {
      last = 0;
      count = 0;
      for (let tag = this.#toldTo; tag < this.#floor; tag++) {
        if (this.#toldAlone.delete(tag)) continue;
        last = tag;
        count++;
      }
    }
    this.#toldTo = this.#floor;
    if (count > 0) tell(last, count > 1, true);
  }
}
