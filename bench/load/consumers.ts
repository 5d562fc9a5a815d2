/** Consumers of one stream through any protocol, for costs that do not measure a rate. */

import { Client as AmqpClient } from './amqp-client.ts';
import { Client as KafkaClient } from './kafka-client.ts';
import { fetchLoop } from './kafka-read.ts';
import { walkValues } from './kafka-records.ts';
import { acknowledge } from './mqtt.ts';
import { Client as MqttClient } from './mqtt-client.ts';
import { subscribed } from './nats-client.ts';
import type { WireName } from './spec.ts';

export interface Consumer {
  received: number;
  close(): Promise<void>;
}

const PREFETCH = 1_000;

type Open = (port: number, stream: string, number: number) => Promise<Consumer>;

export const CONSUME: Record<WireName, Open> = { mqtt, kafka, nats, amqp };

/** A durable session that acknowledges each QoS 1 delivery. */
async function mqtt(port: number, stream: string, number: number): Promise<Consumer> {
  const client = await MqttClient.open(port, `consumer-${number}`, false);
  const consumer = { received: 0, close: () => client.leave() };
  acknowledge(client, (messages) => {
    consumer.received += messages;
  });
  await client.subscribe(stream, 1);
  return consumer;
}

/** Reads from the start. */
async function kafka(port: number, stream: string): Promise<Consumer> {
  const client = await KafkaClient.open(port);
  const consumer = { received: 0, close: () => client.wire.close() };
  let position = 0;
  const count = () => {
    consumer.received++;
  };
  const next = fetchLoop(client, stream, (bytes, from, end) => {
    position = walkValues(bytes, from, end, position, count);
    next(position);
  });
  next(0);
  return consumer;
}

async function nats(port: number, stream: string): Promise<Consumer> {
  const client = await subscribed(port, stream);
  const consumer = { received: 0, close: () => client.wire.close() };
  client.onPayload = () => {
    consumer.received++;
  };
  return consumer;
}

/** Consumers of the queue share its messages. */
async function amqp(port: number, stream: string): Promise<Consumer> {
  const client = await AmqpClient.open(port);
  const consumer = { received: 0, close: () => client.wire.close() };
  client.onRead = () => {
    const { delivered } = client;
    client.delivered = 0;
    consumer.received += delivered;
    if (delivered > 0) client.acknowledge();
  };
  await client.declare(stream, '');
  await client.consume(stream, PREFETCH);
  return consumer;
}
