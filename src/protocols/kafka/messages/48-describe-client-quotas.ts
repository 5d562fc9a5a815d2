/** DescribeClientQuotas (key 48), KIP-546. */
import type { MessagePair } from '../rows.ts';

export const describeClientQuotas = {
  key: 48,
  name: 'DescribeClientQuotas',
  versions: [0, 1],
  flexible: 1,
  request: [
    {
      name: 'components',
      type: 'array',
      of: [
        { name: 'entityType', type: 'string' },
        { name: 'matchType', type: 'int8' },
        { name: 'match', type: 'string', nullable: 0 },
      ],
    },
    { name: 'strict', type: 'bool' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    {
      name: 'entries',
      type: 'array',
      nullable: 0,
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
          name: 'values',
          type: 'array',
          of: [
            { name: 'key', type: 'string' },
            { name: 'value', type: 'float64' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
