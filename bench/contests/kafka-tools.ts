/** What do Kafka's own perf tools say about produce and consume, over ever more partitions? */

import type { Contest, Measured } from '../contest.ts';
import { number } from '../lines.ts';
import { deleteTopic } from '../load/kafka-client.ts';
import { createTopic } from '../load/kafka-topics.ts';
import { WITH_AND_WITHOUT } from '../peers/kafka-settings.ts';
import { consumerPerf, producerPerf } from '../tools/kafka-perf.ts';

const RECORDS = 400_000;
const KIB = 1_024;

function withTools(partitions: number, batchBytes: number, name: string): Contest {
  const [of, batches] = [number(partitions), `${batchBytes / KIB} KiB`];
  return {
    name,
    title: `kafka-producer-perf-test and kafka-consumer-perf-test, partitions: ${of}, ${batches}`,
    explained:
      `400 000 records of 128 B, acks=all, batch.size ${batches}, one producer, then one ` +
      'consumer from the start. All servers stay up, so they are warm; the tools start anew.',
    group: 'tools',
    wire: 'kafka',
    staysUp: true,
    pairs: WITH_AND_WITHOUT,

    async measure({ side, name: turn, share, start }): Promise<Measured[]> {
      const { port } = await start();
      const topic = { topic: turn, partitions, configs: side.topicConfigs ?? {} };
      await createTopic(port, topic);
      const run = { port, topic: turn, records: Math.round(RECORDS * share) };
      const produced = await producerPerf({ ...run, batchBytes });
      const consumed = await consumerPerf(run);
      await deleteTopic(port, turn);
      return [
        { what: 'produce', value: produced, unit: '/s' },
        { what: 'consume', value: consumed, unit: '/s' },
      ];
    },
  };
}

export const kafkaTools: readonly Contest[] = [
  withTools(1, 64 * KIB, 'kafka-tools-1'),
  withTools(100, 64 * KIB, 'kafka-tools-100'),
  withTools(1_000, 64 * KIB, 'kafka-tools-1000'),
  withTools(1, 16 * KIB, 'kafka-tools-16k'),
];
