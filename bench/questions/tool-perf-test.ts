/** What does RabbitMQ PerfTest say? */

import { rabbitmqClassic } from '../peers/rabbitmq.ts';
import type { Question } from '../question.ts';
import { perfTest } from '../tools/rabbitmq-perf-test.ts';

export const question: Question = {
  name: 'tool-perf-test',
  title: 'RabbitMQ PerfTest, persistent, confirms (1 000), prefetch 1 000',
  measures: 'rate',
  group: 'tools',
  rows: [
    {
      label: '128 B',
      load: { load: 'amqp-through', payloadBytes: 128, window: 0 },
      tool: perfTest,
    },
  ],
  peers: [rabbitmqClassic],
};
