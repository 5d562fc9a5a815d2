/**
 * References of one lane in pages: a reference says in which partition and at which offset a
 * message lies. Of a long lane only the head, the tail and what was looked at lately is in memory;
 * the rest is in the lane's log, whose offsets are the indexes of the references.
 */
import { BrokerError } from '#kit';
import type { ShardLog } from '#storage';
import type { Message } from '../records/message.ts';

export const PAGE_REFERENCES = 256;
const FIRST_SLOTS = 16;
/** Pages of a durable lane in memory. */
const PAGES_MAX = 64;
/** Pages after the one that is wanted which a read brings along. */
const PAGES_AHEAD = 15;

/** Bytes of one reference in the log: log id, offset (both as doubles), meta, size of the value. */
export const REFERENCE_BYTES = 24;

/** Number of the partition of a reference whose message never came to be, or is gone. */
export const DEAD = 0xffffffff;

export class ReferencePage {
  number: number;
  /** Slots below are not in memory. */
  from: number;
  partitions: Uint32Array;
  offsets: Float64Array;
  metas: Uint32Array;
  sizes: Uint32Array;
  readonly messages: (Message | null)[] = [];

  constructor(number: number, from: number, slots: number) {
    this.number = number;
    this.from = from;
    this.partitions = new Uint32Array(slots);
    this.offsets = new Float64Array(slots);
    this.metas = new Uint32Array(slots);
    this.sizes = new Uint32Array(slots);
  }

  /** Most queues are short: a page begins small. */
  grow(slot: number): void {
    if (slot < this.partitions.length) return;
    const slots = Math.min(PAGE_REFERENCES, Math.max(slot + 1, this.partitions.length * 2));
    const { partitions, offsets, metas, sizes } = this;
    this.partitions = new Uint32Array(slots);
    this.offsets = new Float64Array(slots);
    this.metas = new Uint32Array(slots);
    this.sizes = new Uint32Array(slots);
    this.partitions.set(partitions);
    this.offsets.set(offsets);
    this.metas.set(metas);
    this.sizes.set(sizes);
  }
}

/** An empty page that was let go: a queue that runs dry and fills again needs no new one. */
let spare: ReferencePage | null = null;

function pageOf(number: number, slot: number): ReferencePage {
  const page = spare;
  if (page === null) {
    // Who has filled a page will fill the next one.
    const slots = slot === 0 && number > 0 ? PAGE_REFERENCES : slot + FIRST_SLOTS;
    return new ReferencePage(number, slot, Math.min(PAGE_REFERENCES, slots));
  }
  spare = null;
  page.number = number;
  page.from = slot;
  return page;
}

/** What still has messages is not worth the work. */
function letGo(page: ReferencePage): void {
  if (spare === null && page.messages.every((message) => message === null)) spare = page;
}

export class ReferencePages {
  readonly #pages = new Map<number, ReferencePage>();
  /** Number of a partition by its log id; DEAD for one that is not there any more. */
  readonly #numberOf: (logId: number) => number;

  constructor(numberOf: (logId: number) => number) {
    this.#numberOf = numberOf;
  }

  get count(): number {
    return this.#pages.size;
  }

  /** The page that has this reference in memory. */
  at(index: number): ReferencePage | undefined {
    const page = this.#pages.get(Math.floor(index / PAGE_REFERENCES));
    return page !== undefined && index % PAGE_REFERENCES >= page.from ? page : undefined;
  }

  /** The page for a new reference at the end. */
  forNew(index: number): ReferencePage {
    const number = Math.floor(index / PAGE_REFERENCES);
    const slot = index % PAGE_REFERENCES;
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = pageOf(number, slot);
      this.#pages.set(number, page);
    }
    page.grow(slot);
    return page;
  }

  /**
   * Lets go of pages between the head and the tail. @param head index of the reference that is next
   * @param tail references from here on are not in the log yet, or not told to be
   */
  evict(head: number, tail: number, released: (page: ReferencePage) => void): void {
    if (this.#pages.size <= PAGES_MAX) return;
    const headPage = Math.floor(head / PAGE_REFERENCES);
    const tailPage = Math.floor(tail / PAGE_REFERENCES);
    const numbers = [...this.#pages.keys()].sort((a, b) => a - b);
    const drop = (number: number): void => {
      released(this.#pages.get(number)!);
      this.#pages.delete(number);
    };
    // What was passed goes first, then what is farthest from the head.
    for (const number of numbers) {
      if (this.#pages.size <= PAGES_MAX || number >= headPage) break;
      drop(number);
    }
    for (const number of numbers.reverse()) {
      if (this.#pages.size <= PAGES_MAX || number <= headPage + PAGES_AHEAD) break;
      if (number < tailPage) drop(number);
    }
  }

  /** Forgets pages below an index: nothing there is wanted any more. */
  passed(index: number): void {
    const limit = Math.floor(index / PAGE_REFERENCES);
    for (const [number, page] of this.#pages) {
      if (number >= limit) continue;
      this.#pages.delete(number);
      letGo(page);
    }
  }

  clear(): void {
    for (const page of this.#pages.values()) letGo(page);
    this.#pages.clear();
  }

  /**
   * Reads the pages around a reference. @param end references from here on are not in the log
   * @throws whatever `ShardLog.read` throws, but for damage: those references are dead
   */
  async load(log: ShardLog, index: number, end: number): Promise<void> {
    const first = Math.floor(index / PAGE_REFERENCES);
    const to = Math.min(end, (first + 1 + PAGES_AHEAD) * PAGE_REFERENCES);
    const start = Math.max(first * PAGE_REFERENCES, log.startOffset);
    const filling = new Map<number, ReferencePage>();
    let at = start;
    while (at < to) {
      at = await this.#read(log, at, to, filling);
    }
    for (const [number, page] of filling) this.#merge(number, page);
  }

  async #read(
    log: ShardLog,
    from: number,
    to: number,
    filling: Map<number, ReferencePage>,
  ): Promise<number> {
    try {
      const batches = await log.read(from, (to - from) * REFERENCE_BYTES);
      let next = from;
      for (const { bytes, baseOffset, count } of batches) {
        for (; next < Math.min(to, baseOffset + count); next++) {
          this.#fill(filling, next, bytes, (next - baseOffset) * REFERENCE_BYTES);
        }
      }
      if (next === from) throw new Error(`no references at ${from} of log ${log.id}`);
      return next;
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'damaged') throw error;
      const end = Math.min(to, Number(error.details['to']));
      for (let index = from; index < end; index++) this.#fill(filling, index, null, 0);
      return Math.max(end, from + 1);
    }
  }

  #fill(
    filling: Map<number, ReferencePage>,
    index: number,
    bytes: Buffer | null,
    at: number,
  ): void {
    const number = Math.floor(index / PAGE_REFERENCES);
    const slot = index % PAGE_REFERENCES;
    let page = filling.get(number);
    if (page === undefined) {
      page = new ReferencePage(number, slot, PAGE_REFERENCES);
      filling.set(number, page);
    }
    page.partitions[slot] = bytes === null ? DEAD : this.#numberOf(bytes.readDoubleBE(at));
    if (bytes === null) return;
    page.offsets[slot] = bytes.readDoubleBE(at + 8);
    page.metas[slot] = bytes.readUInt32BE(at + 16);
    page.sizes[slot] = bytes.readUInt32BE(at + 20);
  }

  /** Slots that were in memory already stay as they are: they may be newer than the log. */
  #merge(number: number, read: ReferencePage): void {
    const known = this.#pages.get(number);
    if (known === undefined) {
      this.#pages.set(number, read);
      return;
    }
    for (let slot = read.from; slot < known.from; slot++) {
      known.partitions[slot] = read.partitions[slot]!;
      known.offsets[slot] = read.offsets[slot]!;
      known.metas[slot] = read.metas[slot]!;
      known.sizes[slot] = read.sizes[slot]!;
    }
    known.from = Math.min(known.from, read.from);
  }
}
