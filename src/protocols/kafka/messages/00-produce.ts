/** Produce (key 0). Versions 0 to 2 carried the message formats that are gone (KIP-724). */
import type { MessagePair } from '../rows.ts';

export const produce = {
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  flexible: 9,
  advertisedFrom: 0,
  request: [
    { name: 'transactionalId', type: 'string', nullable: 3, default: null },
    { name: 'acks', type: 'int16' },
    { name: 'timeoutMs', type: 'int32' },
    {
      name: 'topicData',
      type: 'array',
      of: [
        { name: 'name', type: 'string', until: 12, default: '' },
        { name: 'topicId', type: 'uuid', since: 13, default: '' },
        {
          name: 'partitionData',
          type: 'array',
          of: [
            { name: 'index', type: 'int32' },
            { name: 'records', type: 'records', nullable: 0 },
          ],
        },
      ],
    },
  ],
  response: [
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'name', type: 'string', until: 12 },
        { name: 'topicId', type: 'uuid', since: 13 },
        {
          name: 'partitionResponses',
          type: 'array',
          of: [
            { name: 'index', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
            { name: 'baseOffset', type: 'int64' },
            { name: 'logAppendTimeMs', type: 'int64', since: 2, default: -1 },
            { name: 'logStartOffset', type: 'int64', since: 5, default: -1 },
            {
              name: 'recordErrors',
              type: 'array',
              since: 8,
              of: [
                { name: 'batchIndex', type: 'int32' },
                { name: 'batchIndexErrorMessage', type: 'string', nullable: 8, default: null },
              ],
            },
            { name: 'errorMessage', type: 'string', since: 8, nullable: 8, default: null },
            {
              name: 'currentLeader',
              type: 'struct',
              since: 10,
              tag: 0,
              of: [
                { name: 'leaderId', type: 'int32', default: -1 },
                { name: 'leaderEpoch', type: 'int32', default: -1 },
              ],
            },
          ],
        },
      ],
    },
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    {
      name: 'nodeEndpoints',
      type: 'array',
      since: 10,
      tag: 0,
      of: [
        { name: 'nodeId', type: 'int32' },
        { name: 'host', type: 'string' },
        { name: 'port', type: 'int32' },
        { name: 'rack', type: 'string', nullable: 10, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
