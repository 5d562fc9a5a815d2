/**
 * Deduplication windows (X67): what was taken under an id once is not taken again while the window
 * remembers the id. One store for every kind of id: message ids of
 * every protocol. A remembered id is an entry of the time engine whose time is the end of its
 * window, so it is durable, lies in the catalogue, commits together with the append that it belongs
 * to, and goes by itself. (Two more dedupe tables live where their limits come from: the sequences
 * of a producer in its log, identifiers of one session in the session; see docs/decisions/0015.)
 */
import type { BrokerError } from '#kit';
import type { TimeEngine } from '../time/time-engine.ts';

/** Kinds of the time engine: one for each window. */
const KIND_PREFIX = 'dedupe/';
const FORGOTTEN_PER_TURN = 1_000;

export interface WindowLimits {
  /** How long an id is remembered. */
  readonly timeMs: number;
  /** Ids that are remembered; beyond it the oldest are forgotten early. */
  readonly idsMax: number;
}

type Done = (error: BrokerError | null) => void;

export class Dedupe {
  readonly #time: TimeEngine;
  readonly #nowMs: () => number;
  readonly #windows = new Map<string, DedupeWindow>();

  constructor(time: TimeEngine, nowMs: () => number) {
    this.#time = time;
    this.#nowMs = nowMs;
    // Ids expire whether or not their window is used again.
    for (const kind of time.kinds())
      if (kind.startsWith(KIND_PREFIX)) time.register(kind, () => {});
  }

  /**
   * The window of a scope, such as one stream or one client; made when there is none. New limits
   * count for the ids that come from now on.
   */
  window(scope: string, limits: WindowLimits): DedupeWindow {
    let window = this.#windows.get(scope);
    if (window === undefined) {
      const kind = KIND_PREFIX + scope;
      this.#time.register(kind, () => {});
      window = new DedupeWindow(this.#time, kind, this.#nowMs);
      this.#windows.set(scope, window);
    }
    window.limits = limits;
    return window;
  }
}

export class DedupeWindow {
  limits: WindowLimits = { timeMs: 0, idsMax: 0 };
  readonly #time: TimeEngine;
  readonly #kind: string;
  readonly #nowMs: () => number;
  /** Ids whose append is under way, with the repeats that wait for its fate. */
  readonly #inFlight = new Map<string, Done[]>();

  constructor(time: TimeEngine, kind: string, nowMs: () => number) {
    this.#time = time;
    this.#kind = kind;
    this.#nowMs = nowMs;
  }

  /** Ids that it remembers. */
  get count(): number {
    return this.#time.count(this.#kind);
  }

  /**
   * Was this id taken before? Then the outcome of the first time, and `done` is told once that is
   * on disk (at once, when it is), or has failed: then the id may come again.
   * @returns null when the id is new: append, `add` it and tell `settled`
   */
  repeat(id: string, done: Done): Buffer | null {
    const first = this.#time.get(this.#kind, id);
    if (first === undefined || first.dueMs <= this.#nowMs()) return null;
    const waiting = this.#inFlight.get(id);
    if (waiting === undefined) done(null);
    else waiting.push(done);
    return first.value;
  }

  /**
   * Remembers an id, in the same synchronous stretch of code as the append that it belongs to.
   * @param timeMs how long; the window's time when left out
   */
  add(id: string, outcome: Buffer, timeMs = this.limits.timeMs): void {
    const { idsMax } = this.limits;
    this.#inFlight.set(id, []);
    this.#time.set(this.#kind, id, this.#nowMs() + timeMs, outcome);
    while (this.count > idsMax) {
      const oldest = this.#time.first(this.#kind);
      if (oldest === undefined || oldest.id === id) return;
      this.#time.cancel(this.#kind, oldest.id);
    }
  }

  /**
   * Forgets the ids that it remembers now: the oldest first, some in each turn of the event loop.
   */
  forget(soon: (call: () => void) => void, count = this.count): void {
    for (let left = Math.min(count, FORGOTTEN_PER_TURN); left > 0; left--) {
      const oldest = this.#time.first(this.#kind);
      if (oldest === undefined) return;
      this.#time.cancel(this.#kind, oldest.id);
    }
    const rest = count - FORGOTTEN_PER_TURN;
    if (rest > 0) soon(() => this.forget(soon, rest));
  }

  /** The fate of the append: when it failed, the id is as new. */
  settled(id: string, error: BrokerError | null): void {
    const waiting = this.#inFlight.get(id);
    if (waiting === undefined) return;
    this.#inFlight.delete(id);
    if (error !== null) this.#time.cancel(this.#kind, id);
    for (const done of waiting) done(error);
  }
}
