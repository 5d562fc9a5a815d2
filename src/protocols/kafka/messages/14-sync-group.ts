/** SyncGroup (key 14). */
import type { MessagePair } from '../rows.ts';

export const syncGroup = {
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexible: 4,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'generationId', type: 'int32' },
    { name: 'memberId', type: 'string' },
    { name: 'groupInstanceId', type: 'string', since: 3, nullable: 3, default: null },
    { name: 'protocolType', type: 'string', since: 5, nullable: 5, default: null },
    { name: 'protocolName', type: 'string', since: 5, nullable: 5, default: null },
    {
      name: 'assignments',
      type: 'array',
      of: [
        { name: 'memberId', type: 'string' },
        { name: 'assignment', type: 'bytes' },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'protocolType', type: 'string', since: 5, nullable: 5, default: null },
    { name: 'protocolName', type: 'string', since: 5, nullable: 5, default: null },
    { name: 'assignment', type: 'bytes' },
  ],
} as const satisfies MessagePair;
