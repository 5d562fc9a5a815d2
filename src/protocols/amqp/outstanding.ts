/**
 * What one connection has published and the broker has not committed yet. Methods that look into a
 * queue wait for it, so that a client finds there what it has published before, as it is used to.
 */
import type { PublishSink } from '#broker';

export class Outstanding implements PublishSink {
  #count = 0;
  #waiters: (() => void)[] = [];

  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.#count++;
  }

  end(): void {
    if (--this.#count > 0 || this.#waiters.length === 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** The sink of publishes that nobody wants confirmed. */
  published(): void {
    this.end();
  }

  /** Resolves when everything published so far is committed, or has failed. */
  settled(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}
