/** How many records each second does one consumer read from the start of a partition? */

import { kafkaPageCache } from '../peers/apache-kafka.ts';
import type { Question } from '../question.ts';

const RECORDS = 10_000_000;

export const question: Question = {
  name: 'kafka-fetch',
  title: 'Kafka fetch of a partition of 10 million records from its start',
  measures: 'rate',
  backlog: 'whole',
  rows: [
    {
      label: '128 B',
      load: { load: 'kafka-fetch', payloadBytes: 128, window: 5, batch: 1_000, records: RECORDS },
      targets: [{ peer: kafkaPageCache, atLeast: 0.6 }],
    },
  ],
  peers: [kafkaPageCache],
};
