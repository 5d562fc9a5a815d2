/** AlterClientQuotas (key 49), KIP-546. */
import type { MessagePair } from '../rows.ts';

export const alterClientQuotas = {
  key: 49,
  name: 'AlterClientQuotas',
  versions: [0, 1],
  flexible: 1,
  request: [
    {
      name: 'entries',
      type: 'array',
      of: [
        {
          name: 'entity',
          type: 'array',
          of: [
            { name: 'entityType', type: 'string' },
            { name: 'entityName', type: 'string', nullable: 0 },
          ],
        },
        {
          name: 'ops',
          type: 'array',
          of: [
            { name: 'key', type: 'string' },
            { name: 'value', type: 'float64' },
            { name: 'remove', type: 'bool' },
          ],
        },
      ],
    },
    { name: 'validateOnly', type: 'bool' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'entries',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 0, default: null },
        {
          name: 'entity',
          type: 'array',
          of: [
            { name: 'entityType', type: 'string' },
            { name: 'entityName', type: 'string', nullable: 0 },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
