/**
 * The load process: runs one load against one port and prints its result as one JSON line. It
 * stands alone, so that its event loop, heap and CPU time are its own.
 */

import { amqpConfirm } from './amqp-confirm.ts';
import { amqpDrain, amqpFlow, amqpPaced, amqpThrough } from './amqp-consume.ts';
import { kafkaFetch } from './kafka-fetch.ts';
import { kafkaPaced } from './kafka-paced.ts';
import { kafkaProduce } from './kafka-produce.ts';
import { mqttConfirm, mqttFlow, mqttPaced, mqttStore, mqttThrough } from './mqtt.ts';
import { mqttConnect } from './mqtt-connect.ts';
import { mqttCrossing } from './mqtt-crossing.ts';
import { mqttMatch } from './mqtt-match.ts';
import { natsFlow, natsPaced, natsPublish, natsRequest } from './nats.ts';
import type { LoadName, LoadResult, LoadSpec } from './spec.ts';

const RUN: Record<LoadName, (spec: LoadSpec) => Promise<LoadResult>> = {
  'mqtt-flow': mqttFlow,
  'mqtt-confirm': mqttConfirm,
  'mqtt-through': mqttThrough,
  'mqtt-paced': mqttPaced,
  'mqtt-store': mqttStore,
  'mqtt-crossing': mqttCrossing,
  'mqtt-connect': mqttConnect,
  'mqtt-match': mqttMatch,
  'nats-flow': natsFlow,
  'nats-publish': natsPublish,
  'nats-paced': natsPaced,
  'nats-request': natsRequest,
  'kafka-produce': kafkaProduce,
  'kafka-fetch': kafkaFetch,
  'kafka-paced': kafkaPaced,
  'amqp-confirm': amqpConfirm,
  'amqp-flow': amqpFlow,
  'amqp-through': amqpThrough,
  'amqp-drain': amqpDrain,
  'amqp-paced': amqpPaced,
};

const spec = JSON.parse(process.argv[2] ?? '{}') as LoadSpec;
const result = await RUN[spec.load](spec);
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
