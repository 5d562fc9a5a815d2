/** JoinGroup (key 11). */
import type { MessagePair } from '../rows.ts';

export const joinGroup = {
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexible: 6,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'sessionTimeoutMs', type: 'int32' },
    { name: 'rebalanceTimeoutMs', type: 'int32', since: 1, default: -1 },
    { name: 'memberId', type: 'string' },
    { name: 'groupInstanceId', type: 'string', since: 5, nullable: 5, default: null },
    { name: 'protocolType', type: 'string' },
    {
      name: 'protocols',
      type: 'array',
      of: [
        { name: 'name', type: 'string' },
        { name: 'metadata', type: 'bytes' },
      ],
    },
    { name: 'reason', type: 'string', since: 8, nullable: 8, default: null },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 2, default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'generationId', type: 'int32', default: -1 },
    { name: 'protocolType', type: 'string', since: 7, nullable: 7, default: null },
    { name: 'protocolName', type: 'string', nullable: 7 },
    { name: 'leader', type: 'string' },
    { name: 'skipAssignment', type: 'bool', since: 9, default: false },
    { name: 'memberId', type: 'string' },
    {
      name: 'members',
      type: 'array',
      of: [
        { name: 'memberId', type: 'string' },
        { name: 'groupInstanceId', type: 'string', since: 5, nullable: 5, default: null },
        { name: 'metadata', type: 'bytes' },
      ],
    },
  ],
} as const satisfies MessagePair;
