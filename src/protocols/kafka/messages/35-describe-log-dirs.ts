/** DescribeLogDirs (key 35). */
import type { MessagePair } from '../rows.ts';

export const describeLogDirs = {
  key: 35,
  name: 'DescribeLogDirs',
  versions: [1, 4],
  flexible: 2,
  request: [
    {
      name: 'topics',
      type: 'array',
      nullable: 0,
      of: [
        { name: 'topic', type: 'string' },
        { name: 'partitions', type: 'array', of: 'int32' },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16', since: 3, default: 0 },
    {
      name: 'results',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'logDir', type: 'string' },
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
                { name: 'partitionSize', type: 'int64' },
                { name: 'offsetLag', type: 'int64' },
                { name: 'isFutureKey', type: 'bool' },
              ],
            },
          ],
        },
        { name: 'totalBytes', type: 'int64', since: 4, default: -1 },
        { name: 'usableBytes', type: 'int64', since: 4, default: -1 },
      ],
    },
  ],
} as const satisfies MessagePair;
