/**
 * What is left of one quota. Those who share it may take more than there is: that is a debt, and
 * the answer to it is how long they must wait. Time is handed in; there is no timer here.
 */

export class Share {
  /** Clients that hold it. */
  holders = 0;
  #perMs = 0;
  #most = 0;
  #left = 0;
  #atMs: number;

  constructor(perSecond: number, burstSeconds: number, nowMs: number) {
    this.#atMs = nowMs;
    this.set(perSecond, burstSeconds, nowMs);
    this.#left = this.#most;
  }

  /** What may be taken at once without a debt when nothing was taken for long. */
  get most(): number {
    return this.#most;
  }

  /** Changes the rate. A debt stays, and is paid at the new rate. */
  set(perSecond: number, burstSeconds: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#perMs = perSecond / 1000;
    // A rate below one a second still lets one through.
    this.#most = Math.max(1, perSecond * burstSeconds);
    this.#left = Math.min(this.#left, this.#most);
  }

  /** Takes `amount`, whatever is left. @returns ms until the debt is paid; 0 without one */
  take(amount: number, nowMs: number): number {
    this.#fill(nowMs);
    this.#left -= amount;
    return this.#waitMs();
  }

  /** ms until the debt is paid; 0 without one. */
  debtMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#waitMs();
  }

  /** Ms until `amount` can be taken without a debt; nothing is taken. */
  waitFor(amount: number, nowMs: number): number {
    this.#fill(nowMs);
    const missing = Math.min(amount, this.#most) - this.#left;
    return missing > 0 ? Math.ceil(missing / this.#perMs) : 0;
  }

  /** As good as new: to forget it gives nobody anything. */
  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#left >= this.#most;
  }

  #waitMs(): number {
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#perMs);
  }

  #fill(nowMs: number): void {
    const more = (nowMs - this.#atMs) * this.#perMs;
    this.#left = Math.min(this.#most, this.#left + more);
    this.#atMs = nowMs;
  }
}
