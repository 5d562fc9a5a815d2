/** How many messages each second pass from a publisher through a durable queue to a consumer? */

import { rabbitmqClassic } from '../peers/rabbitmq.ts';
import type { Question } from '../question.ts';

const targets = [{ peer: rabbitmqClassic, atLeast: 5 }];

export const question: Question = {
  name: 'amqp-through',
  title: 'AMQP publish to consume',
  measures: 'rate',
  rows: [
    {
      label: 'transient messages, automatic acknowledgement, 128 B',
      load: { load: 'amqp-flow', payloadBytes: 128, window: 0 },
      targets,
    },
    {
      label: 'persistent, confirms (window 1 000) and multiple acknowledgements, 128 B',
      load: { load: 'amqp-through', payloadBytes: 128, window: 1_000 },
      targets,
    },
  ],
  peers: [rabbitmqClassic],
};
