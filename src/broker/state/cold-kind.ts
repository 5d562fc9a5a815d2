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

/** The newest value of a key that the catalogue may not have. */
interface Held {
  value: Buffer | null;
  /** The catalogue has a row of this key. */
  stored: boolean;
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
  /** Rows in the catalogue; it is written there with every change of them. */
  #stored: number;
  #count: number;

  constructor(table: string, meta: MetaStore, stored: number, total: HeldTotal) {
    this.table = table;
    this.#meta = meta;
    this.#stored = stored;
    this.#count = stored;
    this.#total = total;
  }

  get count(): number {
    return this.#count;
  }

  get stored(): number {
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
      const stored = known === 'unknown' ? this.#meta.has(this.table, key) : known === 'there';
      this.#held.set(key, { value, stored, writing: false, change });
      this.#count += (value === null ? 0 : 1) - (stored ? 1 : 0);
      this.#total.rows++;
      this.#total.bytes += sizeOf(key, value);
      return change;
    }
    this.#count += (value === null ? 0 : 1) - (held.value === null ? 0 : 1);
    this.#total.bytes += sizeOf(key, value) - sizeOf(key, held.value);
    held.value = value;
    held.change = change;
    return change;
  }

  /** True, and forgotten, when a removed key came and went before the catalogue knew it. */
  dismiss(key: string, change: number): boolean {
    const held = this.#held.get(key);
    if (held === undefined || held.value !== null || held.change !== change) return false;
    if (held.stored || held.writing) return false;
    this.#forget(key, held);
    return true;
  }

  /** A piece with this value is about to be written. @returns what it adds to `stored` */
  begin(key: string, value: Buffer | null): number {
    const held = this.#held.get(key)!;
    held.writing = true;
    return (value === null ? 0 : 1) - (held.stored ? 1 : 0);
  }

  /** The piece was written: memory need not have the row, unless something newer came. */
  end(key: string, value: Buffer | null, change: number): void {
    const held = this.#held.get(key)!;
    this.#stored += (value === null ? 0 : 1) - (held.stored ? 1 : 0);
    held.stored = value !== null;
    held.writing = false;
    if (held.change === change) this.#forget(key, held);
  }

  /** The piece was not written. */
  giveUp(key: string): void {
    this.#held.get(key)!.writing = false;
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

  /** All rows whose values are texts, in no order. Nothing may change during the walk. */
  *texts(): Generator<readonly [key: string, text: string]> {
    const held = this.#held;
    for (const key of held.keys('', null, NO_LIMIT)) {
      const { value } = held.get(key)!;
      if (value !== null) yield [key, value.toString()];
    }
    const hides = held.size > 0;
    for (const row of this.#meta.texts(this.table)) if (!hides || !held.has(row[0])) yield row;
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

function sizeOf(key: string, value: Buffer | null): number {
  return 2 * key.length + (value === null ? 0 : value.length) + 256;
}
