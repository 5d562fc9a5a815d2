/** DescribeShareGroupOffsets (key 90, KIP-932). Version 1 tells the lag (KIP-1226). */
import type { MessagePair } from '../rows.ts';

export const describeShareGroupOffsets = {
  key: 90,
  name: 'DescribeShareGroupOffsets',
  versions: [0, 1],
  flexible: 0,
  request: [
    {
      name: 'groups',
      type: 'array',
      of: [
        { name: 'groupId', type: 'string' },
        {
          name: 'topics',
          type: 'array',
          nullable: 0,
          of: [
            { name: 'topicName', type: 'string' },
            { name: 'partitions', type: 'array', of: 'int32' },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'groups',
      type: 'array',
      of: [
        { name: 'groupId', type: 'string' },
        {
          name: 'topics',
          type: 'array',
          of: [
            { name: 'topicName', type: 'string' },
            { name: 'topicId', type: 'uuid' },
            {
              name: 'partitions',
              type: 'array',
              of: [
                { name: 'partitionIndex', type: 'int32' },
                { name: 'startOffset', type: 'int64' },
                { name: 'leaderEpoch', type: 'int32' },
                { name: 'lag', type: 'int64', since: 1, default: -1 },
                { name: 'errorCode', type: 'int16', default: 0 },
                { name: 'errorMessage', type: 'string', nullable: 0, default: null },
              ],
            },
          ],
        },
        { name: 'errorCode', type: 'int16', default: 0 },
        { name: 'errorMessage', type: 'string', nullable: 0, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
