/**
 * A kind of state that lies in the catalogue. Memory holds only what the catalogue does not have
 * yet, newest values by key; every read looks there first. Rows leave memory when they were written
 * and nothing newer came meanwhile.
 */
import { compareKeys, keyAfter, OrderedMap } from '#kit';
import type { MetaRow, MetaSpan, MetaStore } from '#meta';

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** What a caller knows of a key: it spares the look into the catalogue. */
export type Known = 'new' | 'there' | 'unknown';

/** What all cold kinds together hold in memory. */
export interface HeldTotal {
  rows: number;
  bytes: number;
}

/** Rows of a kind, and the bytes of their values when they are measured. */
export interface Extent {
  rows: number;
  bytes: number;
}

/** How large the catalogue's row of a key is when it has none. */
const ABSENT = -1;

/** A change that came before another. */
export interface Earlier {
  readonly value: Buffer | null;
  readonly number: number;
}

/** The newest value of a key that the catalogue may not have. */
interface Held {
  value: Buffer | null;
  /** Size of the catalogue's row of this key; 0 where nobody measures. */
  stored: number;
  /** A piece that may change that is being written. */
  writing: boolean;
  /** Number of the change that set the value. */
  change: number;
}

export class ColdKind {
  readonly table: string;
  readonly #meta: MetaStore;
  readonly #total: HeldTotal;
  readonly #held = new OrderedMap<Held>();
  #changes = 0;
  /** What the catalogue has; it is written there with every change of it. */
  readonly #stored: Extent;
  /** What there is now. */
  readonly #extent: Extent;
  readonly #measured: boolean;

  constructor(table: string, meta: MetaStore, stored: Extent, total: HeldTotal, measured: boolean) {
    this.table = table;
    this.#meta = meta;
    this.#stored = { ...stored };
    this.#extent = { ...stored };
    this.#total = total;
    this.#measured = measured;
  }

  get count(): number {
    return this.#extent.rows;
  }

  /** Bytes of all values; 0 where nobody measures. */
  get bytes(): number {
    return this.#extent.bytes;
  }

  get stored(): Readonly<Extent> {
    return this.#stored;
  }

  get(key: string): Buffer | undefined {
    const held = this.#held.get(key);
    if (held !== undefined) return held.value ?? undefined;
    return this.#meta.read(this.table, key);
  }

  has(key: string): boolean {
    const held = this.#held.get(key);
    if (held !== undefined) return held.value !== null;
    return this.#meta.has(this.table, key);
  }

  /** Sets or (null) removes a value. @returns the number of this change, for `end` */
  set(key: string, value: Buffer | null, known: Known = 'unknown'): number {
    const held = this.#held.get(key);
    const change = ++this.#changes;
    if (held === undefined) {
      const stored = this.#storedSize(key, known);
      this.#held.set(key, { value, stored, writing: false, change });
      count(this.#extent, stored, this.#sizeIn(value));
      this.#total.rows++;
      this.#total.bytes += sizeOf(key, value);
      return change;
    }
    count(this.#extent, this.#sizeIn(held.value), this.#sizeIn(value));
    this.#total.bytes += sizeOf(key, value) - sizeOf(key, held.value);
    held.value = value;
    held.change = change;
    return change;
  }

  /**
   * The change was stored nowhere: what was there before holds again, unless something newer came.
   * @param before the newest earlier change that memory has to know; null leaves the catalogue's
   */
  undo(key: string, change: number, before: Earlier | null): void {
    const held = this.#held.get(key);
    if (held === undefined || held.change !== change) return;
    if (before === null) {
      count(this.#extent, this.#sizeIn(held.value), held.stored);
      this.#forget(key, held);
      return;
    }
    count(this.#extent, this.#sizeIn(held.value), this.#sizeIn(before.value));
    this.#total.bytes += sizeOf(key, before.value) - sizeOf(key, held.value);
    held.value = before.value;
    held.change = before.number;
  }

  /** True, and forgotten, when a removed key came and went before the catalogue knew it. */
  dismiss(key: string, change: number): boolean {
    const held = this.#held.get(key);
    if (held === undefined || held.value !== null || held.change !== change) return false;
    if (held.stored !== ABSENT || held.writing) return false;
    this.#forget(key, held);
    return true;
  }

  /** A piece with this value is about to be written; `sum` will be what is stored then. */
  begin(key: string, value: Buffer | null, sum: Extent): void {
    const held = this.#held.get(key)!;
    held.writing = true;
    count(sum, held.stored, this.#sizeIn(value));
  }

  /** The piece was written: memory need not have the row, unless something newer came. */
  end(key: string, value: Buffer | null, change: number): void {
    const held = this.#held.get(key)!;
    const size = this.#sizeIn(value);
    count(this.#stored, held.stored, size);
    held.stored = size;
    held.writing = false;
    if (held.change === change) this.#forget(key, held);
  }

  /** The piece was not written. */
  giveUp(key: string): void {
    this.#held.get(key)!.writing = false;
  }

  #storedSize(key: string, known: Known): number {
    if (known === 'new') return ABSENT;
    if (this.#measured) return this.#meta.read(this.table, key)?.length ?? ABSENT;
    return known === 'there' || this.#meta.has(this.table, key) ? 0 : ABSENT;
  }

  #sizeIn(value: Buffer | null): number {
    if (value === null) return ABSENT;
    return this.#measured ? value.length : 0;
  }

  #forget(key: string, held: Held): void {
    this.#held.delete(key);
    this.#total.rows--;
    this.#total.bytes -= sizeOf(key, held.value);
  }

  /** Rows of a span in the order of their keys, as they are now. */
  range(span: MetaSpan): MetaRow[] {
    const { rowsMax, bytesMax = NO_LIMIT } = span;
    const rows: MetaRow[] = [];
    let bytes = 0;
    this.#merge(
      span,
      (page) => this.#meta.range(this.table, page),
      (row) => row.key,
      (key, row) => {
        const value = row === null ? this.#held.get(key)!.value! : row.value;
        rows.push({ key, value });
        bytes += value.length;
        return rows.length < rowsMax && bytes < bytesMax;
      },
    );
    return rows;
  }

  keys(span: MetaSpan): string[] {
    const keys: string[] = [];
    this.#merge(
      span,
      (page) => this.#meta.keys(this.table, page),
      (key) => key,
      (key) => keys.push(key) < span.rowsMax,
    );
    return keys;
  }

  /** Walks both in one order; what memory holds hides what the catalogue has. */
  #merge<Row>(
    span: MetaSpan,
    readPage: (span: MetaSpan) => Row[],
    keyOf: (row: Row) => string,
    take: (key: string, row: Row | null) => boolean,
  ): void {
    const { before, rowsMax, bytesMax } = span;
    let { from } = span;
    while (true) {
      const stored = readPage({ ...span, from });
      const held = this.#held.keys(from, before, rowsMax);
      // Each page is complete up to its last key; both are up to the lesser one.
      const cut = stored.length >= rowsMax || (bytesMax !== undefined && stored.length > 0);
      const storedEnd = cut ? keyOf(stored[stored.length - 1]!) : null;
      const heldEnd = held.length >= rowsMax ? held[held.length - 1]! : null;
      const end = lesser(storedEnd, heldEnd);
      for (let s = 0, h = 0; s < stored.length || h < held.length; ) {
        const order = orderOf(held[h], stored[s], keyOf);
        const key = order > 0 ? keyOf(stored[s]!) : held[h]!;
        if (end !== null && compareKeys(key, end) > 0) break;
        const row = order > 0 ? stored[s]! : null;
        if (order >= 0) s++;
        if (order <= 0) h++;
        if (row === null && this.#held.get(key)!.value === null) continue;
        if (!take(key, row)) return;
      }
      if (end === null) return;
      from = keyAfter(end);
    }
  }
}

function orderOf<Row>(
  held: string | undefined,
  stored: Row | undefined,
  keyOf: (row: Row) => string,
): number {
  if (held === undefined) return 1;
  return stored === undefined ? -1 : compareKeys(held, keyOf(stored));
}

/** Null stands for the end of everything. */
function lesser(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return compareKeys(a, b) < 0 ? a : b;
}

/** A row of one size gives way to one of another. */
function count(extent: Extent, before: number, after: number): void {
  extent.rows += (after === ABSENT ? 0 : 1) - (before === ABSENT ? 0 : 1);
  extent.bytes += Math.max(after, 0) - Math.max(before, 0);
}

function sizeOf(key: string, value: Buffer | null): number {
  return 2 * key.length + (value === null ? 0 : value.length) + 256;
}
