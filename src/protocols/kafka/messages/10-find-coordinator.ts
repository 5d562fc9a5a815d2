/** FindCoordinator (key 10). Version 4 asks for several keys at once. */
import type { MessagePair } from '../rows.ts';

export const findCoordinator = {
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexible: 3,
  request: [
    { name: 'key', type: 'string', until: 3, default: '' },
    { name: 'keyType', type: 'int8', since: 1, default: 0 },
    { name: 'coordinatorKeys', type: 'array', since: 4, of: 'string' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    { name: 'errorCode', type: 'int16', until: 3, default: 0 },
    { name: 'errorMessage', type: 'string', since: 1, until: 3, nullable: 1, default: null },
    { name: 'nodeId', type: 'int32', until: 3, default: -1 },
    { name: 'host', type: 'string', until: 3, default: '' },
    { name: 'port', type: 'int32', until: 3, default: -1 },
    {
      name: 'coordinators',
      type: 'array',
      since: 4,
      of: [
        { name: 'key', type: 'string' },
        { name: 'nodeId', type: 'int32' },
        { name: 'host', type: 'string' },
        { name: 'port', type: 'int32' },
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 4, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
