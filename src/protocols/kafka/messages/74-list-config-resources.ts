/**
 * ListConfigResources (key 74). Version 0 is ListClientMetricsResources, and asks for that type.
 */
import type { MessagePair } from '../rows.ts';

export const listConfigResources = {
  key: 74,
  name: 'ListConfigResources',
  versions: [0, 1],
  flexible: 0,
  request: [{ name: 'resourceTypes', type: 'array', since: 1, of: 'int8' }],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    {
      name: 'configResources',
      type: 'array',
      of: [
        { name: 'resourceName', type: 'string' },
        { name: 'resourceType', type: 'int8', since: 1, default: 16 },
      ],
    },
  ],
} as const satisfies MessagePair;
