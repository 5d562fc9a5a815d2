/** AlterConfigs (key 33): replaces all configs of a resource. */
import type { MessagePair } from '../rows.ts';

export const alterConfigs = {
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexible: 2,
  request: [
    {
      name: 'resources',
      type: 'array',
      of: [
        { name: 'resourceType', type: 'int8' },
        { name: 'resourceName', type: 'string' },
        {
          name: 'configs',
          type: 'array',
          of: [
            { name: 'name', type: 'string' },
            { name: 'value', type: 'string', nullable: 0 },
          ],
        },
      ],
    },
    { name: 'validateOnly', type: 'bool' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 0 },
        { name: 'resourceType', type: 'int8' },
        { name: 'resourceName', type: 'string' },
      ],
    },
  ],
} as const satisfies MessagePair;
