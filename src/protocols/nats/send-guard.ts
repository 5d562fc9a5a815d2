/**
 * Contains a client that reads too slowly (N15): bounds the bytes that wait for it, gives what
 * waits a deadline, and holds up its publishers for a moment while it is far behind.
 */
import type { Timer, Timers } from '#kit';
import type { Outbox, Pipe } from './outbox.ts';

export interface SendLimits {
  readonly pendingBytesMax: number;
  readonly writeDeadlineMs: number;
}

/** Someone who waits until the client has caught up. */
export interface Waiter {
  caughtUp(): void;
}

/** Publishers are held up when more than this share of the bound is in use, or this many bytes. */
const STALL_SHARE = 0.5;
const STALL_BYTES = 4 << 20;

export class SendGuard {
  readonly #pipe: Pipe;
  readonly #outbox: Outbox;
  readonly #timers: Timers;
  readonly #limits: SendLimits;
  readonly #tooSlow: (why: string) => void;
  #timer: Timer | null = null;
  #waiters: Waiter[] | null = null;
  /** `Outbox.written` when the deadline began to run. */
  #mark = 0;

  constructor(
    pipe: Pipe,
    outbox: Outbox,
    timers: Timers,
    limits: SendLimits,
    tooSlow: (why: string) => void,
  ) {
    this.#pipe = pipe;
    this.#outbox = outbox;
    this.#timers = timers;
    this.#limits = limits;
    this.#tooSlow = tooSlow;
  }

  /**
   * To be called while the send buffer is over its mark, with every message. True: the client is so
   * far behind that the publisher should pause.
   */
  check(): boolean {
    const { pendingBytesMax } = this.#limits;
    const pending = this.#outbox.pendingBytes;
    if (pending > pendingBytesMax) {
      this.#tooSlow(`${pending} bytes wait`);
      return false;
    }
    if (this.#timer === null) this.#arm();
    return pending > Math.min(STALL_BYTES, pendingBytesMax * STALL_SHARE);
  }

  wait(waiter: Waiter): void {
    this.#waiters ??= [];
    this.#waiters.push(waiter);
  }

  /** Everything has left, or the connection is gone: nobody waits for it any more. */
  release(): void {
    const waiters = this.#waiters;
    this.#waiters = null;
    if (waiters !== null) for (const waiter of waiters) waiter.caughtUp();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.release();
  }

  #arm(): void {
    this.#mark = this.#outbox.written;
    this.#timer = this.#timers.after(this.#limits.writeDeadlineMs, this.#due);
  }

  readonly #due = (): void => {
    this.#timer = null;
    const pending = this.#pipe.pendingBytes;
    if (pending === 0) return;
    const left = this.#outbox.written - pending;
    if (left < this.#mark) this.#tooSlow(`bytes waited ${this.#limits.writeDeadlineMs} ms`);
    else this.#arm();
  };
}
