/**
 * The lane of a queue that reads one partition in its order: nothing is kept per message but what
 * is finished above the floor.
 */
import { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import type { Partition, Run } from '../streams/partition.ts';
import { type Item, Lane, type LaneOwner } from './queue-lane.ts';
import type { LaneState } from './queue-state.ts';

const READ_BYTES = 256 << 10;

/** Messages of one read, in order, and how far it saw. */
class Window {
  messages: readonly Message[] = [];
  from = 0;
  next = 0;
  #at = 0;

  set(from: number, run: Run): void {
    this.messages = run.messages;
    this.from = from;
    this.next = run.next;
    this.#at = 0;
  }

  covers(offset: number): boolean {
    return offset >= this.from && offset < this.next;
  }

  /** The first message at or after `offset`, or null. Cheap when offsets grow. */
  find(offset: number): Message | null {
    const { messages } = this;
    if (this.#at > 0 && messages[this.#at - 1]!.offset >= offset) this.#at = 0;
    while (this.#at < messages.length && messages[this.#at]!.offset < offset) this.#at++;
    return messages[this.#at] ?? null;
  }

  clear(): void {
    this.messages = [];
    this.next = this.from = 0;
    this.#at = 0;
  }
}

export class CursorLane extends Lane {
  readonly partition: Partition;
  /** Later offsets belong to a reference lane. */
  limit: number;
  /** It reads what transactions have not committed as well. */
  unstable = false;
  readonly #ahead = new Window();
  /** For what came back: the place of the other window must not suffer. */
  readonly #back = new Window();

  constructor(state: LaneState, owner: LaneOwner, partition: Partition, limit: number) {
    super(0, 0, state, owner);
    this.partition = partition;
    this.limit = limit;
  }

  get end(): number {
    const { stableOffset, highWatermark } = this.partition;
    const end = Math.min(this.unstable ? highWatermark : stableOffset, this.limit);
    // What was taken early lies beyond.
    return Math.max(end, this.next);
  }

  get expectedEnd(): number {
    return Math.min(this.partition.endOffset, this.limit);
  }

  /** First offset that is still needed, or Infinity. */
  get firstOffset(): number {
    const { savedFloor } = this;
    return savedFloor < this.limit ? savedFloor : Number.POSITIVE_INFINITY;
  }

  /** Takes a message before its commit. False when others come first. */
  takeEarly(offset: number): boolean {
    if (offset !== this.next || offset >= this.limit || this.kept) return false;
    this.next = offset + 1;
    this.passed(offset);
    return true;
  }

  /** What was taken early from here on has not come. */
  takeBack(offset: number): void {
    if (this.next > offset) this.next = offset;
  }

  protected fetch(local: number): Item | number | Promise<void> {
    const window = local >= this.next ? this.#ahead : this.#back;
    if (window.covers(local)) return this.#found(window, local);
    try {
      const run = this.partition.readRun(local, READ_BYTES, this.unstable);
      if (run instanceof Promise) {
        return run.then(
          (read) => this.#set(window, local, read),
          (error: unknown) => this.#skip(window, local, error),
        );
      }
      this.#set(window, local, run);
    } catch (error) {
      this.#skip(window, local, error);
    }
    return this.#found(window, local);
  }

  #found(window: Window, local: number): Item | number {
    const message = window.find(local);
    if (message === null) return window.next;
    if (message.offset !== local) return message.offset;
    return { position: local, message, meta: 0, bytes: message.value?.length ?? 0 };
  }

  #set(window: Window, local: number, run: Run): void {
    if (run.next <= local) throw new Error(`a read of offset ${local} gave nothing`);
    window.set(local, run);
  }

  /** Damaged or trimmed ranges are passed over; other errors are thrown on. */
  #skip(window: Window, local: number, error: unknown): void {
    if (!(error instanceof BrokerError)) throw error;
    let next: number;
    if (error.code === 'damaged') next = Number(error.details['to']);
    else if (error.code === 'offset-out-of-range') next = this.partition.startOffset;
    else throw error;
    if (!(next > local)) throw error;
    window.set(local, { messages: [], next });
  }

  protected bytesAt(): number {
    return 0;
  }

  protected override sized(): number {
    return 0;
  }

  protected passed(local: number): void {
    if (local + 1 >= this.#ahead.next) this.#ahead.clear();
    if (!this.kept && this.#back.next > 0) this.#back.clear();
  }

  protected skipped(_from: number, to: number): void {
    this.passed(to - 1);
  }
}
