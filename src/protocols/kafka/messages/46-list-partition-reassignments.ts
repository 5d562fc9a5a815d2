/** ListPartitionReassignments (key 46). */
import type { MessagePair } from '../rows.ts';

export const listPartitionReassignments = {
  key: 46,
  name: 'ListPartitionReassignments',
  versions: [0, 0],
  flexible: 0,
  request: [
    { name: 'timeoutMs', type: 'int32', default: 60000 },
    {
      name: 'topics',
      type: 'array',
      nullable: 0,
      default: null,
      of: [
        { name: 'name', type: 'string' },
        { name: 'partitionIndexes', type: 'array', of: 'int32' },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
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
            { name: 'replicas', type: 'array', of: 'int32' },
            { name: 'addingReplicas', type: 'array', of: 'int32' },
            { name: 'removingReplicas', type: 'array', of: 'int32' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
