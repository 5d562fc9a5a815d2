/** ShareAcknowledge (key 79, KIP-932). Version 2 has renewals (KIP-1222). */
import type { MessagePair } from '../rows.ts';

export const shareAcknowledge = {
  key: 79,
  name: 'ShareAcknowledge',
  versions: [1, 2],
  flexible: 0,
  request: [
    { name: 'groupId', type: 'string', nullable: 0, default: null },
    { name: 'memberId', type: 'string', nullable: 0 },
    { name: 'shareSessionEpoch', type: 'int32' },
    { name: 'isRenewAck', type: 'bool', since: 2, default: false },
    {
      name: 'topics',
      type: 'array',
      of: [
        { name: 'topicId', type: 'uuid' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            {
              name: 'acknowledgementBatches',
              type: 'array',
              of: [
                { name: 'firstOffset', type: 'int64' },
                { name: 'lastOffset', type: 'int64' },
                { name: 'acknowledgeTypes', type: 'array', of: 'int8' },
              ],
            },
          ],
        },
      ],
    },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16', default: 0 },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    { name: 'acquisitionLockTimeoutMs', type: 'int32', since: 2, default: 0 },
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'topicId', type: 'uuid' },
        {
          name: 'partitions',
          type: 'array',
          of: [
            { name: 'partitionIndex', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
            { name: 'errorMessage', type: 'string', nullable: 0, default: null },
            {
              name: 'currentLeader',
              type: 'struct',
              of: [
                { name: 'leaderId', type: 'int32' },
                { name: 'leaderEpoch', type: 'int32' },
              ],
            },
          ],
        },
      ],
    },
    {
      name: 'nodeEndpoints',
      type: 'array',
      of: [
        { name: 'nodeId', type: 'int32' },
        { name: 'host', type: 'string' },
        { name: 'port', type: 'int32' },
        { name: 'rack', type: 'string', nullable: 0, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
