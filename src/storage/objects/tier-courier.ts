/**
 * What goes between the local disk and the bucket behind the back of everybody: uploads, deletes,
 * objects that come back, and the comparison of both sides after a start and after an absence. A
 * bucket that is away stops all of it; it is tried again after growing random pauses, until it
 * answers. What there is to do is known from the local disk alone, so a restart loses nothing of
 * it.
 */
import { BrokerError, type Clock, type Log, type Random, type Timer, type Timers } from '#kit';
import { isSystemError } from '../files/files.ts';
import type { TierLimits } from './tier-limits.ts';

/** One errand. It rejects with `remote-unavailable` when the bucket is away. */
export interface Errand {
  readonly what: string;
  run(): Promise<void>;
}

export interface CourierParts {
  readonly limits: TierLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Begins to compare both sides: the first errand after a start and after an absence. */
  readonly compare: () => Promise<void>;
  /** The most urgent errand that nobody runs yet, or null. */
  readonly next: () => Errand | null;
  readonly onChange: (away: boolean) => void;
}

export class Courier {
  readonly #parts: CourierParts;
  readonly #running = new Set<Promise<void>>();
  #compared = false;
  #timer: Timer | null = null;
  #failures = 0;
  #closed = false;
  /** When it was found away, or null. */
  #awaySinceMs: number | null = null;
  #reason = '';

  constructor(parts: CourierParts) {
    this.#parts = parts;
  }

  get away(): { sinceMs: number; reason: string } | null {
    return this.#awaySinceMs === null ? null : { sinceMs: this.#awaySinceMs, reason: this.#reason };
  }

  /** There may be something to do. */
  wake(): void {
    while (!this.#closed && this.#timer === null && this.#running.size < this.#most) {
      const errand = this.#compared
        ? this.#parts.next()
        : { what: 'compare', run: this.#parts.compare };
      if (errand === null) return;
      const job = this.#run(errand).then(() => {
        this.#running.delete(job);
        this.wake();
      });
      this.#running.add(job);
    }
  }

  /** Somebody met a bucket that answers. */
  succeeded(): void {
    this.#failures = 0;
    if (this.#awaySinceMs === null) return;
    const { log, clock, onChange } = this.#parts;
    log.info('the object store is back', { awayMs: clock.nowMs() - this.#awaySinceMs });
    this.#awaySinceMs = null;
    this.#reason = '';
    // It may not be what it was.
    this.#compared = false;
    onChange(false);
    this.#timer?.cancel();
    this.#timer = null;
    this.wake();
  }

  /** Somebody met a bucket that does not. */
  failed(error: BrokerError): void {
    if (this.#closed) return;
    const { log, clock, onChange } = this.#parts;
    this.#reason = error.message;
    if (this.#awaySinceMs === null) {
      this.#awaySinceMs = clock.nowMs();
      log.warn('the object store is away; what lies here goes on', { reason: error.message });
      onChange(true);
    }
    this.#pause();
  }

  /** Nothing new begins; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await Promise.all(this.#running);
  }

  /** The first question goes alone, and so does whatever shows whether a bucket is back. */
  get #most(): number {
    return this.#compared && this.#awaySinceMs === null ? this.#parts.limits.uploadsMax : 1;
  }

  /** Not the bucket's fault: the local disk is full or failing. Tried again like everything. */
  #troubled(what: string, error: Error): void {
    if (this.#closed) return;
    this.#parts.log.error('an object could not be moved', { what, reason: error.message });
    this.#pause();
  }

  #pause(): void {
    if (this.#timer !== null) return;
    const { limits, timers, random } = this.#parts;
    this.#failures++;
    const longest = Math.min(limits.retryMsMax, limits.retryMs * 2 ** (this.#failures - 1));
    this.#timer = timers.after(longest * (0.5 + random.next() / 2), () => {
      this.#timer = null;
      // The comparison begins with the cheapest question of all.
      this.#compared = false;
      this.wake();
    });
  }

  async #run({ what, run }: Errand): Promise<void> {
    try {
      await run();
      if (what === 'compare') this.#compared = true;
      this.succeeded();
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'remote-unavailable') this.failed(error);
      else if (error instanceof BrokerError || isSystemError(error)) this.#troubled(what, error);
      else throw error;
    }
  }
}
