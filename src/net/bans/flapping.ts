/**
 * Clients that come and go all the time cost as much as an attack. Whoever leaves too often within
 * a window is banned for a while.
 */
import type { Clock } from '#kit';

export interface FlappingLimits {
  /** Disconnects in one window that lead to a ban; 0 = nobody is watched. */
  readonly countMax: number;
  readonly windowMs: number;
}

/** Clients that are watched; the one that has been quiet for longest makes room. */
const WATCHED_MAX = 100_000;

interface Watched {
  sinceMs: number;
  count: number;
}

export class Flapping {
  readonly #clock: Clock;
  readonly #limits: FlappingLimits;
  readonly #watched = new Map<string, Watched>();

  constructor(clock: Clock, limits: FlappingLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** @returns true when it was once too often; its count begins anew then */
  left(clientId: string): boolean {
    const { countMax, windowMs } = this.#limits;
    if (countMax === 0) return false;
    const nowMs = this.#clock.monotonicMs();
    let watched = this.#watched.get(clientId);
    this.#watched.delete(clientId);
    if (watched === undefined || nowMs - watched.sinceMs > windowMs) {
      watched = { sinceMs: nowMs, count: 0 };
    }
    watched.count++;
    if (watched.count >= countMax) return true;
    if (this.#watched.size >= WATCHED_MAX) {
      const [oldest] = this.#watched.keys();
      this.#watched.delete(oldest!);
    }
    this.#watched.set(clientId, watched);
    return false;
  }
}
