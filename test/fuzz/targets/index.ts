/** Every target, in the order in which a run takes them. */
import type { Target } from '../target.ts';
import { amqpFrames } from './amqp-frames.ts';
import { configuration } from './configuration.ts';
import { kafkaRequests } from './kafka-requests.ts';
import { mqttPackets } from './mqtt-packets.ts';
import { natsFrames } from './nats-frames.ts';
import { proxyHeader } from './proxy-header.ts';
import { recordBatches } from './record-batches.ts';
import { recovery } from './recovery.ts';
import { sessions } from './sessions.ts';
import { webRequests } from './web-requests.ts';

export const TARGETS: readonly Target[] = [
  mqttPackets,
  kafkaRequests,
  natsFrames,
  amqpFrames,
  recordBatches,
  proxyHeader,
  webRequests,
  configuration,
  recovery,
  ...sessions,
];
