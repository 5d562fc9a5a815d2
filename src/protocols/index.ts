/** The protocols of the server: one line each. Nothing else registers a protocol. */
import type { Protocol } from '#contract';
import { amqp } from '#protocols/amqp';
import { kafka } from '#protocols/kafka';
import { mqtt } from '#protocols/mqtt';
import { nats } from '#protocols/nats';

export const protocols: readonly Protocol[] = [mqtt, kafka, nats, amqp];
