/**
 * What a producer's batch must be to enter a compacted stream: every record has a key, or nothing
 * could ever replace it. The only place where a batch is opened before it is stored.
 */
import { ProtocolError } from '#kit';
import { RecordWalk } from './record-walk.ts';

export interface RecordFault {
  /** Which record of the batch; the batch as a whole when it is -1. */
  readonly index: number;
  readonly message: string;
}

/** More are not listed. */
const FAULTS_MAX = 1_000;

/**
 * Empty when all is well.
 * @throws BrokerError `message-too-large` when the batch would open to more than `bytesMax`
 */
export function keyFaults(batch: Buffer, bytesMax: number): RecordFault[] {
  const faults: RecordFault[] = [];
  try {
    const walk = new RecordWalk(batch, 0, bytesMax);
    for (let index = 0; ; index++) {
      const hasKey = walk.step();
      if (hasKey === null) return faults;
      if (walk.offsetDelta !== index) {
        const message = `record ${index} has the offset delta ${walk.offsetDelta}`;
        return [{ index, message }];
      }
      if (hasKey || faults.length >= FAULTS_MAX) continue;
      faults.push({ index, message: 'a compacted topic takes no record without a key' });
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [{ index: -1, message: error.message }];
  }
}
