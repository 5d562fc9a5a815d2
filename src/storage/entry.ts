/** An entry on its way to the disk: which rows, and who is told when it is committed. */
import type { Committed } from './log-engine.ts';
import type { Shard } from './shard.ts';

export class Entry {
  readonly firstRow: number;
  rowCount = 0;
  bodyBytes = 0;
  /** Somebody waits for it: at least one append of durability `fsync`. */
  urgent = false;
  /** The log of each row; null for control rows. */
  readonly logs: (Shard | null)[] = [];
  readonly bodies: Buffer[] = [];
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
