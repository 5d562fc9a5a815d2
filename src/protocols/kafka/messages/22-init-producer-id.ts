/** InitProducerId (key 22). */
import type { MessagePair } from '../rows.ts';

export const initProducerId = {
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexible: 2,
  request: [
    { name: 'transactionalId', type: 'string', nullable: 0 },
    { name: 'transactionTimeoutMs', type: 'int32' },
    { name: 'producerId', type: 'int64', since: 3, default: -1 },
    { name: 'producerEpoch', type: 'int16', since: 3, default: -1 },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'producerId', type: 'int64', default: -1 },
    { name: 'producerEpoch', type: 'int16' },
  ],
} as const satisfies MessagePair;
