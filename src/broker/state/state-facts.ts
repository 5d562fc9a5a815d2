/** How what the broker remembers is appended to its logs: by nobody, for no reader of messages. */
import type { BatchFacts } from '#storage';

export const STATE_FACTS: Omit<BatchFacts, 'count'> = {
  kind: 'state',
  maxTimestampMs: -1,
  serverPacked: true,
  origin: 0,
  principal: 0,
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  attributes: 0,
};
