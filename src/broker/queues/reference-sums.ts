/** What the state of a lane says of all its references, brought up to the end of its log. */
import { BrokerError } from '#kit';
import type { ShardLog, StoredBatch } from '#storage';
import type { LaneState } from './queue-state.ts';
import { DEAD, REFERENCE_BYTES } from './reference-pages.ts';
import type { ReferenceSources } from './reference-sources.ts';

const READ_BYTES = 1 << 20;

/** Adds up the references that are newer than the last snapshot. */
export async function sumNewer(
  log: ShardLog,
  state: LaneState,
  sources: ReferenceSources,
): Promise<void> {
  // The steps have taken off what was finished. Where references went with that before they were
  // added, the sum is made anew, of what is not finished.
  const anew = log.startOffset > state.summedTo;
  if (anew) state.bytes = 0;
  let at = Math.max(log.startOffset, state.summedTo);
  while (at < log.highWatermark) {
    try {
      for (const batch of await log.read(at, READ_BYTES)) {
        sum(batch, Math.max(at, batch.baseOffset), anew, state, sources);
        at = batch.baseOffset + batch.count;
      }
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'damaged') throw error;
      at = Number(error.details['to']);
    }
  }
}

function sum(
  { bytes, baseOffset, count }: StoredBatch,
  from: number,
  anew: boolean,
  state: LaneState,
  sources: ReferenceSources,
): void {
  for (let index = from; index < baseOffset + count; index++) {
    const at = (index - baseOffset) * REFERENCE_BYTES;
    const number = sources.ofLog(bytes.readDoubleBE(at));
    if (!anew || !state.acks.has(index)) state.bytes += bytes.readUInt32BE(at + 20);
    if (number !== DEAD) state.spans.add(index, number, bytes.readDoubleBE(at + 8));
  }
}
