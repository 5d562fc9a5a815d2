/** How many records each second does one producer with acks=all get acknowledged? */

import { kafkaFlush, kafkaPageCache } from '../peers/apache-kafka.ts';
import type { Question, Row } from '../question.ts';

const row = (label: string, payloadBytes: number): Row => ({
  label,
  load: { load: 'kafka-produce', payloadBytes, window: 5, batch: 1_000 },
  targets: [{ peer: kafkaPageCache, atLeast: 1 }],
});

export const question: Question = {
  name: 'kafka-produce',
  title: 'Kafka produce, acks=all, batches of 1 000, five requests in flight',
  measures: 'rate',
  rows: [row('128 B', 128), row('1 KiB', 1_024)],
  peers: [kafkaPageCache, kafkaFlush],
};
