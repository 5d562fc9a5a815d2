/** Metadata (key 3). */
import { type MessagePair, ZERO_UUID } from '../rows.ts';

export const metadata = {
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexible: 9,
  request: [
    {
      name: 'topics',
      type: 'array',
      nullable: 1,
      of: [
        { name: 'topicId', type: 'uuid', since: 10, default: ZERO_UUID },
        { name: 'name', type: 'string', nullable: 10 },
      ],
    },
    { name: 'allowAutoTopicCreation', type: 'bool', since: 4, default: true },
    {
      name: 'includeClusterAuthorizedOperations',
      type: 'bool',
      since: 8,
      until: 10,
      default: false,
    },
    { name: 'includeTopicAuthorizedOperations', type: 'bool', since: 8, default: false },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 3, default: 0 },
    {
      name: 'brokers',
      type: 'array',
      of: [
        { name: 'nodeId', type: 'int32' },
        { name: 'host', type: 'string' },
        { name: 'port', type: 'int32' },
        { name: 'rack', type: 'string', since: 1, nullable: 1, default: null },
      ],
    },
    { name: 'clusterId', type: 'string', since: 2, nullable: 2, default: null },
    { name: 'controllerId', type: 'int32', since: 1, default: -1 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'name', type: 'string', nullable: 12 },
        { name: 'topicId', type: 'uuid', since: 10 },
        { name: 'isInternal', type: 'bool', since: 1, default: false },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'errorCode', type: 'int16' },
            { name: 'partitionIndex', type: 'int32' },
            { name: 'leaderId', type: 'int32' },
            { name: 'leaderEpoch', type: 'int32', since: 7, default: -1 },
            { name: 'replicaNodes', type: 'array', of: 'int32' },
            { name: 'isrNodes', type: 'array', of: 'int32' },
            { name: 'offlineReplicas', type: 'array', since: 5, of: 'int32' },
          ],
        },
        { name: 'topicAuthorizedOperations', type: 'int32', since: 8, default: -2147483648 },
      ],
    },
    {
      name: 'clusterAuthorizedOperations',
      type: 'int32',
      since: 8,
      until: 10,
      default: -2147483648,
    },
    { name: 'errorCode', type: 'int16', since: 13, default: 0 },
  ],
} as const satisfies MessagePair;
