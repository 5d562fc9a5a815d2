/** Does a publisher notice over how many streams its messages spread? */

import type { Curve } from '../curve.ts';
import { createTopics } from '../load/kafka-client.ts';
import { Client, publishPacket } from '../load/mqtt-client.ts';
import { numbered } from '../load/payload.ts';
import { Pump, ringOf, stored } from '../load/pump.ts';
import { startOurs } from '../peers/ours.ts';
import { upTo } from './measure.ts';

const PAYLOAD_BYTES = 128;
const MESSAGES = 100_000;
const WINDOW = 1_000;
/** Packet identifiers end at 65 535: of more streams, the first ones get the messages. */
const RING = 60_000;
const DIGITS = 6;

export const curve: Curve = {
  name: 'curve-streams',
  title: 'MQTT QoS 1 publishes spread over streams, window 1 000',
  x: 'streams',
  y: 'messages/s',
  explained:
    'Falls while a commit holds ever fewer messages of each stream: messages of one stream in one ' +
    'commit share a batch, and from 1 000 streams on (the window) each message is a batch of its own.',

  async measure(share) {
    const running = await startOurs('mqtt');
    const points: [number, number][] = [];
    let made = 0;
    for (const count of upTo([1, 10, 100, 1_000, 10_000, 100_000], share)) {
      const names = Array.from({ length: count - made }, (_, n) => nameOf(made + n));
      await createTopics(running.kafkaPort, names);
      made = count;
      points.push([count, await spread(running.port, count)]);
    }
    await running.stop();
    return [{ label: 'ours', points }];
  },
};

const nameOf = (n: number): string => `s${String(n).padStart(DIGITS, '0')}`;

async function spread(port: number, streams: number): Promise<number> {
  const client = await Client.open(port, 'spread', true);
  const frame = (i: number) =>
    publishPacket(nameOf(i % streams), numbered(i, PAYLOAD_BYTES), i + 1);
  const pump = new Pump(client.wire, ringOf(RING, frame), WINDOW);
  client.onDrained = () => {
    const { pubacks } = client;
    client.pubacks = 0;
    if (pubacks > 0) pump.completed(pubacks);
  };
  const started = performance.now();
  pump.start(MESSAGES);
  await stored(pump, MESSAGES);
  const seconds = (performance.now() - started) / 1000;
  await client.leave();
  return MESSAGES / seconds;
}
