/** What does kafka-producer-perf-test say? */

import { kafkaPageCache } from '../peers/apache-kafka.ts';
import type { Question } from '../question.ts';
import { producerPerf } from '../tools/kafka-perf.ts';

export const question: Question = {
  name: 'tool-kafka-producer',
  title: 'kafka-producer-perf-test, acks=all, batches of 64 KiB',
  measures: 'rate',
  group: 'tools',
  rows: [
    {
      label: '128 B',
      load: { load: 'kafka-produce', payloadBytes: 128, window: 0 },
      tool: producerPerf,
    },
  ],
  peers: [kafkaPageCache],
};
