/** DescribeGroups (key 15). Version 6 says GROUP_ID_NOT_FOUND instead of a dead group. */
import type { MessagePair } from '../rows.ts';

export const describeGroups = {
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexible: 5,
  request: [
    { name: 'groups', type: 'array', of: 'string' },
    { name: 'includeAuthorizedOperations', type: 'bool', since: 3, default: false },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    {
      name: 'groups',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', since: 6, nullable: 6, default: null },
        { name: 'groupId', type: 'string' },
        { name: 'groupState', type: 'string' },
        { name: 'protocolType', type: 'string' },
        { name: 'protocolData', type: 'string' },
        {
          name: 'members',
          type: 'array',
          of: [
            { name: 'memberId', type: 'string' },
            { name: 'groupInstanceId', type: 'string', since: 4, nullable: 4, default: null },
            { name: 'clientId', type: 'string' },
            { name: 'clientHost', type: 'string' },
            { name: 'memberMetadata', type: 'bytes' },
            { name: 'memberAssignment', type: 'bytes' },
          ],
        },
        { name: 'authorizedOperations', type: 'int32', since: 3, default: -2147483648 },
      ],
    },
  ],
} as const satisfies MessagePair;
