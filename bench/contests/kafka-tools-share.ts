/** What does kafka-share-consumer-perf-test say? */

import type { Contest, Measured } from '../contest.ts';
import { deleteTopic } from '../load/kafka-client.ts';
import { createTopic, setGroupConfig } from '../load/kafka-topics.ts';
import { kafkaPageCache } from '../peers/apache-kafka.ts';
import { ours } from '../peers/ours.ts';
import { producerPerf, sharePerf } from '../tools/kafka-perf.ts';

const RECORDS = 300_000;
const BATCH_BYTES = 65_536;

export const contest: Contest = {
  name: 'kafka-tools-share',
  title: 'kafka-share-consumer-perf-test, one member of a share group, one partition',
  explained:
    '300 000 records of 128 B, from the start, each acknowledged by the next poll. At most ' +
    '2 000 records of a partition may be in hand on both sides; joining the group is in the figure.',
  group: 'tools',
  wire: 'kafka',
  staysUp: true,
  pairs: [[ours, kafkaPageCache]],

  async measure({ name, share, start }): Promise<Measured[]> {
    const { port } = await start();
    await createTopic(port, { topic: name, partitions: 1 });
    const run = { port, topic: name, records: Math.round(RECORDS * share) };
    await producerPerf({ ...run, batchBytes: BATCH_BYTES });
    const group = `${name}-group`;
    await setGroupConfig(port, group, 'share.auto.offset.reset', 'earliest');
    const value = await sharePerf(run, group);
    await deleteTopic(port, name);
    return [{ what: 'consume', value, unit: '/s' }];
  },
};
