/** How long is an AMQP message on its way at a fixed rate? */

import { rabbitmqClassic } from '../peers/rabbitmq.ts';
import type { Question, Row, Target } from '../question.ts';

const targets: readonly Target[] = [
  { peer: rabbitmqClassic, atLeast: 1, of: 'p50' },
  { peer: rabbitmqClassic, atLeast: 1, of: 'p99' },
  { peer: rabbitmqClassic, atLeast: 1, of: 'p999' },
];

const row = (label: string, perSecond: number): Row => ({
  label,
  load: { load: 'amqp-paced', payloadBytes: 128, window: 0, perSecond },
  targets,
});

export const question: Question = {
  name: 'amqp-latency',
  title: 'AMQP, transient messages, automatic acknowledgement at a fixed rate, due to arrived',
  measures: 'latency',
  rows: [row('10 000/s, 128 B', 10_000), row('50 000/s, 128 B', 50_000)],
  peers: [rabbitmqClassic],
};
