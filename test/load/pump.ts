/**
 * Sends the messages of a ledger: as many as a window holds, as fast as they are acknowledged, or
 * at a fixed rate. A message is sent once; whether it is sent again is up to the client library.
 */
import type { Ledger } from './ledger.ts';

export interface Pace {
  /** Messages without an answer, at most. */
  readonly window: number;
  /** Messages per second; without it as many as the window lets through. */
  readonly rate?: number;
}

const TICK_MS = 20;
const MS_PER_SECOND = 1000;

type Send = (body: Buffer, number: number, done: (acknowledged: boolean) => void) => void;

export class Pump {
  readonly #ledger: Ledger;
  readonly #pace: Pace;
  readonly #send: Send;
  #outstanding = 0;
  #open = false;
  /** Answers of an earlier connection do not count for this one. */
  #epoch = 0;
  #credit = 0;
  #ticker: NodeJS.Timeout | null = null;
  #idle: (() => void)[] = [];

  constructor(ledger: Ledger, pace: Pace, send: Send) {
    this.#ledger = ledger;
    this.#pace = pace;
    this.#send = send;
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  start(): void {
    if (this.#open) return;
    this.#open = true;
    const { rate } = this.#pace;
    if (rate === undefined) {
      this.#credit = Number.POSITIVE_INFINITY;
      this.#fill();
      return;
    }
    let last = performance.now();
    this.#ticker = setInterval(() => {
      const now = performance.now();
      // What a full window held back is not made up for later.
      this.#credit = Math.min(rate, this.#credit + ((now - last) * rate) / MS_PER_SECOND);
      last = now;
      this.#fill();
    }, TICK_MS);
  }

  /** Begins nothing new. */
  stop(): void {
    this.#open = false;
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#ticker = null;
  }

  /** The connection is gone: what has no answer will not get one. */
  abandon(): void {
    this.stop();
    this.#epoch++;
    this.#outstanding = 0;
    this.#settled();
  }

  /** Resolves when everything has its answer. */
  idle(): Promise<void> {
    if (this.#outstanding === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #fill(): void {
    while (this.#open && this.#credit >= 1 && this.#outstanding < this.#pace.window) {
      this.#credit--;
      this.#outstanding++;
      const { number, body } = this.#ledger.next();
      const epoch = this.#epoch;
      this.#send(body, number, (acknowledged) => {
        if (epoch !== this.#epoch) return;
        this.#outstanding--;
        if (acknowledged) this.#ledger.confirm(number);
        if (this.#outstanding === 0) this.#settled();
        this.#fill();
      });
    }
  }

  #settled(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
