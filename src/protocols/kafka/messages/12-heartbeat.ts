/** Heartbeat (key 12). */
import type { MessagePair } from '../rows.ts';

export const heartbeat = {
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexible: 4,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'generationId', type: 'int32' },
    { name: 'memberId', type: 'string' },
    { name: 'groupInstanceId', type: 'string', since: 3, nullable: 3, default: null },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    { name: 'errorCode', type: 'int16' },
  ],
} as const satisfies MessagePair;
