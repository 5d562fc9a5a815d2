/**
 * Whether the times that a producer gave its records lie within bounds. Opens the batch, so it is
 * for streams that ask for it only.
 */
import { ProtocolError } from '#kit';
import type { RecordFault } from './key-check.ts';
import { RecordWalk } from './record-walk.ts';

/** More are not listed. */
const FAULTS_MAX = 1_000;

/**
 * Empty when all is well.
 * @throws BrokerError `message-too-large` when the batch would open to more than `bytesMax`
 */
export function timeFaults(batch: Buffer, bytesMax: number, fromMs: number): RecordFault[] {
  const faults: RecordFault[] = [];
  try {
    const walk = new RecordWalk(batch, 0, bytesMax);
    for (let index = 0; walk.step() !== null; index++) {
      if (walk.timeMs >= fromMs || walk.timeMs < 0 || faults.length >= FAULTS_MAX) continue;
      faults.push({ index, message: `timestamp ${walk.timeMs} lies too far in the past` });
    }
    return faults;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [{ index: -1, message: error.message }];
  }
}
