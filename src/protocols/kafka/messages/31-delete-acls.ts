/** DeleteAcls (key 31). */
import type { MessagePair } from '../rows.ts';

export const deleteAcls = {
  key: 31,
  name: 'DeleteAcls',
  versions: [1, 3],
  flexible: 2,
  request: [
    {
      name: 'filters',
      type: 'array',
      of: [
        { name: 'resourceTypeFilter', type: 'int8' },
        { name: 'resourceNameFilter', type: 'string', nullable: 0 },
        { name: 'patternTypeFilter', type: 'int8', since: 1, default: 3 },
        { name: 'principalFilter', type: 'string', nullable: 0 },
        { name: 'hostFilter', type: 'string', nullable: 0 },
        { name: 'operation', type: 'int8' },
        { name: 'permissionType', type: 'int8' },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'filterResults',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 0, default: null },
        {
          name: 'matchingAcls',
          type: 'array',
          of: [
            { name: 'errorCode', type: 'int16' },
            { name: 'errorMessage', type: 'string', nullable: 0, default: null },
            { name: 'resourceType', type: 'int8' },
            { name: 'resourceName', type: 'string' },
            { name: 'patternType', type: 'int8', since: 1, default: 3 },
            { name: 'principal', type: 'string' },
            { name: 'host', type: 'string' },
            { name: 'operation', type: 'int8' },
            { name: 'permissionType', type: 'int8' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
