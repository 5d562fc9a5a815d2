/** GetTelemetrySubscriptions (key 71, KIP-714): which metrics of a client the server wants. */
import { type MessagePair, ZERO_UUID } from '../rows.ts';

export const getTelemetrySubscriptions = {
  key: 71,
  name: 'GetTelemetrySubscriptions',
  versions: [0, 0],
  flexible: 0,
  request: [{ name: 'clientInstanceId', type: 'uuid' }],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16' },
    { name: 'clientInstanceId', type: 'uuid', default: ZERO_UUID },
    { name: 'subscriptionId', type: 'int32', default: 0 },
    { name: 'acceptedCompressionTypes', type: 'array', of: 'int8' },
    { name: 'pushIntervalMs', type: 'int32', default: 0 },
    { name: 'telemetryMaxBytes', type: 'int32', default: 0 },
    { name: 'deltaTemporality', type: 'bool', default: false },
    { name: 'requestedMetrics', type: 'array', of: 'string' },
  ],
} as const satisfies MessagePair;
