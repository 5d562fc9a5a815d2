/** How many records each second does one consumer read from the start of a partition? */

import { kafkaPageCache } from '../peers/apache-kafka.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'kafka-fetch',
  title: 'Kafka fetch of a partition from its start',
  measures: 'rate',
  rows: [
    {
      label: '128 B',
      load: {
        load: 'kafka-fetch',
        payloadBytes: 128,
        window: 5,
        batch: 1_000,
        records: 4_000_000,
      },
    },
  ],
  peers: [kafkaPageCache],
};
