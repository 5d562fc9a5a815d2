/** ListOffsets (key 2). */
import type { MessagePair } from '../rows.ts';

export const listOffsets = {
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexible: 6,
  request: [
    { name: 'replicaId', type: 'int32' },
    { name: 'isolationLevel', type: 'int8', since: 2, default: 0 },
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
            { name: 'currentLeaderEpoch', type: 'int32', since: 4, default: -1 },
            { name: 'timestamp', type: 'int64' },
          ],
        },
      ],
    },
    { name: 'timeoutMs', type: 'int32', since: 10, default: 0 },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 2, default: 0 },
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
            { name: 'timestamp', type: 'int64', since: 1, default: -1 },
            { name: 'offset', type: 'int64', since: 1, default: -1 },
            { name: 'leaderEpoch', type: 'int32', since: 4, default: -1 },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
