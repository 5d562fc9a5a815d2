/**
 * Sends clients away at a set rate, so that the servers that take them over are not stormed. Who is
 * sent away first has been here for longest. Nobody new comes in meanwhile.
 */
import type { Log, Timer, Timers } from '#kit';
import type { Guest, Network } from '#net';

/** At rates above it several leave at once. */
const STEP_MS_MIN = 10;

export interface DrainPlan {
  /** 0 = all at once. */
  readonly perSecond: number;
  /** Other servers as `host:port`, separated by spaces; empty = not told. */
  readonly reference: string;
}

export interface DrainStatus {
  readonly state: 'none' | 'running' | 'done';
  readonly perSecond: number;
  readonly sent: number;
  readonly left: number;
}

export class Drain {
  readonly #network: Network;
  readonly #timers: Timers;
  readonly #log: Log;
  readonly #allLeave: () => void;
  readonly #asked = new Set<Guest>();
  #plan: DrainPlan | null = null;
  #timer: Timer | null = null;
  #sent = 0;
  #done = Promise.withResolvers<void>();

  /** @param allLeave called before everybody is sent away at once: nobody is left to work on */
  constructor(network: Network, timers: Timers, log: Log, allLeave: () => void) {
    this.#network = network;
    this.#timers = timers;
    this.#log = log;
    this.#allLeave = allLeave;
  }

  /** Begins, or goes on with another plan. Resolves when everybody was asked to leave. */
  start(plan: DrainPlan): Promise<void> {
    if (this.#plan === null) this.#log.info('clients are sent away', { ...plan });
    this.#plan = plan;
    this.#network.closeDoors();
    this.#timer?.cancel();
    if (plan.perSecond === 0) this.#allLeave();
    this.#step(plan);
    return this.#done.promise;
  }

  status(): DrainStatus {
    const left = [...this.#network.guests()].length;
    const state = this.#plan === null ? 'none' : this.#timer === null ? 'done' : 'running';
    return { state, perSecond: this.#plan?.perSecond ?? 0, sent: this.#sent, left };
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#done.resolve();
  }

  #step(plan: DrainPlan): void {
    this.#timer = null;
    const { perSecond, reference } = plan;
    const stepMs = perSecond === 0 ? 0 : Math.max(STEP_MS_MIN, 1000 / perSecond);
    const count = perSecond === 0 ? Infinity : Math.max(1, Math.round((perSecond * stepMs) / 1000));
    const leaving = this.#next(count);
    for (const guest of leaving) {
      this.#asked.add(guest);
      this.#sent++;
      guest.evict({
        why: 'drain',
        text: 'the server is being taken out of service',
        reference: reference === '' ? null : reference,
      });
    }
    if (leaving.length < count) {
      this.#asked.clear();
      this.#done.resolve();
      return;
    }
    this.#timer = this.#timers.after(stepMs, () => this.#step(plan));
  }

  #next(count: number): Guest[] {
    const next: Guest[] = [];
    for (const guest of this.#network.guests()) {
      if (next.length >= count) break;
      if (!this.#asked.has(guest)) next.push(guest);
    }
    return next;
  }
}
