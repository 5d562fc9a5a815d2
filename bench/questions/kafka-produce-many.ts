/** How many records each second do sixteen producers get acknowledged, in small requests? */

import { kafkaFlush, kafkaPageCache } from '../peers/apache-kafka.ts';
import type { Question } from '../question.ts';

const PRODUCERS = { load: 'kafka-produce', payloadBytes: 128, window: 5, publishers: 16 } as const;

export const question: Question = {
  name: 'kafka-produce-many',
  title: 'Kafka produce, acks=all, 16 producers with five requests in flight each',
  measures: 'rate',
  rows: [
    {
      label: 'batches of 100, 128 B',
      load: { ...PRODUCERS, batch: 100 },
      targets: [
        { peer: kafkaPageCache, atLeast: 0.8 },
        { peer: kafkaFlush, atLeast: 5 },
      ],
    },
    {
      label: 'single-record requests, 128 B',
      load: { ...PRODUCERS, batch: 1 },
      targets: [
        { peer: kafkaPageCache, atLeast: 3 },
        { peer: kafkaFlush, atLeast: 20 },
      ],
    },
  ],
  peers: [kafkaPageCache, kafkaFlush],
};
