/** TxnOffsetCommit (key 28). Version 5 needs no AddOffsetsToTxn before it (KIP-890). */
import type { MessagePair } from '../rows.ts';

export const txnOffsetCommit = {
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [0, 5],
  flexible: 3,
  request: [
    { name: 'transactionalId', type: 'string' },
    { name: 'groupId', type: 'string' },
    { name: 'producerId', type: 'int64' },
    { name: 'producerEpoch', type: 'int16' },
    { name: 'generationId', type: 'int32', since: 3, default: -1 },
    { name: 'memberId', type: 'string', since: 3, default: '' },
    { name: 'groupInstanceId', type: 'string', since: 3, nullable: 3, default: null },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'name', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'committedOffset', type: 'int64' },
            { name: 'committedLeaderEpoch', type: 'int32', since: 2, default: -1 },
            { name: 'committedMetadata', type: 'string', nullable: 0 },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'name', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
