/**
 * The seam to the file system. The engine touches the disk through this interface only, so that it
 * also runs on a virtual disk that loses un-synced writes, tears, flips bits, fills up and fails
 * `fdatasync` (`storage.md` section 6). `real-files.ts` is the machine's own; `virtual-files.ts`
 * the simulated one. Both pass `files.contract.ts`.
 *
 * Failures are rejections with the system's error, whose `code` says what happened (`ENOSPC`,
 * `EIO`).
 */
import { BrokerError } from '#kit';

/**
 * True for what the file system rejects with; anything else that is thrown is a mistake of ours.
 */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || error instanceof BrokerError) return false;
  return typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** True when a failed call met a full disk (or a quota), which may pass; all else is final. */
export function isDiskFull(error: unknown): boolean {
  return isSystemError(error) && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

export interface OpenFile {
  /**
   * Writes all of `chunks`, one after the other, from `position` on. Rejects when any byte failed.
   */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /**
   * Makes every completed write durable (fdatasync). After a rejection the file must not be
   * trusted.
   */
  sync(): Promise<void>;
  /**
   * Writes and makes durable in one step (a write with O_DSYNC, where the platform has it).
   * Equal to `write` followed by `sync`.
   */
  writeThrough(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /**
   * Fills `target` from `position`; resolves to the number of bytes read (fewer only at the end).
   */
  read(target: Uint8Array, position: number): Promise<number>;
  readSync(target: Uint8Array, position: number): number;
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

export interface Files {
  /**
   * Opens for reading and writing; creates it (and makes the name durable) when `create` is set.
   */
  open(path: string, create: boolean): Promise<OpenFile>;
  /** The same for a file that is only read, where that costs less. */
  openReader?(path: string): Promise<OpenFile>;
  /**
   * Names of the files in a directory, without path, sorted; empty when there is no such directory.
   */
  list(directory: string): Promise<string[]>;
  /** Makes the directory and its parents, durably. */
  ensureDirectory(directory: string): Promise<void>;
  /** Replaces `to` by `from` atomically, and makes that durable. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, durably. No error when it is not there. */
  remove(path: string): Promise<void>;
  /**
   * Takes a lock file, so that no second process works in the same directory. A lock whose holder
   * is dead is taken over. Resolves to what gives it back.
   * Rejects with BrokerError `precondition-failed` when another process holds it.
   */
  lock(path: string): Promise<() => Promise<void>>;
  /** Free and total bytes of the file system that holds `directory`. */
  space(directory: string): Promise<{ free: number; total: number }>;
}
