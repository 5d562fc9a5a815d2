/**
 * The one engine for everything that happens later (X69): expiry, delay, schedule, retry, the end of
 * a session. An entry is durable: it commits with what was appended in the same synchronous stretch,
 * survives a restart, and is gone only when its handler has finished it. Types of its door.
 */
export interface TimeEntry {
  readonly kind: string;
  /** Unique within its kind. */
  readonly id: string;
  /** Wall clock, ms since 1970. */
  readonly dueMs: number;
  readonly value: Buffer;
}

export interface TimeEngine {
  /**
   * Names what is done when entries of a kind are due. Called once per entry, at most 100 ms late
   * while the server runs, in order of `dueMs`. The entry is finished in the same synchronous
   * stretch: what the handler appends commits together with the end of the entry, or not at all.
   * Entries that fell due while the server was down are given as soon as the kind is registered.
   */
  register(kind: string, due: (entry: TimeEntry) => void): void;
  /** Sets an entry, or moves the one of that id. */
  set(kind: string, id: string, dueMs: number, value: Buffer): void;
  /** Removes an entry. False when there is none. */
  cancel(kind: string, id: string): boolean | Promise<boolean>;
  /** Entries of a kind in order of `dueMs`, after `after`. */
  list(kind: string, limit: number, after?: TimeEntry): Promise<readonly TimeEntry[]>;
  /** Pending entries of a kind. */
  count(kind: string): number;
}
