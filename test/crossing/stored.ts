/** Everything that a stream holds, read with Kafka from its start to its end. */
import { Kafka, logLevel } from 'kafkajs';
import { deadline } from '../clients/program.ts';
import type { Server } from '../clients/server.ts';

const READ_TIMEOUT_MS = 120_000;

export async function readStored(server: Server, topic: string, group: string): Promise<string[]> {
  const brokers = [server.address('kafka')];
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 5 } });
  const admin = kafka.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const end = Number(ends[0]?.high ?? 0);
  if (end === 0) return [];
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100 });
  await consumer.connect();
  const bodies: string[] = [];
  const { promise: complete, resolve } = Promise.withResolvers<void>();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages) bodies.push(String(value));
      if (Number(batch.lastOffset()) >= end - 1) resolve();
    },
  });
  const sentence = () => `${topic}: only ${bodies.length} of ${end} records could be read`;
  await deadline(complete, READ_TIMEOUT_MS, sentence);
  await consumer.disconnect();
  return bodies;
}
