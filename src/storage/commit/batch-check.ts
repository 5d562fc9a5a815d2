/** The fields of a record batch that storage writes and checks must be where they belong. */
import { BrokerError } from '#kit';
import type { BatchFacts } from '../log-engine.ts';
import { BATCH } from './row-codec.ts';

/** @throws BrokerError `invalid-batch` */
export function checkBatch(bytes: Buffer, facts: BatchFacts): void {
  const whole =
    bytes.length >= BATCH.headerBytes &&
    bytes[BATCH.magic] === 2 &&
    bytes.readInt32BE(BATCH.length) === bytes.length - BATCH.leaderEpoch;
  if (!whole || facts.count < 1) throw new BrokerError('invalid-batch');
}
