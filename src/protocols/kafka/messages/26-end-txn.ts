/**
 * EndTxn (key 26). From version 5 on the answer brings the epoch of the next transaction (KIP-890).
 */
import type { MessagePair } from '../rows.ts';

export const endTxn = {
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexible: 3,
  request: [
    { name: 'transactionalId', type: 'string' },
    { name: 'producerId', type: 'int64' },
    { name: 'producerEpoch', type: 'int16' },
    { name: 'committed', type: 'bool' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'producerId', type: 'int64', since: 5, default: -1 },
    { name: 'producerEpoch', type: 'int16', since: 5, default: -1 },
  ],
} as const satisfies MessagePair;
