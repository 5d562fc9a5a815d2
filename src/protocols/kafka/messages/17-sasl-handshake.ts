/** SaslHandshake (key 17). After version 0 the tokens follow without Kafka headers (KIP-43). */
import type { MessagePair } from '../rows.ts';

export const saslHandshake = {
  key: 17,
  name: 'SaslHandshake',
  versions: [0, 1],
  flexible: 0x7fff,
  request: [{ name: 'mechanism', type: 'string' }],
  response: [
    { name: 'errorCode', type: 'int16' },
    { name: 'mechanisms', type: 'array', of: 'string' },
  ],
} as const satisfies MessagePair;
