/** ShareGroupHeartbeat (key 76, KIP-932): a member of a share group joins, stays and leaves. */
import type { MessagePair } from '../rows.ts';

export const shareGroupHeartbeat = {
  key: 76,
  name: 'ShareGroupHeartbeat',
  versions: [1, 1],
  flexible: 0,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'memberId', type: 'string' },
    { name: 'memberEpoch', type: 'int32' },
    { name: 'rackId', type: 'string', nullable: 0, default: null },
    { name: 'subscribedTopicNames', type: 'array', nullable: 0, default: null, of: 'string' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    { name: 'memberId', type: 'string', nullable: 0, default: null },
    { name: 'memberEpoch', type: 'int32', default: 0 },
    { name: 'heartbeatIntervalMs', type: 'int32', default: 0 },
    {
      name: 'assignment',
      type: 'struct',
      nullable: 0,
      default: null,
      of: [
        {
          name: 'topicPartitions',
          type: 'array',
          of: [
            { name: 'topicId', type: 'uuid' },
            { name: 'partitions', type: 'array', of: 'int32' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
