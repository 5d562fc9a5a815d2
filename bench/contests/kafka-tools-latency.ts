/** What does kafka-e2e-latency say? */

import type { Contest, Measured } from '../contest.ts';
import { deleteTopic } from '../load/kafka-client.ts';
import { createTopic } from '../load/kafka-topics.ts';
import { WITH_AND_WITHOUT } from '../peers/kafka-settings.ts';
import { endToEndLatency } from '../tools/kafka-perf.ts';

const RECORDS = 3_000;

export const contest: Contest = {
  name: 'kafka-tools-latency',
  title: 'kafka-e2e-latency, acks=all, one record of 128 B at a time',
  explained:
    'From before a record is sent until the same program has received it. The tool knows ' +
    'percentiles in whole milliseconds only.',
  group: 'tools',
  wire: 'kafka',
  staysUp: true,
  pairs: WITH_AND_WITHOUT,

  async measure({ side, name, share, start }): Promise<Measured[]> {
    const { port } = await start();
    await createTopic(port, { topic: name, partitions: 1, configs: side.topicConfigs ?? {} });
    const records = Math.max(100, Math.round(RECORDS * share));
    const { averageUs, p99Ms, p999Ms } = await endToEndLatency({ port, topic: name, records });
    await deleteTopic(port, name);
    return [
      { what: 'average', value: averageUs, unit: 'us' },
      { what: 'p99', value: p99Ms, unit: 'ms' },
      { what: 'p99.9', value: p999Ms, unit: 'ms' },
    ];
  },
};
