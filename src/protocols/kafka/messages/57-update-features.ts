/** UpdateFeatures (key 57), KIP-584. */
import type { MessagePair } from '../rows.ts';

export const updateFeatures = {
  key: 57,
  name: 'UpdateFeatures',
  versions: [0, 2],
  flexible: 0,
  request: [
    { name: 'timeoutMs', type: 'int32', default: 60_000 },
    {
      name: 'featureUpdates',
      type: 'array',
      of: [
        { name: 'feature', type: 'string' },
        { name: 'maxVersionLevel', type: 'int16' },
        { name: 'allowDowngrade', type: 'bool', until: 0, default: false },
        { name: 'upgradeType', type: 'int8', since: 1, default: 1 },
      ],
    },
    { name: 'validateOnly', type: 'bool', since: 1, default: false },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0, default: null },
    {
      name: 'results',
      type: 'array',
      until: 1,
      of: [
        { name: 'feature', type: 'string' },
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 0, default: null },
      ],
    },
  ],
} as const satisfies MessagePair;
