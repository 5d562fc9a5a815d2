/**
 * The seam to where whole, unchanging objects lie: here a directory (`directory-store.ts`), it may
 * as well be an object store in the network. So there is no appending and no changing in place.
 * Types only; every implementation passes `object-store.contract.ts`.
 *
 * Failures are rejections with the system's error, whose `code` says what happened: `ENOENT` for a
 * name that is not there, `ENOSPC` for a full disk.
 */

export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
}

/** Adds to the object that is being put. The chunks are free again when it has resolved. */
export type WriteChunks = (chunks: readonly Uint8Array[]) => Promise<void>;

/**
 * Writes an object front to back. Resolves to how many bytes at its end must stay quick to read (a
 * directory, say), whatever becomes of the rest: a store that moves objects far away keeps those.
 */
export type FillObject = (write: WriteChunks) => Promise<number>;

export interface ObjectStore {
  /**
   * Makes an object of what `fill` writes, piece by piece; durable when it has resolved. Nobody
   * sees the object before that, or ever when `fill` or a write rejects or the process dies. An
   * older object of that name is replaced at once.
   */
  put(name: string, fill: FillObject): Promise<void>;
  /**
   * Makes an object of a file that lies beside the store's own, whole and durable; the file has no
   * other name afterwards. Only stores that keep their objects as files have this.
   */
  readonly take?: ((path: string, name: string) => Promise<void>) | undefined;
  /** Bytes [from, from + length), fewer where the object ends; a buffer of the caller's own. */
  get(name: string, from: number, length: number): Promise<Buffer>;
  /** The objects whose names begin with `prefix`, sorted by name. */
  list(prefix: string): Promise<StoredObject[]>;
  /** Removes objects, durably. No error for those that are not there. */
  deleteMany(names: readonly string[]): Promise<void>;
  /** Lets go of what is held open. */
  close(): Promise<void>;
}
