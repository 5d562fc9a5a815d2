/** ApiVersions (key 18): the one request that is answered whatever its version (KIP-511). */
import type { MessagePair } from '../rows.ts';

export const apiVersions = {
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexible: 3,
  request: [
    { name: 'clientSoftwareName', type: 'string', since: 3, default: '' },
    { name: 'clientSoftwareVersion', type: 'string', since: 3, default: '' },
  ],
  response: [
    { name: 'errorCode', type: 'int16' },
    {
      name: 'apiKeys',
      type: 'array',
      of: [
        { name: 'apiKey', type: 'int16' },
        { name: 'minVersion', type: 'int16' },
        { name: 'maxVersion', type: 'int16' },
      ],
    },
    { name: 'throttleTimeMs', type: 'int32', since: 1, default: 0 },
    {
      name: 'supportedFeatures',
      type: 'array',
      since: 3,
      tag: 0,
      of: [
        { name: 'name', type: 'string' },
        { name: 'minVersion', type: 'int16' },
        { name: 'maxVersion', type: 'int16' },
      ],
    },
    { name: 'finalizedFeaturesEpoch', type: 'int64', since: 3, tag: 1, default: -1 },
    {
      name: 'finalizedFeatures',
      type: 'array',
      since: 3,
      tag: 2,
      of: [
        { name: 'name', type: 'string' },
        { name: 'maxVersionLevel', type: 'int16' },
        { name: 'minVersionLevel', type: 'int16' },
      ],
    },
    { name: 'zkMigrationReady', type: 'bool', since: 3, tag: 3, default: false },
  ],
} as const satisfies MessagePair;
