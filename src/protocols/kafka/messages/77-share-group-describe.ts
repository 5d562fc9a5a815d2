/** ShareGroupDescribe (key 77, KIP-932). */
import type { MessagePair } from '../rows.ts';

export const shareGroupDescribe = {
  key: 77,
  name: 'ShareGroupDescribe',
  versions: [1, 1],
  flexible: 0,
  request: [
    { name: 'groupIds', type: 'array', of: 'string' },
    { name: 'includeAuthorizedOperations', type: 'bool' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'groups',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 0, default: null },
        { name: 'groupId', type: 'string' },
        { name: 'groupState', type: 'string' },
        { name: 'groupEpoch', type: 'int32' },
        { name: 'assignmentEpoch', type: 'int32' },
        { name: 'assignorName', type: 'string' },
        {
          name: 'members',
          type: 'array',
          of: [
            { name: 'memberId', type: 'string' },
            { name: 'rackId', type: 'string', nullable: 0, default: null },
            { name: 'memberEpoch', type: 'int32' },
            { name: 'clientId', type: 'string' },
            { name: 'clientHost', type: 'string' },
            { name: 'subscribedTopicNames', type: 'array', of: 'string' },
            {
              name: 'assignment',
              type: 'struct',
              of: [
                {
                  name: 'topicPartitions',
                  type: 'array',
                  of: [
                    { name: 'topicId', type: 'uuid' },
                    { name: 'topicName', type: 'string' },
                    { name: 'partitions', type: 'array', of: 'int32' },
                  ],
                },
              ],
            },
          ],
        },
        { name: 'authorizedOperations', type: 'int32', default: -2147483648 },
      ],
    },
  ],
} as const satisfies MessagePair;
