/**
 * A lane of a queue: one ordered source of messages, with what was finished, came back or waits.
 * Where the messages come from is the matter of its two kinds: a cursor over a partition, and
 * references. Positions of all lanes of a queue share one number line, in order of delivery.
 */

import type { Message } from '../records/message.ts';
import { BitPages } from './bit-pages.ts';
import type { LaneState } from './queue-state.ts';

/** A message with its place in a queue. */
export interface Item {
  readonly position: number;
  readonly message: Message;
  readonly meta: number;
  /** Size of its value. */
  readonly bytes: number;
}

/** What a lane tells its queue. */
export interface LaneOwner {
  /** There are no messages at these positions (of the lane's own numbers). */
  gone(lane: Lane, from: number, count: number, bytes: number): void;
}

/** Messages that came back and are kept in memory; others are read again. */
const RETURNED_KEPT_MAX = 256;
/** A kept message that is larger is read again. */
const RETURNED_BYTES_MAX = 64 << 10;

export abstract class Lane {
  readonly number: number;
  /** Position of the lane's number 0. */
  readonly base: number;
  readonly state: LaneState;
  /** Taken in order up to here. */
  next: number;
  /** Deliveries below may have happened before the start. */
  readonly deliveredBefore: number;
  /** Bytes of what is in flight. */
  flightBytes = 0;
  /** Part of `state.bytes`: what is not ready before its commit. */
  hiddenBytes = 0;
  /** `state.deliveredTo` as it is stored, or will be with the next steps. */
  deliveredSaved: number;
  /** The floor as it is on disk. */
  savedFloor: number;
  protected readonly owner: LaneOwner;
  /** Finished positions at or after `next`: from before the start. */
  #ahead: number;
  #returned: BitPages | null = null;
  #kept: Map<number, Item> | null = null;

  constructor(number: number, base: number, state: LaneState, owner: LaneOwner) {
    this.number = number;
    this.base = base;
    this.state = state;
    this.owner = owner;
    this.next = state.acks.floor;
    this.deliveredBefore = this.deliveredSaved = state.deliveredTo;
    this.savedFloor = state.acks.floor;
    this.#ahead = state.acks.countFrom(this.next) + state.delayed.size;
  }

  /** Positions below can be taken. */
  abstract get end(): number;
  /** Positions that exist, or will when their commit succeeds. */
  abstract get expectedEnd(): number;
  /**
   * The message of a position; a higher number when there is nothing before that; a promise when it
   * must be read first: ask again then.
   */
  protected abstract fetch(local: number): Item | number | Promise<void>;
  /** Bytes of a position that has no message any more. */
  protected abstract bytesAt(local: number): number;
  /** The position was taken or passed: its message need not be held here. */
  protected abstract passed(local: number): void;
  /** Positions from … to - 1 are finished without being read. */
  protected abstract skipped(from: number, to: number): void;

  get returnedCount(): number {
    return this.#returned?.size ?? 0;
  }

  /** Messages that can be taken now. */
  get ready(): number {
    return Math.max(0, this.end - this.next - this.#ahead) + this.returnedCount;
  }

  get readyBytes(): number {
    return this.state.bytes - this.state.delayedBytes - this.flightBytes - this.hiddenBytes;
  }

  get isEmpty(): boolean {
    return this.next + this.#ahead >= this.end && this.returnedCount === 0;
  }

  /** The next message, null when there is none; see `fetch` for the promise. */
  peek(): Item | null | Promise<void> {
    while (true) {
      const returned = this.#returned;
      if (returned !== null && returned.size > 0) {
        const local = returned.first;
        const found = this.#kept?.get(local) ?? this.fetch(local);
        if (typeof found !== 'number') return found;
        returned.delete(local);
        this.owner.gone(this, local, 1, this.bytesAt(local));
        continue;
      }
      this.#passFinished();
      const { next, end } = this;
      if (next >= end) return null;
      const found = this.fetch(next);
      if (typeof found !== 'number') return found;
      this.#giveUp(next, Math.min(found, end));
    }
  }

  /** Takes what `peek` gave. */
  take(item: Item): void {
    const local = item.position - this.base;
    this.flightBytes += this.sized(item);
    if (this.#returned?.delete(local) === true) {
      this.#kept?.delete(local);
    } else this.next = local + 1;
    this.passed(local);
  }

  /** What is in flight comes back to its place. */
  giveBack(item: Item): void {
    this.flightBytes -= this.sized(item);
    this.#return(item.position - this.base);
    this.#kept ??= new Map();
    if (this.#kept.size < RETURNED_KEPT_MAX && item.bytes <= RETURNED_BYTES_MAX) {
      this.#kept.set(item.position - this.base, item);
    }
  }

  /** What is in flight waits, until `comeBack`. @returns the bytes to tell it then */
  delay(item: Item): number {
    const bytes = this.sized(item);
    this.flightBytes -= bytes;
    this.state.delay(item.position - this.base, bytes);
    return bytes;
  }

  /** False when it was not delayed. */
  comeBack(local: number, bytes: number): boolean {
    if (!this.state.undelay(local, bytes)) return false;
    if (local >= this.next) this.#ahead--;
    else this.#return(local);
    return true;
  }

  /** What is in flight has ended. @returns the bytes that the lane knows of it */
  ended(item: Item): number {
    const bytes = this.sized(item);
    this.flightBytes -= bytes;
    this.state.finish(item.position - this.base, 1, bytes);
    return bytes;
  }

  /** The floor is on disk: what lies below is not needed any more. */
  floorSaved(floor: number): void {
    this.savedFloor = floor;
  }

  /** Notes a delivery. @returns true when the mark must be saved */
  delivered(local: number): boolean {
    if (local < this.state.deliveredTo) return false;
    this.state.deliveredTo = local + 1;
    return true;
  }

  /**
   * Finishes everything that is ready, without reading it.
   * @param range called for each stretch, which is finished by then
   */
  purge(range: (from: number, count: number, finished: number, bytes: number) => void): void {
    let bytes = this.readyBytes;
    const finish = (from: number, to: number): void => {
      const part = bytes;
      bytes = 0;
      range(from, to - from, this.state.finish(from, to - from, part), part);
    };
    for (const [from, to] of this.#returned?.ranges() ?? []) finish(from, to);
    this.#returned?.clear();
    this.#kept?.clear();
    const { next, end } = this;
    if (next >= end) return;
    for (const [from, to] of this.#readyRanges(next, end)) finish(from, to);
    this.#ahead = 0;
    this.next = end;
    this.skipped(next, end);
  }

  /** Sizes count in lanes that know them of every message. */
  protected sized(item: Item): number {
    return item.bytes;
  }

  protected get kept(): boolean {
    return this.returnedCount > 0;
  }

  #return(local: number): void {
    this.#returned ??= new BitPages();
    this.#returned.add(local);
  }

  /** Delayed positions ahead stay as they are. */
  *#readyRanges(from: number, end: number): Generator<readonly [number, number]> {
    const { delayed } = this.state;
    while (from < end) {
      const to = Math.min(end, delayed.nextMember(from));
      if (to > from) yield [from, to];
      from = delayed.nextGap(to);
    }
  }

  #passFinished(): void {
    if (this.#ahead === 0) return;
    const { acks, delayed } = this.state;
    const { end } = this;
    while (this.#ahead > 0 && this.next < end) {
      const open = Math.min(acks.nextOpen(this.next), end);
      const to = delayed.size === 0 ? open : Math.min(delayed.nextGap(open), end);
      if (to === this.next) return;
      this.#ahead -= to - this.next;
      this.skipped(this.next, to);
      this.next = to;
    }
  }

  #giveUp(from: number, to: number): void {
    if (this.#ahead === 0) {
      this.next = to;
      this.owner.gone(this, from, to - from, this.bytesAt(from));
      this.skipped(from, to);
      return;
    }
    // What was finished before within the stretch is not given up again.
    while (from < to) {
      this.next = from + 1;
      this.owner.gone(this, from, 1, this.bytesAt(from));
      this.skipped(from, from + 1);
      from++;
      this.#passFinished();
      from = Math.max(from, this.next);
    }
  }
}
