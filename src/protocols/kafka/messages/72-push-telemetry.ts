/** PushTelemetry (key 72, KIP-714): metrics of a client, as OTLP in protobuf. */
import type { MessagePair } from '../rows.ts';

export const pushTelemetry = {
  key: 72,
  name: 'PushTelemetry',
  versions: [0, 0],
  flexible: 0,
  request: [
    { name: 'clientInstanceId', type: 'uuid' },
    { name: 'subscriptionId', type: 'int32' },
    { name: 'terminating', type: 'bool' },
    { name: 'compressionType', type: 'int8' },
    { name: 'metrics', type: 'bytes' },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16', default: 0 },
  ],
} as const satisfies MessagePair;
