/** AlterReplicaLogDirs (key 34): a replica is to lie in another directory of its broker. */
import type { MessagePair } from '../rows.ts';

export const alterReplicaLogDirs = {
  key: 34,
  name: 'AlterReplicaLogDirs',
  versions: [1, 2],
  flexible: 2,
  request: [
    {
      name: 'dirs',
      type: 'array',
      of: [
        { name: 'path', type: 'string' },
        {
          name: 'topics',
          type: 'array',
          of: [
            { name: 'name', type: 'string' },
            { name: 'partitions', type: 'array', of: 'int32' },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'results',
      type: 'array',
      of: [
        { name: 'topicName', type: 'string' },
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
