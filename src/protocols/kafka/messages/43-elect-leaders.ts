/** ElectLeaders (key 43). */
import type { MessagePair } from '../rows.ts';

export const electLeaders = {
  key: 43,
  name: 'ElectLeaders',
  versions: [0, 2],
  flexible: 2,
  request: [
    { name: 'electionType', type: 'int8', since: 1, default: 0 },
    {
      name: 'topicPartitions',
      type: 'array',
      nullable: 0,
      of: [
        { name: 'topic', type: 'string' },
        { name: 'partitions', type: 'array', of: 'int32' },
      ],
    },
    { name: 'timeoutMs', type: 'int32', default: 60000 },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16', since: 1, default: 0 },
    {
      name: 'replicaElectionResults',
      type: 'array',
      of: [
        { name: 'topic', type: 'string' },
        {
          name: 'partitionResult',
          type: 'array',
          of: [
            { name: 'partitionId', type: 'int32' },
            { name: 'errorCode', type: 'int16' },
            { name: 'errorMessage', type: 'string', nullable: 0 },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
