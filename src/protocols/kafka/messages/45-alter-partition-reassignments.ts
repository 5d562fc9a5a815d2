/** AlterPartitionReassignments (key 45). */
import type { MessagePair } from '../rows.ts';

export const alterPartitionReassignments = {
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: [0, 0],
  flexible: 0,
  request: [
    { name: 'timeoutMs', type: 'int32', default: 60000 },
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
            { name: 'replicas', type: 'array', nullable: 0, default: null, of: 'int32' },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'name', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
            { name: 'errorMessage', type: 'string', nullable: 0 },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
