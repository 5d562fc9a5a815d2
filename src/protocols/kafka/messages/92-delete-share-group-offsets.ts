/** DeleteShareGroupOffsets (key 92, KIP-932): an empty share group forgets topics. */
import type { MessagePair } from '../rows.ts';

export const deleteShareGroupOffsets = {
  key: 92,
  name: 'DeleteShareGroupOffsets',
  versions: [0, 0],
  flexible: 0,
  request: [
    { name: 'groupId', type: 'string' },
    { name: 'topics', type: 'array', of: [{ name: 'topicName', type: 'string' }] },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16', default: 0 },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    {
      name: 'responses',
      type: 'array',
      of: [
        { name: 'topicName', type: 'string' },
        { name: 'topicId', type: 'uuid' },
        { name: 'errorCode', type: 'int16', default: 0 },
        { name: 'errorMessage', type: 'string', nullable: 0, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
