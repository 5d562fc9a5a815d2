/**
 * The rate at which a listener lets connections in. Those beyond it wait, unread, oldest first; a
 * storm beyond what may wait is turned away. One timer, armed for the moment of the next one.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer, Timers } from '#kit';
import { TokenBucket } from './token-bucket.ts';

export class Intake {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #bucket: TokenBucket | null;
  readonly #waitingMax: number;
  readonly #enter: (socket: Socket) => void;
  readonly #waiting = new Set<Socket>();
  #timer: Timer | null = null;

  constructor(
    world: { readonly clock: Clock; readonly timers: Timers },
    limits: { readonly perSecond: number; readonly waitingMax: number },
    enter: (socket: Socket) => void,
  ) {
    this.#clock = world.clock;
    this.#timers = world.timers;
    const { perSecond } = limits;
    this.#bucket = perSecond > 0 ? new TokenBucket(perSecond, world.clock.monotonicMs()) : null;
    this.#waitingMax = limits.waitingMax;
    this.#enter = enter;
  }

  /** @returns false when too many wait */
  add(socket: Socket): boolean {
    if (this.#bucket === null) {
      this.#enter(socket);
      return true;
    }
    if (this.#waiting.size >= this.#waitingMax) return false;
    this.#waiting.add(socket);
    socket.pause();
    socket.on('error', ignore);
    socket.once('close', () => this.#waiting.delete(socket));
    if (this.#timer === null) this.#admit(this.#bucket);
    return true;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#waiting.clear();
  }

  #admit(bucket: TokenBucket): void {
    this.#timer = null;
    for (const socket of this.#waiting) {
      const nowMs = this.#clock.monotonicMs();
      const waitMs = bucket.waitFor(1, nowMs);
      if (waitMs > 0) {
        this.#timer = this.#timers.after(Math.ceil(waitMs), () => this.#admit(bucket));
        return;
      }
      bucket.take(1, nowMs);
      this.#waiting.delete(socket);
      socket.off('error', ignore);
      this.#enter(socket);
    }
  }
}

function ignore(): void {}
