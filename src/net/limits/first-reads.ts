/**
 * Who has not said anything yet is read a few at a time: the runtime takes what thousands of them
 * say at once in one go, and all others would wait for it. One that stays silent while others wait
 * gives its place to them, and gets another one behind those who have not had any.
 */
import type { Clock, Timer, Timers } from '#kit';

export interface Newcomer {
  startReading(): void;
  stopReading(): void;
}

/** Newcomers that are read at one time. */
const READING_MAX = 256;
/** For so long one may be silent while others wait. */
const PATIENCE_MS = 100;

export class FirstReads {
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** Since when they are read, the longest first. */
  readonly #reading = new Map<Newcomer, number>();
  readonly #fresh = new Set<Newcomer>();
  /** They had a place and were silent. */
  readonly #silent = new Set<Newcomer>();
  #timer: Timer | null = null;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** It is not read yet. */
  add(newcomer: Newcomer): void {
    this.#fresh.add(newcomer);
    this.#fill();
  }

  /** It spoke, or it is gone. */
  done(newcomer: Newcomer): void {
    if (this.#reading.delete(newcomer)) this.#fill();
    else if (!this.#fresh.delete(newcomer)) this.#silent.delete(newcomer);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#reading.clear();
    this.#fresh.clear();
    this.#silent.clear();
  }

  #fill(): void {
    for (const line of [this.#fresh, this.#silent]) {
      for (const newcomer of line) {
        if (this.#reading.size >= READING_MAX) {
          this.#arm();
          return;
        }
        line.delete(newcomer);
        this.#reading.set(newcomer, this.#clock.monotonicMs());
        newcomer.startReading();
      }
    }
  }

  #arm(): void {
    if (this.#timer !== null) return;
    const [sinceMs = 0] = this.#reading.values();
    const waitMs = sinceMs + PATIENCE_MS - this.#clock.monotonicMs();
    this.#timer = this.#timers.after(Math.max(1, Math.ceil(waitMs)), this.#rotate);
  }

  readonly #rotate = (): void => {
    this.#timer = null;
    let waiting = this.#fresh.size + this.#silent.size;
    const sinceMax = this.#clock.monotonicMs() - PATIENCE_MS;
    for (const [newcomer, sinceMs] of this.#reading) {
      if (waiting === 0 || sinceMs > sinceMax) break;
      waiting--;
      this.#reading.delete(newcomer);
      newcomer.stopReading();
      this.#silent.add(newcomer);
    }
    this.#fill();
  };
}
