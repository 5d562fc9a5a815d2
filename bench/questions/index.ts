/** All questions in the order in which they are asked. */

import type { Question } from '../question.ts';
import { question as amqpConfirm } from './amqp-confirm.ts';
import { question as amqpDrain } from './amqp-drain.ts';
import { question as amqpLatency } from './amqp-latency.ts';
import { question as amqpThrough } from './amqp-through.ts';
import { question as crossing } from './crossing.ts';
import { question as kafkaFetch } from './kafka-fetch.ts';
import { question as kafkaLatency } from './kafka-latency.ts';
import { question as kafkaProduce } from './kafka-produce.ts';
import { question as kafkaProduceMany } from './kafka-produce-many.ts';
import { question as mqttFanOut } from './mqtt-fan-out.ts';
import { question as mqttLatency } from './mqtt-latency.ts';
import { question as mqttQos0 } from './mqtt-qos0.ts';
import { question as mqttQos1 } from './mqtt-qos1.ts';
import { question as mqttQos1Latency } from './mqtt-qos1-latency.ts';
import { question as mqttThrough } from './mqtt-through.ts';
import { question as nats1to1 } from './nats-1to1.ts';
import { question as natsFanOut } from './nats-fan-out.ts';
import { question as natsLatency } from './nats-latency.ts';
import { question as natsPub } from './nats-pub.ts';
import { question as natsRequest } from './nats-request.ts';
import { question as toolNatsBench } from './tool-nats-bench.ts';
import { question as toolPerfTest } from './tool-perf-test.ts';

export const questions: readonly Question[] = [
  mqttQos0,
  mqttFanOut,
  mqttLatency,
  mqttQos1,
  mqttQos1Latency,
  mqttThrough,
  kafkaProduce,
  kafkaProduceMany,
  kafkaFetch,
  kafkaLatency,
  nats1to1,
  natsPub,
  natsFanOut,
  natsRequest,
  natsLatency,
  amqpConfirm,
  amqpThrough,
  amqpDrain,
  amqpLatency,
  crossing,
  toolPerfTest,
  toolNatsBench,
];
