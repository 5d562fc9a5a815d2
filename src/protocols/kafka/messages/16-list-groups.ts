/** ListGroups (key 16). */
import type { MessagePair } from '../rows.ts';

export const listGroups = {
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexible: 3,
  request: [
    { name: 'statesFilter', type: 'array', since: 4, of: 'string' },
    { name: 'typesFilter', type: 'array', since: 5, of: 'string' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    { name: 'errorCode', type: 'int16' },
    {
      name: 'groups',
      type: 'array',
      of: [
        { name: 'groupId', type: 'string' },
        { name: 'protocolType', type: 'string' },
        { name: 'groupState', type: 'string', since: 4, default: '' },
        { name: 'groupType', type: 'string', since: 5, default: '' },
      ],
    },
  ],
} as const satisfies MessagePair;
