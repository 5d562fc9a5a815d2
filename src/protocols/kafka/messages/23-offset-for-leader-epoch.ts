/** OffsetForLeaderEpoch (key 23): consumers ask it to notice a truncated log (KIP-320). */
import type { MessagePair } from '../rows.ts';

export const offsetForLeaderEpoch = {
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [2, 4],
  flexible: 4,
  request: [
    { name: 'replicaId', type: 'int32', since: 3, default: -2 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'topic', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partition', type: 'int32' },
            { name: 'currentLeaderEpoch', type: 'int32', since: 2, default: -1 },
            { name: 'leaderEpoch', type: 'int32' },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 2, default: 0 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'topic', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'errorCode', type: 'int16' },
            { name: 'partition', type: 'int32' },
            { name: 'leaderEpoch', type: 'int32', since: 1, default: -1 },
            { name: 'endOffset', type: 'int64', default: -1 },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
