/** All questions in the order in which they are asked. */

import type { Question } from '../question.ts';
import { question as amqpConfirm } from './amqp-confirm.ts';
import { question as kafkaFetch } from './kafka-fetch.ts';
import { question as kafkaProduce } from './kafka-produce.ts';
import { question as mqttQos0 } from './mqtt-qos0.ts';
import { question as mqttQos1 } from './mqtt-qos1.ts';
import { question as mqttQos1Latency } from './mqtt-qos1-latency.ts';
import { question as nats1to1 } from './nats-1to1.ts';
import { question as natsPub } from './nats-pub.ts';

export const questions: readonly Question[] = [
  mqttQos0,
  mqttQos1,
  mqttQos1Latency,
  kafkaProduce,
  kafkaFetch,
  nats1to1,
  natsPub,
  amqpConfirm,
];
