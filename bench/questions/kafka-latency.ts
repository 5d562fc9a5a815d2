/** How long does a record take from a producer to a waiting consumer? */

import { kafkaPageCache } from '../peers/apache-kafka.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'kafka-latency',
  title: 'Kafka produce to consume at a fixed rate, acks=all, due to arrived',
  measures: 'latency',
  rows: [
    {
      label: '10 000/s, 128 B',
      load: { load: 'kafka-paced', payloadBytes: 128, window: 0, perSecond: 10_000 },
      targets: [
        { peer: kafkaPageCache, atLeast: 2, of: 'p50' },
        { peer: kafkaPageCache, atLeast: 2, of: 'p99' },
      ],
    },
  ],
  peers: [kafkaPageCache],
};
