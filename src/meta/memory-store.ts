/** A catalogue in memory, for simulations and tests: same behaviour, gone with the process. */
import { keyAfter, OrderedMap } from '#kit';
import type { MetaChange, MetaRow, MetaSpan, MetaStore } from './meta-store.ts';

const PAGE_ROWS = 1000;

class MemoryStore implements MetaStore {
  readonly #tables = new Map<string, OrderedMap<Buffer>>();

  async get(table: string, key: string): Promise<Buffer | undefined> {
    return this.read(table, key);
  }

  read(table: string, key: string): Buffer | undefined {
    return this.#tables.get(table)?.get(key);
  }

  has(table: string, key: string): boolean {
    return this.#tables.get(table)?.has(key) === true;
  }

  range(table: string, span: MetaSpan): MetaRow[] {
    const rows: MetaRow[] = [];
    const { bytesMax = Number.POSITIVE_INFINITY } = span;
    let bytes = 0;
    for (const key of this.keys(table, span)) {
      const value = this.#tables.get(table)!.get(key)!;
      rows.push({ key, value });
      bytes += value.length;
      if (bytes >= bytesMax) break;
    }
    return rows;
  }

  keys(table: string, span: MetaSpan): string[] {
    return this.#tables.get(table)?.keys(span.from, span.before, span.rowsMax) ?? [];
  }

  async *scan(table: string): AsyncGenerator<MetaRow[]> {
    let from = '';
    while (true) {
      const page = this.range(table, { from, before: null, rowsMax: PAGE_ROWS });
      if (page.length === 0) return;
      from = keyAfter(page[page.length - 1]!.key);
      yield page;
    }
  }

  *texts(table: string): Generator<readonly [key: string, text: string]> {
    const all = { from: '', before: null, rowsMax: Number.POSITIVE_INFINITY };
    for (const { key, value } of this.range(table, all)) yield [key, value.toString()];
  }

  async write(changes: readonly MetaChange[]): Promise<void> {
    for (const { table, key, value } of changes) {
      let rows = this.#tables.get(table);
      if (rows === undefined) {
        rows = new OrderedMap();
        this.#tables.set(table, rows);
      }
      if (value === null) rows.delete(key);
      else rows.set(key, Buffer.from(value));
    }
  }

  async close(): Promise<void> {}
}

export function openMemoryStore(): MetaStore {
  return new MemoryStore();
}
