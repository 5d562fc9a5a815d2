/**
 * Order by key: while a message of a key is not finished, later ones of that key are set aside, and
 * only they. What is set aside is bounded; when it is full, all wait.
 */
import type { Message } from '../records/message.ts';
import type { Item } from './queue-lane.ts';

const PARKED_MAX = 4096;
const PARKED_BYTES_MAX = 32 << 20;

interface KeyLine {
  /** Position of the message that the others wait for. */
  owner: number;
  readonly waiting: Item[];
}

export class KeyOrder {
  readonly #lines = new Map<string, KeyLine>();
  /** Their turn has come, in order of position. */
  readonly #free: Item[] = [];
  #waitingCount = 0;
  #bytes = 0;

  /** Set aside, their turn come or not. */
  get count(): number {
    return this.#waitingCount + this.#free.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#waitingCount >= PARKED_MAX || this.#bytes >= PARKED_BYTES_MAX;
  }

  /** The first one whose turn has come. */
  get free(): Item | null {
    return this.#free[0] ?? null;
  }

  takeFree(): void {
    const item = this.#free.shift()!;
    this.#bytes -= item.bytes;
  }

  /** True when the message must wait for an earlier one. */
  blocks(item: Item): boolean {
    const line = this.#lineOf(item.message);
    return line !== undefined && line.owner !== item.position;
  }

  /** From here on later messages of the key wait. */
  begin(item: Item): void {
    const key = keyOf(item.message);
    if (key === null) return;
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, { owner: item.position, waiting: [] });
    else line.owner = item.position;
  }

  /** Sets a taken message aside. */
  park(item: Item): void {
    this.#lineOf(item.message)!.waiting.push(item);
    this.#waitingCount++;
    this.#bytes += item.bytes;
  }

  /** The message is finished. @returns true when the turn of another one has come */
  end(item: Item): boolean {
    const key = keyOf(item.message);
    const line = key === null ? undefined : this.#lines.get(key);
    if (line === undefined || line.owner !== item.position) return false;
    const next = line.waiting.shift();
    if (next === undefined) {
      this.#lines.delete(key!);
      return false;
    }
    this.#waitingCount--;
    line.owner = next.position;
    let at = this.#free.length;
    while (at > 0 && this.#free[at - 1]!.position > next.position) at--;
    this.#free.splice(at, 0, next);
    return true;
  }

  /**
   * Empties what is set aside: for a purge.
   * @param busy true when the message of that position is in flight, delayed or on its way out
   */
  takeAll(busy: (position: number) => boolean): Item[] {
    const all = [...this.#free];
    for (const [key, line] of this.#lines) {
      all.push(...line.waiting.splice(0));
      if (!busy(line.owner)) this.#lines.delete(key);
    }
    this.#free.length = 0;
    this.#waitingCount = 0;
    this.#bytes = 0;
    return all;
  }

  #lineOf(message: Message): KeyLine | undefined {
    const key = keyOf(message);
    return key === null ? undefined : this.#lines.get(key);
  }
}

/** One character per byte. */
function keyOf(message: Message): string | null {
  return message.key === null ? null : message.key.toString('latin1');
}
