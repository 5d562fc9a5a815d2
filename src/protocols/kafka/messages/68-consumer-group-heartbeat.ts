/**
 * ConsumerGroupHeartbeat (key 68, KIP-848): joins, stays and leaves, by the member's epoch. Null
 * stands for "as before". Version 1 has regular expressions and member ids made by clients.
 */
import type { MessagePair } from '../rows.ts';

export const consumerGroupHeartbeat = {
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: [0, 1],
  flexible: 0,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'memberId', type: 'string' },
    { name: 'memberEpoch', type: 'int32' },
    { name: 'instanceId', type: 'string', nullable: 0, default: null },
    { name: 'rackId', type: 'string', nullable: 0, default: null },
    { name: 'rebalanceTimeoutMs', type: 'int32', default: -1 },
    { name: 'subscribedTopicNames', type: 'array', nullable: 0, default: null, of: 'string' },
    { name: 'subscribedTopicRegex', type: 'string', since: 1, nullable: 1, default: null },
    { name: 'serverAssignor', type: 'string', nullable: 0, default: null },
    {
      name: 'topicPartitions',
      type: 'array',
      nullable: 0,
      default: null,
      of: [
        { name: 'topicId', type: 'uuid' },
        { name: 'partitions', type: 'array', of: 'int32' },
      ],
    },
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
