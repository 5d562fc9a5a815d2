/**
 * Kafka at a fixed rate: the time from when a record was due at the producer to when a waiting
 * consumer has it. What is due together goes as one batch, as a producer without linger sends it.
 */

import {
  Client,
  deleteTopic,
  errorInProduce,
  prepareTopic,
  produceRequest,
  recordBatch,
} from './kafka-client.ts';
import { PROBE_RECORDS } from './kafka-produce.ts';
import { fetchLoop } from './kafka-read.ts';
import { walkValues } from './kafka-records.ts';
import { Pace } from './pace.ts';
import type { LoadResult, LoadSpec } from './spec.ts';

export async function kafkaPaced(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench-${spec.name}`;
  const producer = await Client.open(spec.port);
  await prepareTopic(producer, topic);
  const errorAt = errorInProduce(topic);
  producer.onAnswer = (bytes, start) => {
    const error = bytes.readInt16BE(start + errorAt);
    if (error !== 0) throw new Error(`Produce answered error ${error}`);
  };
  const pace = new Pace(spec, (count, dueMs) => {
    const value = Buffer.alloc(spec.payloadBytes);
    value.writeDoubleBE(dueMs);
    producer.wire.send(
      produceRequest(
        topic,
        recordBatch(count, () => value),
      ),
    );
  });

  const consumer = await Client.open(spec.port);
  let position = PROBE_RECORDS;
  const arrived = (bytes: Buffer, start: number) => pace.arrived(bytes, start);
  const next = fetchLoop(consumer, topic, (bytes, from, end) => {
    position = walkValues(bytes, from, end, position, arrived);
    next(position);
  });
  next(position);
  const result = await pace.run();
  await Promise.all([producer.wire.close(), consumer.wire.close()]);
  await deleteTopic(spec.port, topic);
  return result;
}
