/** The machine's own clock, timers and random numbers. Not for simulations. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timer, Timers } from './time.ts';

const originNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

export const realClock: Clock = {
  nowMs: () => Date.now(),
  nowNs: () => originNs + process.hrtime.bigint(),
  monotonicMs: () => performance.now(),
};

const TIMEOUT_MS_MAX = 0x7fffffff;

let pending = 0;

/** Timers that are armed and have neither fired nor been cancelled, for metrics. */
export function pendingTimers(): number {
  return pending;
}

export const realTimers: Timers = {
  after(delayMs: number, call: () => void): Timer {
    // setTimeout fires at once beyond 2^31 - 1 ms, so longer waits are cut in pieces.
    let handle: NodeJS.Timeout;
    let armed = true;
    const disarm = (): void => {
      if (armed) pending--;
      armed = false;
    };
    const arm = (remainingMs: number): void => {
      const stepMs = Math.min(remainingMs, TIMEOUT_MS_MAX);
      handle = setTimeout(() => {
        if (remainingMs > stepMs) return arm(remainingMs - stepMs);
        disarm();
        call();
      }, stepMs);
      handle.unref();
    };
    pending++;
    arm(Math.max(0, delayMs));
    return {
      cancel() {
        disarm();
        clearTimeout(handle);
      },
    };
  },
  soon(call: () => void): void {
    setImmediate(call);
  },
};

export const realRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => randomBytes(count),
};
