/** How many messages each second does one consumer take out of a backlog of a million? */

import { rabbitmqClassic, rabbitmqQuorum } from '../peers/rabbitmq.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'amqp-drain',
  title: 'AMQP drain of a backlog of 1 million persistent messages, multiple acknowledgements',
  measures: 'rate',
  backlog: 'share',
  rows: [
    {
      label: '128 B',
      load: { load: 'amqp-drain', payloadBytes: 128, window: 0, records: 1_000_000 },
      targets: [{ peer: rabbitmqQuorum, atLeast: 4 }],
    },
  ],
  peers: [rabbitmqClassic, rabbitmqQuorum],
};
