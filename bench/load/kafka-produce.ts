/**
 * Kafka producers with batches encoded once: acks=all, five requests in flight as the Java client
 * has, all to the one partition of one topic.
 */

import {
  Client,
  deleteTopic,
  errorInProduce,
  prepareTopic,
  produceRequest,
  recordBatch,
} from './kafka-client.ts';
import { readAll } from './kafka-read.ts';
import { numbered } from './payload.ts';
import { Flows, measure, Pump, ringOf, settle } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';

/** What `prepareTopic` left there before the first batch. */
export const PROBE_RECORDS = 1;

export function batchOf(spec: LoadSpec): Buffer {
  return recordBatch(spec.batch, (i) => numbered(i, spec.payloadBytes));
}

export function producePump(client: Client, spec: LoadSpec, topic: string, batch: Buffer): Pump {
  const ring = ringOf(Math.max(2, spec.window), (i) => {
    const message = produceRequest(topic, batch);
    message.writeInt32BE(i, 8);
    return message;
  });
  const pump = new Pump(client.wire, ring, spec.window);
  const errorAt = errorInProduce(topic);
  client.answers = 0;
  client.onAnswer = (bytes, start) => {
    const error = bytes.readInt16BE(start + errorAt);
    if (error !== 0) throw new Error(`Produce answered error ${error}`);
  };
  client.onRead = () => {
    const answers = client.answers;
    client.answers = 0;
    if (answers > 0) pump.completed(answers);
  };
  return pump;
}

export async function kafkaProduce(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench-${spec.name}`;
  const clients: Client[] = [];
  for (let n = 0; n < spec.publishers; n++) clients.push(await Client.open(spec.port));
  await prepareTopic(clients[0]!, topic);
  const batch = batchOf(spec);
  const flows = new Flows(clients.map((client) => producePump(client, spec, topic, batch)));
  const result = await measure(spec, flows, spec.batch);
  await settle(flows);
  await Promise.all(clients.map((client) => client.wire.close()));
  const verified = spec.audit ? await audit(spec, topic, batch, flows.done) : undefined;
  await deleteTopic(spec.port, topic);
  return verified === undefined ? result : { ...result, verified };
}

async function audit(
  spec: LoadSpec,
  topic: string,
  batch: Buffer,
  requests: number,
): Promise<string> {
  const least = PROBE_RECORDS + requests * spec.batch;
  const read = await readAll(spec.port, topic, least, batch);
  return `read back all of ${read.records} acknowledged records, byte for byte`;
}
