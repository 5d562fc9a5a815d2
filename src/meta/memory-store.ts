/** A catalogue in memory, for simulations and tests: same behaviour, gone with the process. */
import type { MetaChange, MetaStore } from './meta-store.ts';

const PAGE_ROWS = 1000;

class MemoryStore implements MetaStore {
  readonly #tables = new Map<string, Map<string, Buffer>>();

  async get(table: string, key: string): Promise<Buffer | undefined> {
    return this.#tables.get(table)?.get(key);
  }

  async *scan(table: string): AsyncGenerator<{ key: string; value: Buffer }[]> {
    const rows = [...(this.#tables.get(table) ?? [])]
      .map(([key, value]) => ({ key, value }))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    for (let at = 0; at < rows.length; at += PAGE_ROWS) yield rows.slice(at, at + PAGE_ROWS);
  }

  async write(changes: readonly MetaChange[]): Promise<void> {
    for (const { table, key, value } of changes) {
      let rows = this.#tables.get(table);
      if (rows === undefined) {
        rows = new Map();
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
