/**
 * A rate, in units a second, with a burst of one second. What was taken beyond it is a debt: the
 * answer is for how long the taker must wait. Time is handed in; there is no timer here.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = Math.max(1, perSecond);
    this.#tokens = this.#burst;
    this.#atMs = nowMs;
  }

  /** Takes `count`, whatever is left. @returns ms until the bucket is out of debt; 0 when it is */
  take(count: number, nowMs: number): number {
    this.#fill(nowMs);
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }

  /** ms until `count` can be taken without a debt; it is not taken. */
  waitFor(count: number, nowMs: number): number {
    this.#fill(nowMs);
    const missing = Math.min(count, this.#burst) - this.#tokens;
    return missing <= 0 ? 0 : missing / this.#perMs;
  }

  #fill(nowMs: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
  }
}
