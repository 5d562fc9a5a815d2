/** OffsetDelete (key 47). */
import type { MessagePair } from '../rows.ts';

export const offsetDelete = {
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  flexible: 0x7fff,
  request: [
    { name: 'groupId', type: 'string' },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'name', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [{ name: 'partitionIndex', type: 'int32' }],
        },
      ],
    },
  ],
  response: [
    { name: 'errorCode', type: 'int16' },
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'name', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
