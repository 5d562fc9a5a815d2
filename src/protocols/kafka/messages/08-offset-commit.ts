/** OffsetCommit (key 8). Version 10 names topics by id. */
import type { MessagePair } from '../rows.ts';

export const offsetCommit = {
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  flexible: 8,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'generationIdOrMemberEpoch', type: 'int32', since: 1, default: -1 },
    { name: 'memberId', type: 'string', since: 1, default: '' },
    { name: 'groupInstanceId', type: 'string', since: 7, nullable: 7, default: null },
    { name: 'retentionTimeMs', type: 'int64', since: 2, until: 4, default: -1 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'name', type: 'string', until: 9, default: '' },
        { name: 'topicId', type: 'uuid', since: 10, default: '' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'committedOffset', type: 'int64' },
            { name: 'committedLeaderEpoch', type: 'int32', since: 6, default: -1 },
            { name: 'committedMetadata', type: 'string', nullable: 0 },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 3, default: 0 },
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
            { name: 'errorCode', type: 'int16' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
