/** Rates per minute over one, five and fifteen minutes, as they fade: what Mosquitto shows. */

export const SPANS = ['1min', '5min', '15min'] as const;
const SPAN_MINUTES = [1, 5, 15] as const;

export class LoadAverage {
  readonly values: [number, number, number] = [0, 0, 0];
  #last = 0;

  /** @param total what was counted since the start */
  tick(total: number, passedMs: number): void {
    const minutes = passedMs / 60_000;
    if (minutes <= 0) return;
    const perMinute = (total - this.#last) / minutes;
    this.#last = total;
    for (const [index, span] of SPAN_MINUTES.entries()) {
      const kept = Math.exp(-minutes / span);
      this.values[index] = perMinute + kept * (this.values[index]! - perMinute);
    }
  }
}
