/**
 * Reads of objects that lie only in the bucket: fetched in blocks, each once however many ask for
 * it at the same moment, kept in bounded memory. A reader that goes on where it stopped is read
 * ahead of, further with each step, so that it waits for the bucket once and not at every read.
 */
import type { TierEntry } from './tier-entry.ts';
import type { TierLimits } from './tier-limits.ts';

export type Fetch = (entry: TierEntry, from: number, length: number) => Promise<Buffer>;

interface Block {
  readonly promise: Promise<Buffer>;
  readonly bytes: number;
  settled: boolean;
}

/** Where a sequential reader stopped, and how many blocks it is read ahead of. */
interface Follow {
  end: number;
  ahead: number;
}

/** Readers of one object that are told apart. */
const FOLLOWS_PER_OBJECT = 8;

export class RemoteReads {
  readonly #limits: TierLimits;
  readonly #fetch: Fetch;
  /** By name in the bucket and number, least recently used first. */
  readonly #blocks = new Map<string, Block>();
  readonly #follows = new Map<string, Follow[]>();
  #bytes = 0;
  /** Of blocks that are under way. */
  #flying = 0;

  constructor(limits: TierLimits, fetch: Fetch) {
    this.#limits = limits;
    this.#fetch = fetch;
  }

  /** Memory that is taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes [from, from + length) of the object, which has that many; the caller's own. */
  async read(entry: TierEntry, from: number, length: number): Promise<Buffer> {
    const { blockBytes } = this.#limits;
    const first = Math.floor(from / blockBytes);
    const last = Math.floor((from + length - 1) / blockBytes);
    const needed = this.#need(entry, first, last);
    this.#readAhead(entry, last, this.#follow(entry, from, from + length));
    const target = Buffer.allocUnsafeSlow(length);
    const blocks = await Promise.all(needed);
    for (const [index, block] of blocks.entries()) {
      const at = (first + index) * blockBytes;
      const skip = Math.max(0, from - at);
      block.copy(target, at + skip - from, skip, Math.min(block.length, from + length - at));
    }
    return target;
  }

  /** Lets go of what is held of an object. */
  forget(entry: TierEntry): void {
    this.#follows.delete(entry.remoteName);
    const count = Math.ceil(entry.bytes / this.#limits.blockBytes);
    for (let number = 0; number < count; number++) this.#drop(`${entry.remoteName} ${number}`);
  }

  /** Fetches what the reader will want, in few large requests: half of it is there when it asks. */
  #readAhead(entry: TierEntry, last: number, ahead: number): void {
    const { blockBytes, readBytes } = this.#limits;
    const end = Math.min(last + ahead, Math.floor((entry.tailAt - 1) / blockBytes));
    let first = last + 1;
    while (first <= end && this.#has(entry, first)) first++;
    if (first > end || first - last > ahead / 2 || this.#flying > readBytes / 2) return;
    // Whoever comes to read it meets the failure then, and asks again.
    for (const promise of this.#need(entry, first, end)) promise.catch(() => {});
  }

  /**
   * The blocks from `first` to `last`; those that are not there are fetched, neighbours at once.
   */
  #need(entry: TierEntry, first: number, last: number): Promise<Buffer>[] {
    const { blockBytes, fetchBytesMax } = this.#limits;
    const blocks: Promise<Buffer>[] = [];
    const perFetch = Math.max(1, Math.floor(fetchBytesMax / blockBytes));
    for (let number = first; number <= last; ) {
      const held = this.#held(entry, number);
      if (held !== null) {
        blocks.push(held);
        number++;
        continue;
      }
      let end = number + 1;
      while (end <= last && end - number < perFetch && !this.#has(entry, end)) end++;
      blocks.push(...this.#fetchBlocks(entry, number, end));
      number = end;
    }
    this.#shrink();
    return blocks;
  }

  #fetchBlocks(entry: TierEntry, first: number, end: number): Promise<Buffer>[] {
    const { blockBytes } = this.#limits;
    const from = first * blockBytes;
    const length = Math.min(entry.bytes, end * blockBytes) - from;
    const fetched = this.#fetch(entry, from, length);
    const blocks: Promise<Buffer>[] = [];
    for (let number = first; number < end; number++) {
      const at = (number - first) * blockBytes;
      const bytes = Math.min(blockBytes, length - at);
      // A copy: a block that stays must not keep its whole fetch alive.
      const promise = fetched.then((all) => Buffer.from(all.subarray(at, at + bytes)));
      this.#keep(`${entry.remoteName} ${number}`, promise, bytes);
      blocks.push(promise);
    }
    return blocks;
  }

  #keep(key: string, promise: Promise<Buffer>, bytes: number): void {
    const block: Block = { promise, bytes, settled: false };
    this.#blocks.set(key, block);
    this.#bytes += bytes;
    this.#flying += bytes;
    const settle = (): void => {
      block.settled = true;
      this.#flying -= bytes;
    };
    promise.then(
      () => {
        settle();
        this.#shrink();
      },
      () => {
        settle();
        if (this.#blocks.get(key) === block) this.#drop(key);
      },
    );
  }

  #held(entry: TierEntry, number: number): Promise<Buffer> | null {
    const key = `${entry.remoteName} ${number}`;
    const block = this.#blocks.get(key);
    if (block === undefined) return null;
    this.#blocks.delete(key);
    this.#blocks.set(key, block);
    return block.promise;
  }

  #has(entry: TierEntry, number: number): boolean {
    return this.#blocks.has(`${entry.remoteName} ${number}`);
  }

  #drop(key: string): void {
    const block = this.#blocks.get(key);
    if (block === undefined) return;
    this.#blocks.delete(key);
    this.#bytes -= block.bytes;
  }

  /** Lets the oldest go. What is under way stays: somebody waits for it. */
  #shrink(): void {
    if (this.#bytes <= this.#limits.readBytes) return;
    for (const [key, block] of this.#blocks) {
      if (block.settled) this.#drop(key);
      if (this.#bytes <= this.#limits.readBytes) return;
    }
  }

  /** How many blocks beyond `to` this reader will want soon. */
  #follow(entry: TierEntry, from: number, to: number): number {
    const { blockBytes, aheadBytesMax, readersMax } = this.#limits;
    const known = this.#follows.get(entry.remoteName) ?? [];
    this.#follows.delete(entry.remoteName);
    this.#follows.set(entry.remoteName, known);
    for (const oldest of this.#follows.keys()) {
      if (this.#follows.size <= readersMax) break;
      this.#follows.delete(oldest);
    }
    // A step may begin a little before the last end (the same batch again) or after it.
    const at = known.findIndex(
      ({ end }) => from <= end + blockBytes && from >= end - 2 * blockBytes,
    );
    if (at < 0) {
      known.push({ end: to, ahead: 0 });
      if (known.length > FOLLOWS_PER_OBJECT) known.shift();
      return 0;
    }
    const [reader] = known.splice(at, 1);
    known.push(reader!);
    if (to > reader!.end) {
      const most = Math.floor(aheadBytesMax / blockBytes);
      reader!.ahead = Math.min(most, Math.max(1, reader!.ahead * 2));
    }
    reader!.end = Math.max(reader!.end, to);
    return reader!.ahead;
  }
}
