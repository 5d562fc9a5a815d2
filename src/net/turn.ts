/**
 * The end of a turn of the event loop. Every connection that was written to during the turn sends
 * once, here, after all `soon` calls of the turn ran: what they write leaves in the same turn. With
 * a plain `setImmediate` per call those writes would wait for the next one.
 */
import type { Timer, Timers } from '#kit';
import { Turnstile } from './limits/turnstile.ts';

export interface Flushable {
  flush(): void;
}

export class Turn implements Timers {
  readonly #inner: Timers;
  /** For connections that come and go. */
  readonly turnstile: Turnstile;
  #calls: (() => void)[] = [];
  #dirty: Flushable[] = [];
  #armed = false;
  #running = false;

  constructor(inner: Timers) {
    this.#inner = inner;
    this.turnstile = new Turnstile(this);
  }

  after(delayMs: number, call: () => void): Timer {
    return this.#inner.after(delayMs, call);
  }

  /** A call made by another `soon` call runs in the next turn, so that sockets are read between. */
  soon(call: () => void): void {
    this.#calls.push(call);
    this.#arm();
  }

  /** Flushes at the end of this turn. The caller sees to it that it asks once per turn. */
  flushLater(connection: Flushable): void {
    this.#dirty.push(connection);
    if (!this.#running) this.#arm();
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#inner.soon(this.#run);
  }

  readonly #run = (): void => {
    this.#armed = false;
    this.#running = true;
    const calls = this.#calls;
    this.#calls = [];
    let done = 0;
    try {
      while (done < calls.length) calls[done++]!();
      this.#flush();
    } finally {
      this.#running = false;
      // Only after a throw: the rest is not lost, should the process live on.
      if (done < calls.length) this.#calls = calls.slice(done).concat(this.#calls);
      if (this.#calls.length > 0 || this.#dirty.length > 0) this.#arm();
    }
  };

  #flush(): void {
    while (this.#dirty.length > 0) {
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const connection of dirty) connection.flush();
    }
  }
}
