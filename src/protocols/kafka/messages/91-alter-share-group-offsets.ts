/** AlterShareGroupOffsets (key 91, KIP-932): where an empty share group begins. */
import type { MessagePair } from '../rows.ts';

export const alterShareGroupOffsets = {
  key: 91,
  name: 'AlterShareGroupOffsets',
  versions: [0, 0],
  flexible: 0,
  request: [
    { name: 'groupId', type: 'string' },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'topicName', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'startOffset', type: 'int64' },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16', default: 0 },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'topicName', type: 'string' },
        { name: 'topicId', type: 'uuid' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'errorCode', type: 'int16', default: 0 },
            { name: 'errorMessage', type: 'string', nullable: 0, default: null },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
