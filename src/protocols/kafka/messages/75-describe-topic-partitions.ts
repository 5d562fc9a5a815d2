/** DescribeTopicPartitions (key 75): paged description of topics (KIP-966). */
import type { MessagePair } from '../rows.ts';

export const describeTopicPartitions = {
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexible: 0,
  request: [
    { name: 'topics', type: 'array', of: [{ name: 'name', type: 'string' }] },
    { name: 'responsePartitionLimit', type: 'int32', default: 2000 },
    {
      name: 'cursor',
      type: 'struct',
      nullable: 0,
      default: null,
      of: [
        { name: 'topicName', type: 'string' },
        { name: 'partitionIndex', type: 'int32' },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'name', type: 'string', nullable: 0 },
        { name: 'topicId', type: 'uuid' },
        { name: 'isInternal', type: 'bool', default: false },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'errorCode', type: 'int16' },
            { name: 'partitionIndex', type: 'int32' },
            { name: 'leaderId', type: 'int32' },
            { name: 'leaderEpoch', type: 'int32', default: -1 },
            { name: 'replicaNodes', type: 'array', of: 'int32' },
            { name: 'isrNodes', type: 'array', of: 'int32' },
            {
              name: 'eligibleLeaderReplicas',
              type: 'array',
              nullable: 0,
              default: null,
              of: 'int32',
            },
            { name: 'lastKnownElr', type: 'array', nullable: 0, default: null, of: 'int32' },
            { name: 'offlineReplicas', type: 'array', of: 'int32' },
          ],
        },
        { name: 'topicAuthorizedOperations', type: 'int32', default: -2147483648 },
      ],
    },
    {
      name: 'nextCursor',
      type: 'struct',
      nullable: 0,
      default: null,
      of: [
        { name: 'topicName', type: 'string' },
        { name: 'partitionIndex', type: 'int32' },
      ],
    },
  ],
} as const satisfies MessagePair;
