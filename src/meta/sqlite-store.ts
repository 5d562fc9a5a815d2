/**
 * The embedded catalogue: one SQLite file (Node's built-in), full sync on each transaction. Chosen
 * over LMDB by measurement, see docs/decisions/0005. Calls block for one small commit (about 0.3
 * ms), so callers gather the changes of a turn into one write.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { BrokerError, keyAfter } from '#kit';
import type { MetaChange, MetaRow, MetaSpan, MetaStore } from './meta-store.ts';

const PAGE_ROWS = 1000;
/** Pages of the file that are kept in memory: what is read often costs no disk. */
const CACHE_KIB = 32_768;
/**
 * Pages of the journal that go into the file at one time, in the middle of a commit: the thousand
 * that SQLite takes by itself stop everything else for 10 to 30 ms of work, and for the disk.
 */
const CHECKPOINT_PAGES = 250;
/** A blob sorts after every text. */
const AFTER_ALL = new Uint8Array(0);
const NO_LIMIT = Number.POSITIVE_INFINITY;
/** SQLITE_FULL: the disk or the file's limit is reached. */
const SQLITE_FULL = 13;

class SqliteStore implements MetaStore {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #get: StatementSync;
  readonly #has: StatementSync;
  readonly #range: StatementSync;
  readonly #keys: StatementSync;
  readonly #texts: StatementSync;
  #closed = false;
  #relaxed = false;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      CREATE TABLE IF NOT EXISTS row (
        space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key)
      ) WITHOUT ROWID;
    `);
    this.#put = this.#database.prepare(
      'INSERT INTO row VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    );
    this.#remove = this.#database.prepare('DELETE FROM row WHERE space = ? AND key = ?');
    this.#get = this.#database.prepare('SELECT value FROM row WHERE space = ? AND key = ?');
    this.#has = this.#database.prepare('SELECT 1 FROM row WHERE space = ? AND key = ?');
    const part = 'FROM row WHERE space = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?';
    this.#range = this.#database.prepare(`SELECT key, value ${part}`);
    this.#range.setReturnArrays(true);
    this.#keys = this.#database.prepare(`SELECT key ${part}`);
    this.#keys.setReturnArrays(true);
    this.#texts = this.#database.prepare(`SELECT key, CAST(value AS TEXT) ${part}`);
    this.#texts.setReturnArrays(true);
  }

  async get(table: string, key: string): Promise<Buffer | undefined> {
    return this.read(table, key);
  }

  read(table: string, key: string): Buffer | undefined {
    const row = this.#get.get(table, key);
    return row === undefined ? undefined : bufferOf(row['value']);
  }

  has(table: string, key: string): boolean {
    return this.#has.get(table, key) !== undefined;
  }

  range(table: string, span: MetaSpan): MetaRow[] {
    const { from, before, rowsMax, bytesMax = NO_LIMIT } = span;
    const given = [table, from, before ?? AFTER_ALL, rowsMax] as const;
    // All at once is faster than one by one, where no large value can make it too much.
    const found = bytesMax === NO_LIMIT ? this.#range.all(...given) : this.#range.iterate(...given);
    const rows: MetaRow[] = [];
    let bytes = 0;
    for (const [key, blob] of found as Iterable<unknown> as Iterable<[string, Uint8Array]>) {
      const value = bufferOf(blob);
      rows.push({ key, value });
      bytes += value.length;
      if (bytes >= bytesMax) break;
    }
    return rows;
  }

  keys(table: string, span: MetaSpan): string[] {
    const { from, before, rowsMax } = span;
    const rows: Iterable<unknown> = this.#keys.all(table, from, before ?? AFTER_ALL, rowsMax);
    const keys: string[] = [];
    for (const [key] of rows as Iterable<[string]>) keys.push(key);
    return keys;
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

  /** A start reads a hundred thousand of these: no buffers on the way. */
  *texts(table: string): Generator<readonly [key: string, text: string]> {
    let from = '';
    while (true) {
      const page = this.#texts.all(table, from, AFTER_ALL, PAGE_ROWS) as Iterable<unknown> as [
        key: string,
        text: string,
      ][];
      if (page.length === 0) return;
      from = keyAfter(page.at(-1)![0]);
      yield* page;
    }
  }

  async write(changes: readonly MetaChange[], relaxed = false): Promise<void> {
    try {
      if (relaxed !== this.#relaxed) {
        // The next synced commit syncs the one journal, and with it what was relaxed before.
        this.#database.exec(`PRAGMA synchronous = ${relaxed ? 'NORMAL' : 'FULL'}`);
        this.#relaxed = relaxed;
      }
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
