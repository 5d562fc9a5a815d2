/**
 * The seam between the commit protocol and what makes an entry durable. Here that is a file
 * (`wal.ts`); it may be anything else that keeps entries in order. Type only; every implementation
 * passes `wal-sink.contract.ts`.
 */
import type { Entry } from './entry.ts';

export interface WalSink {
  /**
   * Writes one sealed entry; resolves when it is durable. The next one is given when this one has
   * settled, and is found after it by every recovery. Waits while there is no space. A rejection
   * is final: whether the entry lasts is not known, and every later commit rejects as well.
   */
  commit(entry: Entry): Promise<void>;
  /** True while space for what follows the current file is missing. It may end. */
  readonly full: boolean;
  /** Bytes of entries that are taken without new space; 0 when that is not known. */
  readonly room: number;
  /** Finished files that wait to be reorganised. */
  readonly backlog: number;
}
