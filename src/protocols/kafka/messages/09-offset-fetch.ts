/** OffsetFetch (key 9). Version 8 asks for several groups at once, version 10 by topic id. */
import type { MessagePair } from '../rows.ts';

export const offsetFetch = {
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  flexible: 6,
  request: [
    { name: 'groupId', type: 'string', until: 7, default: '' },
    {
      name: 'topics',
      type: 'array',
      until: 7,
      nullable: 2,
      default: null,
      of: [
        { name: 'name', type: 'string' },
        { name: 'partitionIndexes', type: 'array', of: 'int32' },
      ],
    },
    {
      name: 'groups',
      type: 'array',
      since: 8,
      of: [
        { name: 'groupId', type: 'string' },
        { name: 'memberId', type: 'string', since: 9, nullable: 9, default: null },
        { name: 'memberEpoch', type: 'int32', since: 9, default: -1 },
        {
          name: 'topics',
          type: 'array',
          nullable: 8,
          of: [
            { name: 'name', type: 'string', until: 9, default: '' },
            { name: 'topicId', type: 'uuid', since: 10, default: '' },
            { name: 'partitionIndexes', type: 'array', of: 'int32' },
          ],
        },
      ],
    },
    { name: 'requireStable', type: 'bool', since: 7, default: false },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 3, default: 0 },
    {
      name: 'topics',
      type: 'array',
      until: 7,
      of: [
        { name: 'name', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'committedOffset', type: 'int64' },
            { name: 'committedLeaderEpoch', type: 'int32', since: 5, default: -1 },
            { name: 'metadata', type: 'string', nullable: 0 },
            { name: 'errorCode', type: 'int16' },
          ],
        },
      ],
    },
    { name: 'errorCode', type: 'int16', since: 2, until: 7, default: 0 },
    {
      name: 'groups',
      type: 'array',
      since: 8,
      of: [
        { name: 'groupId', type: 'string' },
        {
          name: 'topics',
          type: 'array',
          of: [
            { name: 'name', type: 'string', until: 9 },
            { name: 'topicId', type: 'uuid', since: 10 },
            {
              name: 'partitions',
              type: 'array',
              of: [
                { name: 'partitionIndex', type: 'int32' },
                { name: 'committedOffset', type: 'int64' },
                { name: 'committedLeaderEpoch', type: 'int32', default: -1 },
                { name: 'metadata', type: 'string', nullable: 8 },
                { name: 'errorCode', type: 'int16' },
              ],
            },
          ],
        },
        { name: 'errorCode', type: 'int16', default: 0 },
      ],
    },
  ],
} as const satisfies MessagePair;
