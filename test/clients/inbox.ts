/** Messages that a client library hands to a callback, taken one by one with a deadline. */
import { PATIENCE_MS } from './program.ts';

export class Inbox<T> {
  readonly #waiting: T[] = [];
  #take: ((item: T) => void) | null = null;
  /** How many ever came. */
  count = 0;

  /** The callback to give to the library. */
  readonly put = (item: T): void => {
    this.count++;
    const take = this.#take;
    this.#take = null;
    if (take === null) this.#waiting.push(item);
    else take(item);
  };

  get size(): number {
    return this.#waiting.length;
  }

  async next(timeoutMs = PATIENCE_MS): Promise<T> {
    const item = this.#waiting.shift();
    if (item !== undefined) return item;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const late = () => {
      this.#take = null;
      reject(new Error(`nothing came in ${timeoutMs} ms (${this.count} before)`));
    };
    const timer = setTimeout(late, timeoutMs);
    this.#take = resolve;
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async take(count: number, timeoutMs = PATIENCE_MS): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next(timeoutMs));
    return items;
  }
}
