/** How many persistent messages each second does a durable queue confirm? */

import { rabbitmqClassic, rabbitmqQuorum } from '../peers/rabbitmq.ts';
import type { Question, Target } from '../question.ts';

const targets: readonly Target[] = [
  { peer: rabbitmqClassic, atLeast: 5 },
  { peer: rabbitmqQuorum, atLeast: 8 },
];

export const question: Question = {
  name: 'amqp-confirm',
  title: 'AMQP publish with confirms, durable queue, persistent messages',
  measures: 'rate',
  rows: [
    {
      label: 'window 1 000, 128 B',
      load: { load: 'amqp-confirm', payloadBytes: 128, window: 1_000 },
      targets,
    },
    {
      label: '16 publishers of window 100, 128 B',
      load: { load: 'amqp-confirm', payloadBytes: 128, window: 100, publishers: 16 },
      targets,
    },
  ],
  peers: [rabbitmqClassic, rabbitmqQuorum],
};
