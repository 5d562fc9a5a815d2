/**
 * What the broker sees of its catalogue: small tables of named values, changed by atomic, durable
 * writes. Embedded now (`sqlite-store.ts`), an SQL server for a cluster later; `memory-store.ts`
 * serves simulations. All pass `meta-store.contract.ts`. No message ever lies in here.
 */

/** One change of a table; `value` null removes the row. */
export interface MetaChange {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface MetaStore {
  get(table: string, key: string): Promise<Buffer | undefined>;
  /** All rows of a table in ascending key order (by UTF-8 bytes), a page at a time. */
  scan(table: string): AsyncIterable<readonly { readonly key: string; readonly value: Buffer }[]>;
  /**
   * Makes all changes or none. Resolves when they would survive a power cut. Writes take effect in
   * the order of the calls.
   * @throws BrokerError `storage-failed` or `storage-full`: nothing was changed.
   */
  write(changes: readonly MetaChange[]): Promise<void>;
  close(): Promise<void>;
}
