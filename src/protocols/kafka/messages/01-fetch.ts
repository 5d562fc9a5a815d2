/** Fetch (key 1). Versions before 4 belong to the message formats that are gone. */
import type { MessagePair } from '../rows.ts';

export const fetch = {
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  flexible: 12,
  request: [
    { name: 'clusterId', type: 'string', since: 12, tag: 0, nullable: 12, default: null },
    { name: 'replicaId', type: 'int32', until: 14, default: -1 },
    {
      name: 'replicaState',
      type: 'struct',
      since: 15,
      tag: 1,
      of: [
        { name: 'replicaId', type: 'int32', default: -1 },
        { name: 'replicaEpoch', type: 'int64', default: -1 },
      ],
    },
    { name: 'maxWaitMs', type: 'int32' },
    { name: 'minBytes', type: 'int32' },
    { name: 'maxBytes', type: 'int32', since: 3, default: 0x7fffffff },
    { name: 'isolationLevel', type: 'int8', since: 4, default: 0 },
    { name: 'sessionId', type: 'int32', since: 7, default: 0 },
    { name: 'sessionEpoch', type: 'int32', since: 7, default: -1 },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'topic', type: 'string', until: 12, default: '' },
        { name: 'topicId', type: 'uuid', since: 13, default: '' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partition', type: 'int32' },
            { name: 'currentLeaderEpoch', type: 'int32', since: 9, default: -1 },
            { name: 'fetchOffset', type: 'int64' },
            { name: 'lastFetchedEpoch', type: 'int32', since: 12, default: -1 },
            { name: 'logStartOffset', type: 'int64', since: 5, default: -1 },
            { name: 'partitionMaxBytes', type: 'int32' },
            { name: 'replicaDirectoryId', type: 'uuid', since: 17, tag: 0 },
            { name: 'highWatermark', type: 'int64', since: 18, tag: 1, default: 9007199254740991 },
          ],
        },
      ],
    },
    {
      name: 'forgottenTopicsData',
      type: 'array',
      since: 7,
      of: [
        { name: 'topic', type: 'string', until: 12, default: '' },
        { name: 'topicId', type: 'uuid', since: 13, default: '' },
        { name: 'partitions', type: 'array', of: 'int32' },
      ],
    },
    { name: 'rackId', type: 'string', since: 11, default: '' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    { name: 'errorCode', type: 'int16', since: 7, default: 0 },
    { name: 'sessionId', type: 'int32', since: 7, default: 0 },
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'topic', type: 'string', until: 12 },
        { name: 'topicId', type: 'uuid', since: 13 },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
            { name: 'highWatermark', type: 'int64' },
            { name: 'lastStableOffset', type: 'int64', since: 4, default: -1 },
            { name: 'logStartOffset', type: 'int64', since: 5, default: -1 },
            {
              name: 'divergingEpoch',
              type: 'struct',
              since: 12,
              tag: 0,
              of: [
                { name: 'epoch', type: 'int32', default: -1 },
                { name: 'endOffset', type: 'int64', default: -1 },
              ],
            },
            {
              name: 'currentLeader',
              type: 'struct',
              since: 12,
              tag: 1,
              of: [
                { name: 'leaderId', type: 'int32', default: -1 },
                { name: 'leaderEpoch', type: 'int32', default: -1 },
              ],
            },
            {
              name: 'snapshotId',
              type: 'struct',
              since: 12,
              tag: 2,
              of: [
                { name: 'endOffset', type: 'int64', default: -1 },
                { name: 'epoch', type: 'int32', default: -1 },
              ],
            },
            {
              name: 'abortedTransactions',
              type: 'array',
              since: 4,
              nullable: 4,
              of: [
                { name: 'producerId', type: 'int64' },
                { name: 'firstOffset', type: 'int64' },
              ],
            },
            { name: 'preferredReadReplica', type: 'int32', since: 11, default: -1 },
            { name: 'records', type: 'records', nullable: 0 },
          ],
        },
      ],
    },
    {
      name: 'nodeEndpoints',
      type: 'array',
      since: 16,
      tag: 0,
      of: [
        { name: 'nodeId', type: 'int32' },
        { name: 'host', type: 'string' },
        { name: 'port', type: 'int32' },
        { name: 'rack', type: 'string', nullable: 16, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
