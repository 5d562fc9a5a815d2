/** DescribeTransactions (key 65, KIP-664). */
import type { MessagePair } from '../rows.ts';

export const describeTransactions = {
  key: 65,
  name: 'DescribeTransactions',
  versions: [0, 0],
  flexible: 0,
  request: [{ name: 'transactionalIds', type: 'array', of: 'string' }],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'transactionStates',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'transactionalId', type: 'string' },
        { name: 'transactionState', type: 'string' },
        { name: 'transactionTimeoutMs', type: 'int32' },
        { name: 'transactionStartTimeMs', type: 'int64' },
        { name: 'producerId', type: 'int64' },
        { name: 'producerEpoch', type: 'int16' },
        {
          name: 'topics',
          type: 'array',
          of: [
            { name: 'topic', type: 'string' },
            { name: 'partitions', type: 'array', of: 'int32' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
