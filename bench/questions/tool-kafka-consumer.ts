/** What does kafka-consumer-perf-test say? */

import { kafkaPageCache } from '../peers/apache-kafka.ts';
import type { Question } from '../question.ts';
import { consumerPerf } from '../tools/kafka-perf.ts';

export const question: Question = {
  name: 'tool-kafka-consumer',
  title: 'kafka-consumer-perf-test, from the start',
  measures: 'rate',
  group: 'tools',
  rows: [
    {
      label: '128 B',
      load: { load: 'kafka-fetch', payloadBytes: 128, window: 0 },
      tool: consumerPerf,
    },
  ],
  peers: [kafkaPageCache],
};
