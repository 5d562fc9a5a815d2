/** How long does a start with ten thousand partitions take? */

import type { Contest, Measured } from '../contest.ts';
import { Client } from '../load/kafka-client.ts';
import { createTopic, type NewTopic, untilReady } from '../load/kafka-topics.ts';
import {
  type KafkaFolder,
  kafkaPageCache,
  launchKafka,
  prepareKafka,
} from '../peers/apache-kafka.ts';
import { ours, startOurs } from '../peers/ours.ts';
import { freshFolder, type Running } from '../peers/peer.ts';

const TOPICS = 10;
const PARTITIONS = 10_000;
const NAME = 'kafka-start';
const STOP_PATIENCE_MS = 60_000;

/** A start on what an earlier one left. */
type Again = () => Promise<Running>;

const folders = new Map<string, Again>();

async function prepared(name: string): Promise<Again> {
  if (name === ours.name) {
    const folder = freshFolder(`${NAME}-ours`);
    return () => startOurs('kafka', { folder });
  }
  const folder: KafkaFolder = await prepareKafka(NAME, []);
  return () => launchKafka(folder);
}

export const contest: Contest = {
  name: NAME,
  title: 'Start with 10 topics of 1 000 partitions each',
  explained:
    'After a clean stop. From the start of the process until one ListOffsets request for all 10 000 ' +
    'partitions is answered without an error. They are empty.',
  wire: 'kafka',
  pairs: [[ours, kafkaPageCache]],

  async measure({ side, share }): Promise<Measured[]> {
    const topics = Array.from({ length: TOPICS }, (_, n): NewTopic => {
      return { topic: `${NAME}-${n}`, partitions: Math.round((PARTITIONS * share) / TOPICS) };
    });
    let again = folders.get(side.name);
    if (again === undefined) {
      again = await prepared(side.name);
      folders.set(side.name, again);
      await create(await again(), topics);
    }
    const started = performance.now();
    const running = await again();
    const client = await Client.open(running.port);
    await untilReady(client, topics);
    const readyMs = performance.now() - started;
    await client.wire.close();
    const cpuSeconds = running.process.cpuSeconds();
    const resident = running.process.residentBytes();
    await running.stop('SIGTERM', STOP_PATIENCE_MS);
    return [
      { what: 'until all partitions answer', value: readyMs, unit: 'ms' },
      { what: 'CPU until then', value: 1_000 * cpuSeconds, unit: 'ms' },
      { what: 'resident then', value: resident / 1e6, unit: 'MB' },
    ];
  },
};

async function create(running: Running, topics: readonly NewTopic[]): Promise<void> {
  for (const topic of topics) await createTopic(running.port, topic);
  await running.stop('SIGTERM', STOP_PATIENCE_MS);
}
