/** DescribeUserScramCredentials (key 50), KIP-554. */
import type { MessagePair } from '../rows.ts';

export const describeUserScramCredentials = {
  key: 50,
  name: 'DescribeUserScramCredentials',
  versions: [0, 0],
  flexible: 0,
  request: [{ name: 'users', type: 'array', nullable: 0, of: [{ name: 'name', type: 'string' }] }],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    {
      name: 'results',
      type: 'array',
      of: [
        { name: 'user', type: 'string' },
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 0, default: null },
        {
          name: 'credentialInfos',
          type: 'array',
          of: [
            { name: 'mechanism', type: 'int8' },
            { name: 'iterations', type: 'int32' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
