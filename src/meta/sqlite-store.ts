/**
 * The embedded catalogue: one SQLite file (Node's built-in), full sync on each transaction. Chosen
 * over LMDB by measurement, see docs/decisions/0005. Calls block for one small commit (about 0.3
 * ms), so callers gather the changes of a turn into one write.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { BrokerError } from '#kit';
import type { MetaChange, MetaStore } from './meta-store.ts';

const PAGE_ROWS = 1000;
/** SQLITE_FULL: the disk or the file's limit is reached. */
const SQLITE_FULL = 13;

class SqliteStore implements MetaStore {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #get: StatementSync;
  readonly #page: StatementSync;
  #closed = false;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS row (
        space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key)
      ) WITHOUT ROWID;
    `);
    this.#put = this.#database.prepare(
      'INSERT INTO row VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    );
    this.#remove = this.#database.prepare('DELETE FROM row WHERE space = ? AND key = ?');
    this.#get = this.#database.prepare('SELECT value FROM row WHERE space = ? AND key = ?');
    this.#page = this.#database.prepare(
      `SELECT key, value FROM row WHERE space = ? AND key > ? ORDER BY key LIMIT ${PAGE_ROWS}`,
    );
  }

  async get(table: string, key: string): Promise<Buffer | undefined> {
    const row = this.#get.get(table, key);
    return row === undefined ? undefined : bufferOf(row['value']);
  }

  async *scan(table: string): AsyncGenerator<{ key: string; value: Buffer }[]> {
    // Keys are never empty, so the first page starts after the empty text.
    let after = '';
    while (true) {
      const rows = this.#page.all(table, after);
      if (rows.length === 0) return;
      const page = rows.map((row) => ({ key: String(row['key']), value: bufferOf(row['value']) }));
      after = page[page.length - 1]!.key;
      yield page;
    }
  }

  async write(changes: readonly MetaChange[]): Promise<void> {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const change of changes) {
        if (change.value === null) this.#remove.run(change.table, change.key);
        else this.#put.run(change.table, change.key, change.value);
      }
      this.#database.exec('COMMIT');
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      const full = (cause as { errcode?: number }).errcode === SQLITE_FULL;
      throw new BrokerError(full ? 'storage-full' : 'storage-failed', 'catalogue', {}, cause);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#database.close();
  }
}

function bufferOf(value: unknown): Buffer {
  const bytes = value as Uint8Array;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Opens or creates the catalogue in the file `path`. @throws BrokerError `storage-failed`. */
export function openSqliteStore(path: string): MetaStore {
  try {
    return new SqliteStore(path);
  } catch (cause) {
    throw new BrokerError('storage-failed', `the catalogue ${path} cannot be opened.`, {}, cause);
  }
}
