/** AddOffsetsToTxn (key 25). */
import type { MessagePair } from '../rows.ts';

export const addOffsetsToTxn = {
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 4],
  flexible: 3,
  request: [
    { name: 'transactionalId', type: 'string' },
    { name: 'producerId', type: 'int64' },
    { name: 'producerEpoch', type: 'int16' },
    { name: 'groupId', type: 'string' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
  ],
} as const satisfies MessagePair;
