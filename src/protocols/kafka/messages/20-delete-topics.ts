/** DeleteTopics (key 20). Version 6 can name topics by id. */
import type { MessagePair } from '../rows.ts';

export const deleteTopics = {
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexible: 4,
  request: [
    {
      name: 'topics',
      type: 'array',
      since: 6,
      of: [
        { name: 'name', type: 'string', nullable: 6, default: null },
        { name: 'topicId', type: 'uuid' },
      ],
    },
    { name: 'topicNames', type: 'array', until: 5, of: 'string' },
    { name: 'timeoutMs', type: 'int32' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'name', type: 'string', nullable: 6 },
        { name: 'topicId', type: 'uuid', since: 6 },
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', since: 5, nullable: 5, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
