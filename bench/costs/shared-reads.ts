/** Does one stream that four protocols read at once cost more storage traffic than one reader? */

import type { Cost } from '../cost.ts';
import { runLoad } from '../load/child.ts';
import { CONSUME, type Consumer } from '../load/consumers.ts';
import { createTopics } from '../load/kafka-client.ts';
import { PLAIN, type WireName } from '../load/spec.ts';
import { type RunningOurs, startOurs } from '../peers/ours.ts';

const MESSAGES = 1_000_000;
const PAYLOAD_BYTES = 128;
const TRAFFIC_MAX = 1.5;
const LOOK_MS = 100;
const NAMES: Record<WireName, string> = {
  ...{ kafka: 'bench', amqp: 'bench', mqtt: 'bench/shared', nats: 'bench.shared' },
};

export const cost: Cost = {
  name: 'shared-reads',
  title: 'Storage traffic of one stream that is written and read by four protocols at once',

  async measure(share) {
    const records = Math.round(MESSAGES * share);
    const one = await trafficOf(['kafka'], records);
    const four = await trafficOf(['kafka', 'mqtt', 'amqp', 'nats'], records);
    return [
      { what: 'one reader', value: one / records, unit: 'bytes' },
      { what: 'four readers', value: four / records, unit: 'bytes' },
      { what: 'four over one', value: four / one, unit: 'x', atMost: TRAFFIC_MAX },
    ];
  },
};

/** Bytes that the server reads and writes in files while readers follow a publisher to its end. */
async function trafficOf(wires: readonly WireName[], records: number): Promise<number> {
  const running = await startOurs('mqtt');
  await createTopics(running.kafkaPort, ['bench']);
  const readers: Consumer[] = [];
  for (const wire of wires) {
    readers.push(await CONSUME[wire](running.ports[wire], NAMES[wire], 0));
  }
  const before = storageBytes(running);
  const spec = { load: 'mqtt-store', port: running.port, payloadBytes: PAYLOAD_BYTES } as const;
  const plain = { ...PLAIN, window: 1_000, warmMs: 0, runMs: 0 };
  await runLoad({ ...plain, ...spec, records, name: 'shared' });
  while (readers.some(({ received }) => received < records)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const traffic = storageBytes(running) - before;
  await Promise.all(readers.map((reader) => reader.close()));
  await running.stop();
  return traffic;
}

/** What reached the disk or came from it. */
function storageBytes(running: RunningOurs): number {
  const { read, written } = running.process.diskBytes();
  return read + written;
}
