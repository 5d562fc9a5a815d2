/** What a transactional client means to do in one transaction, and how far it came. */
import type { Sent } from '../ledger.ts';
import type { Seeded } from '../seeded.ts';
import type { TransactionNote } from '../transaction-note.ts';

/**
 * `commit` and `abort`: as it says. `linger`: commits after the server may have aborted it.
 * `fence`: another instance takes the id in the middle, and the first goes on.
 */
export type Course = 'commit' | 'abort' | 'linger' | 'fence';

export interface PlannedBatch {
  readonly partition: number;
  readonly messages: readonly Sent[];
  /** Of its producer and partition; given when it is sent first. */
  sequence: number;
  timestampMs: number;
  isStored: boolean;
}

export interface TransactionPlan {
  /** Positions of the client's group: it moves to this one with the transaction. */
  readonly number: number;
  readonly note: TransactionNote;
  readonly course: Course;
  readonly batches: readonly PlannedBatch[];
  /** Position and partitions are the server's. */
  isJoined: boolean;
  hasOffsets: boolean;
}

export function courseOf(random: Seeded): Course {
  const at = random.next();
  if (at < 0.6) return 'commit';
  if (at < 0.8) return 'abort';
  return at < 0.9 ? 'linger' : 'fence';
}
