/** Looks whether a catalogue file is whole, without changing it. For the offline check. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Sentences of the database about what is wrong; empty when it is whole, or not there. */
export function checkCatalogue(path: string): string[] {
  if (!existsSync(path)) return [];
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const rows = database.prepare('PRAGMA integrity_check').all() as {
        integrity_check: string;
      }[];
      return rows.map((row) => row.integrity_check).filter((text) => text !== 'ok');
    } finally {
      database.close();
    }
  } catch (error) {
    // A file that is no database at all.
    return [error instanceof Error ? error.message : String(error)];
  }
}
