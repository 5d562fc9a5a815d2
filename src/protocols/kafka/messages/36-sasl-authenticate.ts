/** SaslAuthenticate (key 36). */
import type { MessagePair } from '../rows.ts';

export const saslAuthenticate = {
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 2],
  flexible: 2,
  request: [{ name: 'authBytes', type: 'bytes' }],
  response: [
    { name: 'errorCode', type: 'int16' },
    { name: 'errorMessage', type: 'string', nullable: 0 },
    { name: 'authBytes', type: 'bytes' },
    { name: 'sessionLifetimeMs', type: 'int64', since: 1, default: 0 },
  ],
} as const satisfies MessagePair;
