/** Failed log-ins per address: who guesses passwords is refused for a while without being heard. */
import type { Clock } from '#kit';

/** Addresses that are remembered; the oldest are forgotten first. */
const ADDRESSES_MAX = 10_000;

interface Count {
  failures: number;
  sinceMs: number;
}

export class LoginFailures {
  /** Failures of one address in one window; 0 = no limit. */
  max = 0;
  windowMs = 60_000;
  readonly #clock: Clock;
  readonly #byAddress = new Map<string, Count>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  blocked(address: string): boolean {
    if (this.max === 0 || address === '') return false;
    const count = this.#byAddress.get(address);
    if (count === undefined) return false;
    if (this.#over(count)) {
      this.#byAddress.delete(address);
      return false;
    }
    return count.failures >= this.max;
  }

  failed(address: string): void {
    if (this.max === 0 || address === '') return;
    const count = this.#byAddress.get(address);
    if (count !== undefined && !this.#over(count)) {
      count.failures++;
      return;
    }
    this.#byAddress.delete(address);
    if (this.#byAddress.size >= ADDRESSES_MAX) {
      for (const oldest of this.#byAddress.keys()) {
        this.#byAddress.delete(oldest);
        break;
      }
    }
    this.#byAddress.set(address, { failures: 1, sinceMs: this.#clock.monotonicMs() });
  }

  #over({ sinceMs }: Count): boolean {
    return this.#clock.monotonicMs() - sinceMs >= this.windowMs;
  }
}
