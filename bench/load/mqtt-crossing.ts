/**
 * From one protocol to another: MQTT QoS 1 publishers, one Kafka consumer of the topic of the same
 * name. A message is done when its publisher has the PUBACK and the consumer has the record.
 */

import { Client as KafkaClient, prepareTopic } from './kafka-client.ts';
import { PROBE_RECORDS } from './kafka-produce.ts';
import { fetchLoop } from './kafka-read.ts';
import { walkValues } from './kafka-records.ts';
import { Client, publishPacket } from './mqtt-client.ts';
import { numbered } from './payload.ts';
import { measure, Pump, Rounds, ringOf, settle } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';

const IDENTIFIERS = 60_000;

export async function mqttCrossing(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench-${spec.name}`;
  const consumer = await KafkaClient.open(spec.outPort);
  await prepareTopic(consumer, topic);
  const publishers: Client[] = [];
  for (let n = 0; n < spec.publishers; n++) {
    publishers.push(await Client.open(spec.port, `${spec.name}-pub-${n}`, true));
  }
  const frame = (i: number) => publishPacket(topic, numbered(i, spec.payloadBytes), i + 1);
  const outlet = new Rounds(publishers.map(({ wire }) => wire));
  const pump = new Pump(outlet, ringOf(IDENTIFIERS, frame), spec.window * spec.publishers);
  const seen = new Uint32Array(IDENTIFIERS);
  const arrivals = consume(consumer, topic, spec, seen);
  arrivals.onSome = () => {
    let acknowledged = 0;
    for (const { pubacks } of publishers) acknowledged += pubacks;
    pump.completed(Math.min(acknowledged, arrivals.count) - pump.done);
  };
  for (const publisher of publishers) publisher.onDrained = arrivals.onSome;
  const result = await measure(spec, pump);
  await settle(pump);
  if (spec.verify) compare(seen, pump.sent);
  await Promise.all(publishers.map((publisher) => publisher.leave()));
  await consumer.wire.close();
  const verified = `all of ${pump.sent} payloads, each once`;
  return spec.verify ? { ...result, verified } : result;
}

interface Arrivals {
  count: number;
  onSome: () => void;
}

function consume(
  consumer: KafkaClient,
  topic: string,
  spec: LoadSpec,
  seen: Uint32Array,
): Arrivals {
  const arrivals: Arrivals = { count: 0, onSome() {} };
  let position = PROBE_RECORDS;
  const value = (bytes: Buffer, start: number, end: number) => {
    arrivals.count++;
    if (!spec.verify) return;
    const number = bytes.readUInt32BE(start);
    if (bytes.compare(numbered(number, spec.payloadBytes), 0, undefined, start, end) !== 0) {
      throw new Error(`payload ${number} differs from what was published`);
    }
    seen[number]!++;
  };
  const next = fetchLoop(consumer, topic, (bytes, from, end) => {
    position = walkValues(bytes, from, end, position, value);
    next(position);
    arrivals.onSome();
  });
  next(position);
  return arrivals;
}

/** Each number of the ring must have come as often as it was sent. */
function compare(seen: Uint32Array, sent: number): void {
  for (let number = 0; number < IDENTIFIERS; number++) {
    const expected = Math.floor(sent / IDENTIFIERS) + (number < sent % IDENTIFIERS ? 1 : 0);
    if (seen[number] === expected) continue;
    throw new Error(`payload ${number} came ${seen[number]} times of ${expected}`);
  }
}
