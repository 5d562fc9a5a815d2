/**
 * Finds out whether a client is still there (N13): PING into its silence, and the round trip time.
 */
import type { Clock, Timer, Timers } from '#kit';

/** The first PING comes soon after CONNECT, to measure the round trip. */
const FIRST_PING_MS = 2000;

export interface HeartbeatPlan {
  readonly intervalMs: number;
  readonly outstandingMax: number;
  ping(): void;
  /** Called once, when the client owes too many answers. */
  stale(): void;
}

export class Heartbeat {
  /** Set by the reader with every chunk: a talking client needs no PING. */
  heard = false;
  /** Nothing is read: nobody is asked, and no answer is missed. */
  muted = false;
  /** Round trip in ms, -1 before it was measured. */
  roundTripMs = -1;
  readonly #timers: Timers;
  readonly #clock: Clock;
  readonly #plan: HeartbeatPlan;
  #timer: Timer | null = null;
  #outstanding = 0;
  #pingedAtMs = 0;

  constructor(timers: Timers, clock: Clock, plan: HeartbeatPlan) {
    this.#timers = timers;
    this.#clock = clock;
    this.#plan = plan;
  }

  start(): void {
    this.#arm(Math.min(FIRST_PING_MS, this.#plan.intervalMs));
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  pong(): void {
    if (this.#outstanding > 0) this.roundTripMs = this.#clock.monotonicMs() - this.#pingedAtMs;
    this.#outstanding = 0;
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#timers.after(delayMs, this.#tick);
  }

  readonly #tick = (): void => {
    this.#timer = null;
    const { heard } = this;
    this.heard = false;
    if (this.muted) {
      this.#arm(this.#plan.intervalMs);
      return;
    }
    if (this.#outstanding >= this.#plan.outstandingMax) {
      this.#plan.stale();
      return;
    }
    if (!heard || this.roundTripMs < 0) {
      this.#outstanding++;
      this.#pingedAtMs = this.#clock.monotonicMs();
      this.#plan.ping();
    }
    this.#arm(this.#plan.intervalMs);
  };
}
