/**
 * Clock, timers and random numbers as values that are passed in, so that a whole server can run
 * under a simulated clock. Only `server/` and tests make the real ones.
 */

export interface Clock {
  /** Wall clock in ms since 1970, an integer. */
  nowMs(): number;
  /** Wall clock in ns since 1970. */
  nowNs(): bigint;
  /** Monotonic time in ms with fraction; only differences mean something. */
  monotonicMs(): number;
}

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Calls once after `delayMs`. A pending timer does not keep the process alive. */
  after(delayMs: number, call: () => void): Timer;
  /** Calls once at the end of this turn of the event loop, when all its sockets were read. */
  soon(call: () => void): void;
}

export interface Random {
  /** A float in [0, 1). */
  next(): number;
  bytes(count: number): Buffer;
}
