/**
 * What the broker sees of its catalogue: tables of named values, ordered by key, changed by atomic,
 * durable writes. Embedded now (`sqlite-store.ts`), an SQL server for a cluster later;
 * `memory-store.ts` serves simulations. All pass `meta-store.contract.ts`.
 *
 * Reads answer at once: who asks stands in the middle of a synchronous stretch that must see one
 * state. A catalogue that is far away answers them from its copy of the slots that are owned here.
 */

/** One change of a table; `value` null removes the row. */
export interface MetaChange {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface MetaRow {
  readonly key: string;
  readonly value: Buffer;
}

/** A part of a table in the order of its keys (by UTF-8 bytes). */
export interface MetaSpan {
  /** The first key that counts; '' begins with the table. */
  readonly from: string;
  /** The first key that does not count any more; null goes on to the end. */
  readonly before: string | null;
  readonly rowsMax: number;
  /** Ends after the row that reaches it. */
  readonly bytesMax?: number;
}

export interface MetaStore {
  get(table: string, key: string): Promise<Buffer | undefined>;
  /** All rows of a table in ascending key order (by UTF-8 bytes), a page at a time. */
  scan(table: string): AsyncIterable<readonly MetaRow[]>;
  /** The value now. */
  read(table: string, key: string): Buffer | undefined;
  has(table: string, key: string): boolean;
  /** Rows of a span in ascending key order, now. Fewer than `rowsMax` only at its end or bound. */
  range(table: string, span: MetaSpan): MetaRow[];
  /** All rows of a table whose values are texts, in the same order, read as the walk goes on. */
  texts(table: string): Iterable<readonly [key: string, text: string]>;
  /** The keys of a span, without reading values. */
  keys(table: string, span: MetaSpan): string[];
  /**
   * Makes all changes or none. Resolves when they would survive a power cut. Writes take effect in
   * the order of the calls.
   * @param relaxed does not wait for the disk: a power cut may undo the write, but never a write
   *   before one that was not relaxed. For what can be written again from a log.
   * @throws BrokerError `storage-failed` or `storage-full`: nothing was changed.
   */
  write(changes: readonly MetaChange[], relaxed?: boolean): Promise<void>;
  close(): Promise<void>;
}
