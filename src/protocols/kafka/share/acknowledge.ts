/** What members say about records that they have acquired: the checks of Kafka, then the queue. */
import { KAFKA } from '../error-codes.ts';
import type { Taker } from './share-partition.ts';

const ACKNOWLEDGE = { GAP: 0, ACCEPT: 1, RELEASE: 2, REJECT: 3, RENEW: 4 } as const;

export interface AcknowledgedBatch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  /** One for all, or one for each offset. */
  readonly acknowledgeTypes: readonly number[];
}

/**
 * All of it is done, or nothing.
 * @param renews the request may ask for renewals
 * @returns an error code
 */
export function acknowledge(
  taker: Taker | undefined,
  batches: readonly AcknowledgedBatch[],
  renews: boolean,
): number {
  if (!isWellFormed(batches, renews)) return KAFKA.INVALID_REQUEST;
  if (taker === undefined) return KAFKA.INVALID_RECORD_STATE;
  const { held } = taker;
  for (const { firstOffset, lastOffset } of batches) {
    // Whatever is asked for must be in hand, so a large range ends at its first gap.
    for (let offset = firstOffset; offset <= lastOffset; offset++) {
      if (!held.has(offset)) return KAFKA.INVALID_RECORD_STATE;
    }
  }
  for (const { firstOffset, lastOffset, acknowledgeTypes: types } of batches) {
    for (let offset = firstOffset; offset <= lastOffset; offset++) {
      act(taker, offset, types.length === 1 ? types[0]! : types[offset - firstOffset]!);
    }
  }
  taker.share.wake();
  return KAFKA.NONE;
}

function act(taker: Taker, offset: number, type: number): void {
  if (type === ACKNOWLEDGE.ACCEPT) taker.accept(offset);
  else if (type === ACKNOWLEDGE.RELEASE) taker.release(offset, true);
  else if (type === ACKNOWLEDGE.RENEW) taker.renew(offset);
  // The client found no record there, or rejects it.
  else taker.archive(offset);
}

function isWellFormed(batches: readonly AcknowledgedBatch[], renews: boolean): boolean {
  let end = -1;
  const most = renews ? ACKNOWLEDGE.RENEW : ACKNOWLEDGE.REJECT;
  for (const { firstOffset, lastOffset, acknowledgeTypes: types } of batches) {
    if (firstOffset > lastOffset || firstOffset <= end || types.length === 0) return false;
    if (types.length > 1 && types.length !== lastOffset - firstOffset + 1) return false;
    if (types.some((type) => type < ACKNOWLEDGE.GAP || type > most)) return false;
    end = lastOffset;
  }
  return true;
}
