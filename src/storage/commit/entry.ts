/** An entry on its way to the disk: which rows, and who is told when it is committed. */
import type { Committed } from '../log-engine.ts';
import type { Shard } from '../shard.ts';
import type { RecentRows } from './recent-rows.ts';

export class Entry {
  readonly firstRow: number;
  rowCount = 0;
  bodyBytes = 0;
  /** Somebody waits for it: at least one append of durability `fsync`. */
  urgent = false;
  /** The log of each row; null for control rows. */
  readonly logs: (Shard | null)[] = [];
  readonly bodies: Buffer[] = [];
  /** Logs whose removal is in here. */
  removals: Shard[] = [];
  /** Whom to tell, per row; null when nobody waits, or was told already. */
  readonly callbacks: (Committed | null)[] = [];
  /** Repeats of appends in this entry that are to be told too. */
  watchers: Committed[] = [];
  sequence = -1;
  flags = 0;

  constructor(firstRow: number) {
    this.firstRow = firstRow;
  }

  get endRow(): number {
    return this.firstRow + this.rowCount;
  }

  add(log: Shard, body: Buffer, callback: Committed | null): void {
    this.rowCount++;
    this.bodyBytes += body.length;
    this.logs.push(log);
    this.bodies.push(body);
    this.callbacks.push(callback);
  }

  addControl(): void {
    this.rowCount++;
    this.logs.push(null);
    this.callbacks.push(null);
  }
}

/** What of a log is in entries that are not committed. */
export interface Waiting {
  /** The first offset of it. */
  readonly from: number;
  bytes: number;
  batches: number;
}

/** Everything that waits, by log. */
export function waitingIn(
  entries: readonly (Entry | null)[],
  rows: RecentRows,
): Map<Shard, Waiting> {
  const waiting = new Map<Shard, Waiting>();
  for (const entry of entries) {
    if (entry === null) continue;
    entry.logs.forEach((log, index) => {
      if (log === null) return;
      const row = entry.firstRow + index;
      let known = waiting.get(log);
      if (known === undefined) {
        known = { from: rows.base(row), bytes: 0, batches: 0 };
        waiting.set(log, known);
      }
      known.bytes += rows.bodyBytes(row);
      known.batches++;
    });
  }
  return waiting;
}
