/**
 * Batches that producers wrote to the log of last values. What they set becomes rows in stretches,
 * so that a batch of thousands gives way to others. The rows follow the log all the same: whoever
 * changes a value meanwhile first has the rest of what waits here done (`finish`). A producer is
 * told when all of its batch is on disk and in the rows.
 */
import type { BrokerError, Timers } from '#kit';
import type { Message } from '../records/message.ts';

/** Records in one turn of the event loop: some milliseconds. */
const PER_TURN = 256;
/** Large values cost more than others: a record more for each so many bytes. */
const UNIT_SHIFT = 12;
/** Records that wait; beyond that nobody should add to them. */
const WAITING_MAX = 32_768;
const ALL = Number.POSITIVE_INFINITY;

/** The rows of the values. */
interface Rows {
  set(message: Message): void;
  /** The change at an offset is on disk, or failed. */
  settled(offset: number, error: BrokerError | null): void;
}

export class ValueBatch {
  readonly messages: readonly Message[];
  readonly done: (error: BrokerError | null) => void;
  /** Those that are rows. */
  set = 0;
  /** Those whose rows know that they are on disk. */
  told = 0;
  /** Undefined while it is on its way to the disk. */
  fate: BrokerError | null | undefined = undefined;

  constructor(messages: readonly Message[], done: (error: BrokerError | null) => void) {
    this.messages = messages;
    this.done = done;
  }
}

export class LastValueBatches {
  readonly #rows: Rows;
  readonly #timers: Timers;
  /** In the order of the log. */
  #line: ValueBatch[] = [];
  #records = 0;
  /** Of these, those that are no rows. */
  #unset = 0;
  /** Nothing may wait for a later turn: others came behind those that are in the line, or will. */
  #hurried = false;
  #armed = false;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(rows: Rows, timers: Timers) {
    this.#rows = rows;
    this.#timers = timers;
  }

  /** True while more waits than should. */
  get busy(): boolean {
    return this.#records > WAITING_MAX;
  }

  onRoom(call: () => void): void {
    if (this.busy) this.#waiting.push(call);
    else this.#timers.soon(call);
  }

  /** True while some record below an offset is no row yet. */
  isBehind(offset: number): boolean {
    if (this.#unset === 0) return false;
    for (const { messages, set } of this.#line) {
      if (set < messages.length) return messages[set]!.offset < offset;
    }
    return false;
  }

  /** A batch was appended; `settle` tells of its fate. A small one becomes rows at once. */
  add(batch: ValueBatch): void {
    this.#line.push(batch);
    this.#records += batch.messages.length;
    this.#unset += batch.messages.length;
    this.#work(this.#hurried ? ALL : PER_TURN);
  }

  settle(batch: ValueBatch, error: BrokerError | null): void {
    batch.fate = error;
    // A disk that is gone: all others hear of it now.
    if (error !== null) this.#hurried = true;
    this.#work(this.#hurried ? ALL : PER_TURN);
  }

  /** Somebody changes what the rows say: all that waits goes first. */
  finish(): void {
    if (this.#line.length === 0) return;
    this.#work(ALL);
    // What is on its way to the disk must be told before what comes now is.
    this.#hurried = this.#closed || this.#line.length > 0;
  }

  /** Nothing waits from now on. */
  close(): void {
    this.#closed = true;
    this.#hurried = true;
    this.finish();
  }

  #work(budget: number): void {
    for (let batch = this.#next(); batch !== null; batch = this.#next()) {
      if (budget <= 0) {
        this.#arm();
        return;
      }
      budget -= this.#step(batch);
    }
  }

  /** The first with records that are no rows; otherwise the first of all, once it is settled. */
  #next(): ValueBatch | null {
    if (this.#unset > 0) return this.#line.find(({ messages, set }) => set < messages.length)!;
    const first = this.#line[0];
    return first === undefined || first.fate === undefined ? null : first;
  }

  /** Does one thing. What it calls may come back here: the batch says before what is done. */
  #step(batch: ValueBatch): number {
    const { messages, done, fate } = batch;
    if (batch.set < messages.length) {
      const message = messages[batch.set++]!;
      this.#unset--;
      this.#rows.set(message);
      return 1 + ((message.value?.length ?? 0) >> UNIT_SHIFT);
    }
    const message = messages[batch.told++];
    const isLast = batch.told >= messages.length;
    if (isLast) {
      this.#line.shift();
      this.#records -= messages.length;
      if (this.#line.length === 0) this.#hurried = this.#closed;
    }
    if (message !== undefined) this.#rows.settled(message.offset, fate!);
    if (isLast) {
      done(fate!);
      this.#offerRoom();
    }
    return 1;
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#timers.soon(() => {
      this.#armed = false;
      this.#work(PER_TURN);
    });
  }

  #offerRoom(): void {
    if (this.#waiting.length === 0 || this.busy) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call();
  }
}
