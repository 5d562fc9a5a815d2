/**
 * What was read for messages that came back: they lie behind the place where a lane reads on, and
 * many come back at once, when a consumer leaves. One read serves all of them that it covers.
 */
import { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import type { Run } from '../streams/partition.ts';

/** One for each partition that references name, as far as they are that few. */
const RUNS_MAX = 8;

export class ReadBack {
  readonly #runs = new Map<number, Run>();

  /** @param number of the partition. @returns undefined when the offset was not read */
  find(number: number, offset: number): Message | undefined {
    const run = this.#runs.get(number);
    if (run === undefined || offset >= run.next) return undefined;
    const { messages } = run;
    let low = 0;
    let high = messages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (messages[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    const found = messages[low];
    return found?.offset === offset ? found : undefined;
  }

  keep(number: number, run: Run): void {
    this.#runs.delete(number);
    if (this.#runs.size >= RUNS_MAX) {
      for (const oldest of this.#runs.keys()) {
        this.#runs.delete(oldest);
        break;
      }
    }
    this.#runs.set(number, run);
  }

  clear(): void {
    if (this.#runs.size > 0) this.#runs.clear();
  }
}

/** Damaged, trimmed or removed with its stream: there is no such message any more. */
export function isGone(error: unknown): boolean {
  if (!(error instanceof BrokerError)) return false;
  return (
    error.code === 'damaged' ||
    error.code === 'offset-out-of-range' ||
    error.code === 'unknown-stream'
  );
}
