/** DescribeConfigs (key 32). */
import type { MessagePair } from '../rows.ts';

export const describeConfigs = {
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexible: 4,
  request: [
    {
      name: 'resources',
      type: 'array',
      of: [
        { name: 'resourceType', type: 'int8' },
        { name: 'resourceName', type: 'string' },
        { name: 'configurationKeys', type: 'array', nullable: 0, of: 'string' },
      ],
    },
    { name: 'includeSynonyms', type: 'bool', since: 1, default: false },
    { name: 'includeDocumentation', type: 'bool', since: 3, default: false },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    {
      name: 'results',
      type: 'array',
      of: [
        { name: 'errorCode', type: 'int16' },
        { name: 'errorMessage', type: 'string', nullable: 0 },
        { name: 'resourceType', type: 'int8' },
        { name: 'resourceName', type: 'string' },
        {
          name: 'configs',
          type: 'array',
          of: [
            { name: 'name', type: 'string' },
            { name: 'value', type: 'string', nullable: 0 },
            { name: 'readOnly', type: 'bool' },
            { name: 'configSource', type: 'int8', since: 1, default: -1 },
            { name: 'isSensitive', type: 'bool' },
            {
              name: 'synonyms',
              type: 'array',
              since: 1,
              of: [
                { name: 'name', type: 'string' },
                { name: 'value', type: 'string', nullable: 0 },
                { name: 'source', type: 'int8' },
              ],
            },
            { name: 'configType', type: 'int8', since: 3, default: 0 },
            { name: 'documentation', type: 'string', since: 3, nullable: 0, default: null },
          ],
        },
      ],
    },
  ],
} as const satisfies MessagePair;
