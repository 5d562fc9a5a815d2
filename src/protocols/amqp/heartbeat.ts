/**
 * Heartbeats of one connection: sends one when half an interval went by without other bytes, and
 * says that the peer is dead after two intervals without any byte from it (specification 4.2.7).
 * One timer.
 */
import type { Timer, Timers } from '#kit';

const HALVES_UNTIL_DEAD = 4;

export class Heartbeat {
  readonly #timers: Timers;
  readonly #halfMs: number;
  readonly #send: () => void;
  readonly #dead: () => void;
  /** Nothing is read: silence is no sign of anything. */
  muted = false;
  #timer: Timer | null = null;
  #heard = true;
  #sent = true;
  #silentHalves = 0;

  constructor(timers: Timers, intervalMs: number, send: () => void, dead: () => void) {
    this.#timers = timers;
    this.#halfMs = intervalMs / 2;
    this.#send = send;
    this.#dead = dead;
    this.#arm();
  }

  /** Any byte counts, not only heartbeat frames. */
  heard(): void {
    this.#heard = true;
  }

  sent(): void {
    this.#sent = true;
  }

  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    this.#timer = this.#timers.after(this.#halfMs, () => this.#tick());
  }

  #tick(): void {
    this.#silentHalves = this.#heard || this.muted ? 0 : this.#silentHalves + 1;
    this.#heard = false;
    if (this.#silentHalves >= HALVES_UNTIL_DEAD) {
      this.end();
      this.#dead();
      return;
    }
    if (!this.#sent) this.#send();
    this.#sent = false;
    this.#arm();
  }
}
