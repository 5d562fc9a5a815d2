/** What one publisher sent, by number from 0 on, and which of it was acknowledged. */
import { Bodies, type BodySizes } from './bodies.ts';

export class Ledger {
  readonly bodies: Bodies;
  /** Numbers below this were sent. */
  sent = 0;
  readonly confirmed = new Set<number>();
  /** Acknowledged since the last `take`, with the time of it. */
  #fresh: { readonly number: number; readonly atMs: number }[] = [];

  constructor(seed: number, sizes: BodySizes) {
    this.bodies = new Bodies(seed, sizes);
  }

  get acknowledged(): number {
    return this.confirmed.size;
  }

  next(): { readonly number: number; readonly body: Buffer } {
    const number = this.sent++;
    return { number, body: this.bodies.of(number) };
  }

  confirm(number: number): void {
    this.confirmed.add(number);
    this.#fresh.push({ number, atMs: performance.now() });
  }

  /** What was acknowledged since the last call. */
  take(): readonly { readonly number: number; readonly atMs: number }[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }
}
