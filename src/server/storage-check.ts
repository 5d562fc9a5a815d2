/**
 * The check of the disk as a job beside the running server: throttled, with progress, one at a
 * time.
 */
import type { AdminCheck, AdminCheckStatus } from '#admin';
import { BrokerError, type Clock, type Log, type Timer, type Timers } from '#kit';
import { checkOnline, type Files, type StorageProblem } from '#storage';

export interface StorageCheckParts {
  readonly files: Files;
  readonly directory: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
}

type State = AdminCheckStatus['state'];

/** Damaged places that are told; there may be more of them than anybody wants to read. */
const PROBLEMS_MAX = 1_000;

class Cancelled extends Error {}

export class StorageCheckJob implements AdminCheck {
  readonly #parts: StorageCheckParts;
  #state: State = 'none';
  #startedMs = 0;
  #endedMs = 0;
  #bytes = 0;
  #problems: readonly StorageProblem[] = [];
  #reason = '';
  #running: Promise<void> | null = null;
  #cancelled = false;
  /** What the pause waits for that runs now. */
  #pause: { timer: Timer; end: () => void } | null = null;

  constructor(parts: StorageCheckParts) {
    this.#parts = parts;
  }

  /** @throws BrokerError `precondition-failed` while one runs */
  start(bytesPerSecond: number): void {
    if (this.#running !== null) {
      throw new BrokerError('precondition-failed', 'A check is running already.');
    }
    this.#state = 'running';
    this.#startedMs = this.#parts.clock.nowMs();
    this.#bytes = 0;
    this.#problems = [];
    this.#reason = '';
    this.#cancelled = false;
    this.#running = this.#run(bytesPerSecond).finally(() => {
      this.#running = null;
    });
  }

  async cancel(): Promise<void> {
    this.#cancelled = true;
    this.#pause?.end();
    await this.#running;
  }

  status(): AdminCheckStatus {
    return {
      state: this.#state,
      startedAtMs: this.#startedMs,
      endedAtMs: this.#endedMs,
      bytes: this.#bytes,
      problems: this.#problems,
      reason: this.#reason,
    };
  }

  async #run(bytesPerSecond: number): Promise<void> {
    const { files, directory, clock, log } = this.#parts;
    const startedMs = clock.monotonicMs();
    try {
      const found = await checkOnline(files, directory, {
        passed: (bytes) => this.#passed(bytes, startedMs, bytesPerSecond),
      });
      this.#problems = found.slice(0, PROBLEMS_MAX);
      this.#state = 'done';
      const problems = found.length;
      if (problems > 0) log.error('the check of the disk found damage', { problems });
      else log.info('the check of the disk found no damage', { bytes: this.#bytes });
    } catch (error) {
      this.#state = error instanceof Cancelled ? 'cancelled' : 'failed';
      this.#reason = error instanceof Cancelled ? '' : String(error);
      if (this.#state === 'failed')
        log.error('the disk could not be checked', { reason: this.#reason });
    }
    this.#endedMs = clock.nowMs();
  }

  /** Waits until the bytes that were read fit to the set rate. */
  async #passed(bytes: number, startedMs: number, bytesPerSecond: number): Promise<void> {
    if (this.#cancelled) throw new Cancelled();
    this.#bytes += bytes;
    const dueMs = startedMs + (this.#bytes / bytesPerSecond) * 1_000;
    const waitMs = dueMs - this.#parts.clock.monotonicMs();
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#pause?.timer.cancel();
        this.#pause = null;
        resolve();
      };
      this.#pause = { timer: this.#parts.timers.after(Math.max(0, waitMs), end), end };
    });
    if (this.#cancelled) throw new Cancelled();
  }
}
