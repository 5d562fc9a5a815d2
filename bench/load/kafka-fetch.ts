/** One Kafka consumer beside a stored backlog: how fast it reads from the start. */

import { Client, prepareTopic } from './kafka-client.ts';
import { batchOf, PROBE_RECORDS, producePump } from './kafka-produce.ts';
import { readAll } from './kafka-read.ts';
import { announce, resultOf, stored } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';

export async function kafkaFetch(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench-${spec.name}`;
  const batch = batchOf(spec);
  if (spec.fill) await fill(spec, topic, batch);
  const records = PROBE_RECORDS + Math.ceil(spec.take / spec.batch) * spec.batch;
  announce('begin');
  const cpu = process.cpuUsage();
  const { seconds } = await readAll(spec.port, topic, records, spec.verify ? batch : undefined);
  const used = process.cpuUsage(cpu);
  announce('end');
  const result = resultOf(spec, records, seconds, (used.user + used.system) / 1e6 / seconds, 0);
  return spec.verify
    ? { ...result, verified: 'offsets dense, batch bodies byte for byte' }
    : result;
}

async function fill(spec: LoadSpec, topic: string, batch: Buffer): Promise<void> {
  const client = await Client.open(spec.port);
  await prepareTopic(client, topic);
  const pump = producePump(client, spec, topic, batch);
  const batches = Math.ceil(spec.records / spec.batch);
  pump.start(batches);
  await stored(pump, batches);
  await client.wire.close();
}
