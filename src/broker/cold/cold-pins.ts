/**
 * What retention must keep for queues that are not in memory: how many references go into each
 * stretch of offsets. The answer is the start of the first stretch that has any, so it is never too
 * high and at most one stretch too low, and costs memory by stretches, not by references.
 */
const STRETCH = 1024;

class Stretches {
  readonly counts = new Map<number, number>();
  first = Number.POSITIVE_INFINITY;
}

export class ColdPins {
  /** By log id of the partition. */
  readonly #logs = new Map<number, Stretches>();

  add(logId: number, offset: number): void {
    let log = this.#logs.get(logId);
    if (log === undefined) {
      log = new Stretches();
      this.#logs.set(logId, log);
    }
    const stretch = Math.floor(offset / STRETCH);
    log.counts.set(stretch, (log.counts.get(stretch) ?? 0) + 1);
    if (stretch < log.first) log.first = stretch;
  }

  remove(logId: number, offset: number): void {
    const log = this.#logs.get(logId);
    if (log === undefined) return;
    const stretch = Math.floor(offset / STRETCH);
    const count = log.counts.get(stretch) ?? 0;
    if (count > 1) {
      log.counts.set(stretch, count - 1);
      return;
    }
    log.counts.delete(stretch);
    if (log.counts.size === 0) this.#logs.delete(logId);
    else if (stretch === log.first) log.first = least(log.counts.keys());
  }

  /** No offset of the partition that is still needed is less; Infinity: none is. */
  first(logId: number): number {
    const log = this.#logs.get(logId);
    return log === undefined ? Number.POSITIVE_INFINITY : log.first * STRETCH;
  }
}

function least(numbers: Iterable<number>): number {
  let found = Number.POSITIVE_INFINITY;
  for (const number of numbers) if (number < found) found = number;
  return found;
}
