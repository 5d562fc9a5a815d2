/** LeaveGroup (key 13). Version 3 takes leave for several members at once. */
import type { MessagePair } from '../rows.ts';

export const leaveGroup = {
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexible: 4,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'memberId', type: 'string', until: 2, default: '' },
    {
      name: 'members',
      type: 'array',
      since: 3,
      of: [
        { name: 'memberId', type: 'string' },
        { name: 'groupInstanceId', type: 'string', nullable: 3, default: null },
        { name: 'reason', type: 'string', since: 5, nullable: 5, default: null },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    { name: 'errorCode', type: 'int16' },
    {
      name: 'members',
      type: 'array',
      since: 3,
      of: [
        { name: 'memberId', type: 'string' },
        { name: 'groupInstanceId', type: 'string', nullable: 3 },
        { name: 'errorCode', type: 'int16' },
      ],
    },
  ],
} as const satisfies MessagePair;
