/** DescribeAcls (key 29). */
import type { MessagePair } from '../rows.ts';

export const describeAcls = {
  key: 29,
  name: 'DescribeAcls',
  versions: [1, 3],
  flexible: 2,
  request: [
    { name: 'resourceTypeFilter', type: 'int8' },
    { name: 'resourceNameFilter', type: 'string', nullable: 0 },
    { name: 'patternTypeFilter', type: 'int8', since: 1, default: 3 },
    { name: 'principalFilter', type: 'string', nullable: 0 },
    { name: 'hostFilter', type: 'string', nullable: 0 },
    { name: 'operation', type: 'int8' },
    { name: 'permissionType', type: 'int8' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    {
      name: 'resources',
      type: 'array',
      of: [
        { name: 'resourceType', type: 'int8' },
        { name: 'resourceName', type: 'string' },
        { name: 'patternType', type: 'int8', since: 1, default: 3 },
        {
          name: 'acls',
          type: 'array',
          of: [
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
