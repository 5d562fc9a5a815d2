/** ConsumerGroupDescribe (key 69, KIP-848). Version 1 tells which protocol a member speaks. */
import type { MessagePair, Rows } from '../rows.ts';

const ASSIGNMENT = [
  {
    name: 'topicPartitions',
    type: 'array',
    of: [
      { name: 'topicId', type: 'uuid' },
      { name: 'topicName', type: 'string' },
      { name: 'partitions', type: 'array', of: 'int32' },
    ],
  },
] as const satisfies Rows;

export const consumerGroupDescribe = {
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: [0, 1],
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
            { name: 'instanceId', type: 'string', nullable: 0, default: null },
            { name: 'rackId', type: 'string', nullable: 0, default: null },
            { name: 'memberEpoch', type: 'int32' },
            { name: 'clientId', type: 'string' },
            { name: 'clientHost', type: 'string' },
            { name: 'subscribedTopicNames', type: 'array', of: 'string' },
            { name: 'subscribedTopicRegex', type: 'string', nullable: 0, default: null },
            { name: 'assignment', type: 'struct', of: ASSIGNMENT },
            { name: 'targetAssignment', type: 'struct', of: ASSIGNMENT },
            { name: 'memberType', type: 'int8', since: 1, default: -1 },
          ],
        },
        { name: 'authorizedOperations', type: 'int32', default: -2147483648 },
      ],
    },
  ],
} as const satisfies MessagePair;
