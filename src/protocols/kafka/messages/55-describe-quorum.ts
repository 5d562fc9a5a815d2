/** DescribeQuorum (key 55): who votes on the log of metadata, and how far each is. */
import type { MessagePair, Rows } from '../rows.ts';

const REPLICAS = [
  { name: 'replicaId', type: 'int32' },
  { name: 'replicaDirectoryId', type: 'uuid', since: 2 },
  { name: 'logEndOffset', type: 'int64' },
  { name: 'lastFetchTimestamp', type: 'int64', since: 1, default: -1 },
  { name: 'lastCaughtUpTimestamp', type: 'int64', since: 1, default: -1 },
] as const satisfies Rows;

export const describeQuorum = {
  key: 55,
  name: 'DescribeQuorum',
  versions: [0, 2],
  flexible: 0,
  request: [
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'topicName', type: 'string' },
        { name: 'partitions', type: 'array', of: [{ name: 'partitionIndex', type: 'int32' }] },
      ],
    },
  ],
  response: [
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', since: 2, nullable: 2, default: null },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'topicName', type: 'string' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
            { name: 'errorMessage', type: 'string', since: 2, nullable: 2, default: null },
            { name: 'leaderId', type: 'int32' },
            { name: 'leaderEpoch', type: 'int32' },
            { name: 'highWatermark', type: 'int64' },
            { name: 'currentVoters', type: 'array', of: REPLICAS },
            { name: 'observers', type: 'array', of: REPLICAS },
          ],
        },
      ],
    },
    {
      name: 'nodes',
      type: 'array',
      since: 2,
      of: [
        { name: 'nodeId', type: 'int32' },
        {
          name: 'listeners',
          type: 'array',
          of: [
            { name: 'name', type: 'string' },
            { name: 'host', type: 'string' },
            { name: 'port', type: 'uint16' },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
