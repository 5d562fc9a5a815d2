/** How many persistent messages each second does a durable queue confirm to one publisher? */

import { rabbitmqClassic, rabbitmqQuorum } from '../peers/rabbitmq.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'amqp-confirm',
  title: 'AMQP publish with confirms, durable queue, persistent, window 1 000',
  measures: 'rate',
  rows: [{ label: '128 B', load: { load: 'amqp-confirm', payloadBytes: 128, window: 1_000 } }],
  peers: [rabbitmqClassic, rabbitmqQuorum],
  quorumByPeer: true,
};
