/**
 * How many requests may be under way at a bucket. A throttled answer halves the number and stops
 * new ones for a moment; each success gives a little back (additive increase, multiplicative
 * decrease), so that the rate settles where the bucket is content.
 */
import { BrokerError, type Clock, type Timer, type Timers } from '#kit';

export interface PaceLimits {
  readonly requestsMax: number;
  readonly waitingMax: number;
}

export class Pace {
  readonly #limits: PaceLimits;
  readonly #clock: Clock;
  readonly #timers: Timers;
  #allowed: number;
  #active = 0;
  #resumeMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #waiting: { enter: () => void; refuse: (error: Error) => void }[] = [];
  #closed = false;

  constructor(limits: PaceLimits, clock: Clock, timers: Timers) {
    this.#limits = limits;
    this.#clock = clock;
    this.#timers = timers;
    this.#allowed = limits.requestsMax;
  }

  /** Requests that may be under way now. */
  get allowed(): number {
    return Math.floor(this.#allowed);
  }

  /** Resolves when it is one's turn; `leave` must follow. */
  enter(): Promise<void> {
    if (this.#closed) return Promise.reject(new BrokerError('closing'));
    if (this.#waiting.length === 0 && this.#open()) {
      this.#active++;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#limits.waitingMax) {
      return Promise.reject(
        new BrokerError('remote-unavailable', 'Too many requests wait for the object store.'),
      );
    }
    return new Promise((enter, refuse) => {
      this.#waiting.push({ enter, refuse });
      this.#next();
    });
  }

  leave(): void {
    this.#active--;
    this.#next();
  }

  succeeded(): void {
    const { requestsMax } = this.#limits;
    this.#allowed = Math.min(requestsMax, this.#allowed + 1 / this.#allowed);
  }

  /** The bucket asks to slow down; nothing new starts for `pauseMs`. */
  throttled(pauseMs: number): void {
    const now = this.#clock.monotonicMs();
    // Answers to requests of one moment count once.
    if (now >= this.#resumeMs) this.#allowed = Math.max(1, this.#allowed / 2);
    this.#resumeMs = Math.max(this.#resumeMs, now + pauseMs);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const { refuse } of this.#waiting.splice(0)) refuse(new BrokerError('closing'));
  }

  #open(): boolean {
    return this.#active < this.allowed && this.#clock.monotonicMs() >= this.#resumeMs;
  }

  #next(): void {
    while (this.#waiting.length > 0 && this.#open()) {
      this.#active++;
      this.#waiting.shift()!.enter();
    }
    const pauseMs = this.#resumeMs - this.#clock.monotonicMs();
    if (this.#waiting.length === 0 || pauseMs <= 0 || this.#timer !== null) return;
    this.#timer = this.#timers.after(pauseMs, () => {
      this.#timer = null;
      this.#next();
    });
  }
}
