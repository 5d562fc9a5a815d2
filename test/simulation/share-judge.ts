/**
 * What the members of a share group may be given: a record is one member's until its lock ends or
 * its connection is gone; what was accepted or rejected, and answered, never comes again, whatever
 * happens; deliveries are counted, and end at the limit; nothing is passed over.
 */
import type { Ledger } from './ledger.ts';
import type { Wire } from './network.ts';

export type Verdict = 'accept' | 'release' | 'reject' | 'renew';

/** How a fetch came about that acquired a record. */
export interface Acquisition {
  readonly member: string;
  readonly wire: Wire;
  /** When it was asked for: the lock began then or later. */
  readonly askedMs: number;
}

/** One record, as the members know it. */
interface Standing {
  /** Of the newest delivery that was seen. */
  count: number;
  /** Losses of the group until that delivery, and deliveries that nobody saw. */
  losses: number;
  unseen: number;
  /** Who has it, as far as nobody said or heard otherwise. */
  holder: Acquisition | null;
  /** Until then the lock holds for sure. */
  lockedMs: number;
  /** It was given back, and the answer said so. */
  isReleased: boolean;
  /** `asked`: nobody knows whether the server heard it. */
  end: 'none' | 'asked' | 'done';
  /** It was asked before, too, and nobody knows of that either. */
  isDoubtful: boolean;
  endMs: number;
}

export class ShareJudge {
  readonly group: string;
  readonly lockMs: number;
  readonly deliveriesMax: number;
  readonly #ledger: Ledger;
  readonly #records = new Map<string, Map<number, Standing>>();
  /** Members that wait for an answer to a fetch, and since when. */
  readonly #fetching = new Map<string, number>();
  /** Ends of connections and of servers: what was in hand goes back without being counted. */
  #losses = 0;
  /**
   * Answers that did not come, or so late that their locks had ended: of each record one delivery
   * may have been in it that counts and that nobody saw.
   */
  #unseen = 0;
  /** When the last process of the server ended. */
  #serverEndMs = Number.NEGATIVE_INFINITY;

  constructor(ledger: Ledger, group: string, lockMs: number, deliveriesMax: number) {
    this.#ledger = ledger;
    this.group = group;
    this.lockMs = lockMs;
    this.deliveriesMax = deliveriesMax;
  }

  /** Members have got something. */
  get hasBegun(): boolean {
    return this.#records.size > 0;
  }

  /** A member asks for records. */
  fetching(member: string): void {
    this.#fetching.set(member, this.#ledger.nowMs);
  }

  fetched(member: string): void {
    const askedMs = this.#fetching.get(member);
    this.#fetching.delete(member);
    // Without a time its server ended before the answer came, and it was counted then.
    if (askedMs === undefined || !this.#isOld(askedMs)) return;
    this.#losses++;
    this.#unseen++;
  }

  /** The member's connection or session has ended, or the server has. */
  lost(member: string): void {
    this.#losses++;
    if (this.#fetching.delete(member)) this.#unseen++;
    for (const records of this.#records.values()) {
      for (const standing of records.values()) {
        if (standing.holder?.member === member) standing.holder = null;
      }
    }
  }

  /**
   * A process of the server is no more, and its locks with it. Members may learn of that seconds
   * later: machines without power tell nobody, so whether their connections live says nothing.
   */
  serverEnded(): void {
    this.#serverEndMs = this.#ledger.nowMs;
    this.#losses++;
    this.#unseen += this.#fetching.size;
    this.#fetching.clear();
    for (const records of this.#records.values()) {
      for (const standing of records.values()) standing.holder = null;
    }
  }

  acquired(partition: string, offset: number, count: number, by: Acquisition): void {
    const { deliveriesMax } = this;
    const ledger = this.#ledger;
    const standing = this.#standing(partition, offset);
    const what = `${this.group}: ${partition} at ${offset}`;
    ledger.note(`${what}: delivery ${count} to ${by.member}`);
    if (count < 1 || count > deliveriesMax) ledger.fail(`${what} is delivery ${count}`);
    if (standing.end === 'done' && (by.askedMs > standing.endMs || !this.#isPast(by.askedMs))) {
      ledger.fail(`${what} came to ${by.member} after it was finished at ${standing.endMs}`);
    }
    ledger.counts.acquired++;
    if (this.#isPast(by.askedMs)) return;
    const { holder } = standing;
    if (holder !== null && !holder.wire.closed && ledger.nowMs < standing.lockedMs) {
      ledger.fail(`${what} came to ${by.member} while ${holder.member} has it`);
    }
    this.#judgeCount(what, standing, count);
    standing.count = count;
    standing.losses = this.#losses;
    standing.unseen = this.#unseen;
    standing.holder = by;
    standing.lockedMs = by.askedMs + this.lockMs;
    standing.isReleased = false;
    standing.isDoubtful = false;
    if (standing.end === 'asked') standing.end = 'none';
  }

  /**
   * A member says what becomes of a record.
   * @returns until when the record is its own for sure, so that it may not be told otherwise
   */
  asking(partition: string, offset: number, verdict: Verdict, member: string, wire: Wire): number {
    const standing = this.#standing(partition, offset);
    const { holder, lockedMs } = standing;
    const isOwn = holder?.member === member && holder.wire === wire;
    // The server may do it at any moment from now on.
    if (verdict !== 'renew') standing.lockedMs = Number.NEGATIVE_INFINITY;
    if (verdict === 'accept' || verdict === 'reject') {
      if (standing.end === 'asked') standing.isDoubtful = true;
      if (standing.end === 'none') standing.end = 'asked';
    }
    return isOwn ? lockedMs : Number.NEGATIVE_INFINITY;
  }

  /** The server has answered: it is done, and on disk. */
  answered(partition: string, offset: number, verdict: Verdict, by: Acquisition): void {
    const standing = this.#standing(partition, offset);
    this.#ledger.note(`${this.group}: ${partition} at ${offset}: ${verdict} by ${by.member}`);
    if (verdict === 'renew') {
      if (standing.holder?.member === by.member) standing.lockedMs = by.askedMs + this.lockMs;
      return;
    }
    if (verdict === 'release') {
      // Another member may have it by now, and its answer was faster.
      if (standing.holder?.member !== by.member) return;
      standing.holder = null;
      standing.isReleased = true;
      return;
    }
    standing.holder = null;
    this.#ledger.counts.finished++;
    standing.end = 'done';
    standing.endMs = this.#ledger.nowMs;
  }

  /** The server says that the member does not have it: this time nothing was done. */
  refused(partition: string, offset: number, by: Acquisition): void {
    const standing = this.#standing(partition, offset);
    this.#ledger.note(`${this.group}: ${partition} at ${offset}: refused to ${by.member}`);
    if (standing.end === 'asked' && !standing.isDoubtful) standing.end = 'none';
    if (standing.holder?.member === by.member) standing.holder = null;
  }

  /**
   * Where the server says that the group stands: all before is finished.
   * @param askedMs when it was asked
   */
  audit(partition: string, start: number, seen: readonly number[], askedMs: number): void {
    const records = this.#records.get(partition);
    const what = `${this.group}: ${partition}`;
    for (const offset of seen) {
      const standing = records?.get(offset);
      if (offset < start && !this.#mayBeFinished(standing)) {
        this.#ledger.fail(`${what} at ${offset} is passed over: the group begins at ${start}`);
      }
    }
    const first = records?.get(start);
    if (first?.end === 'done' && first.endMs < askedMs) {
      this.#ledger.fail(`${what} begins at ${start}, which was finished`);
    }
  }

  #mayBeFinished(standing: Standing | undefined): boolean {
    const { end, count, unseen } = standing ?? { end: 'none', count: 0, unseen: 0 };
    return end !== 'none' || count + this.#unseen - unseen + this.#overdue >= this.deliveriesMax;
  }

  #judgeCount(what: string, standing: Standing, count: number): void {
    const { count: before, losses, isReleased } = standing;
    if (before === 0) return;
    const isSure = losses === this.#losses;
    if ((isSure || isReleased) && count <= before) {
      this.#ledger.fail(`${what} is delivery ${count} after delivery ${before}`);
    }
    if (isSure && this.#overdue === 0 && count !== before + 1) {
      this.#ledger.fail(`${what} is delivery ${count}, and nobody saw those after ${before}`);
    }
  }

  /** Answers that are on their way for so long that what they bring may be over. */
  get #overdue(): number {
    return [...this.#fetching.values()].filter((askedMs) => this.#isOld(askedMs)).length;
  }

  /** So long ago that a lock which began then may be over. */
  #isOld(askedMs: number): boolean {
    return this.#ledger.nowMs - askedMs >= this.lockMs;
  }

  /** A lock that began then may be over: by time, or with the server that gave it. */
  #isPast(askedMs: number): boolean {
    return askedMs <= this.#serverEndMs || this.#isOld(askedMs);
  }

  #standing(partition: string, offset: number): Standing {
    let records = this.#records.get(partition);
    if (records === undefined) {
      records = new Map();
      this.#records.set(partition, records);
    }
    let standing = records.get(offset);
    if (standing === undefined) {
      standing = {
        ...{ count: 0, losses: 0, unseen: 0, holder: null, lockedMs: Number.NEGATIVE_INFINITY },
        ...{ isReleased: false, end: 'none', isDoubtful: false, endMs: -1 },
      };
      records.set(offset, standing);
    }
    return standing;
  }
}
