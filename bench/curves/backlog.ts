/** Do writers and readers notice how much is stored already? */

import type { Curve } from '../curve.ts';
import { Client, createTopics } from '../load/kafka-client.ts';
import { batchOf, producePump } from '../load/kafka-produce.ts';
import { readFrom } from '../load/kafka-read.ts';
import { stored } from '../load/pump.ts';
import { type LoadSpec, PLAIN } from '../load/spec.ts';
import { startOurs } from '../peers/ours.ts';
import { upTo } from './measure.ts';

const SIZES = [10_000, 100_000, 1_000_000, 10_000_000];
const BATCH = 1_000;
/** Records that are written and read at each size. */
const PROBE = 200_000;
const TOPIC = 'backlog';

export const curve: Curve = {
  name: 'curve-backlog',
  title: 'Kafka produce at the end and fetch from the middle of a partition, by its length',
  x: 'records stored',
  y: 'records/s',
  explained: 'Flat: an append does not look back, and a read finds its place by one index look-up.',

  async measure(share) {
    const running = await startOurs('kafka');
    await createTopics(running.port, [TOPIC]);
    const writes: [number, number][] = [];
    const reads: [number, number][] = [];
    let end = 0;
    for (const size of upTo(SIZES, share)) {
      await write(running.port, size - end);
      const seconds = await write(running.port, PROBE);
      writes.push([size, PROBE / seconds]);
      const from = Math.floor(size / 2 / BATCH) * BATCH;
      const count = Math.min(PROBE, size);
      const read = await readFrom(running.port, TOPIC, from, from + count);
      reads.push([size, count / read]);
      end = size + PROBE;
    }
    await running.stop();
    return [
      { label: 'written', points: writes },
      { label: 'read from the middle', points: reads },
    ];
  },
};

async function write(port: number, records: number): Promise<number> {
  const client = await Client.open(port);
  const plain = { ...PLAIN, load: 'kafka-produce', port, warmMs: 0, runMs: 0, name: '' } as const;
  const spec: LoadSpec = { ...plain, payloadBytes: 128, window: 5, batch: BATCH };
  const pump = producePump(client, spec, TOPIC, batchOf(spec));
  const batches = Math.ceil(Math.max(0, records) / BATCH);
  const started = performance.now();
  pump.start(batches);
  await stored(pump, batches);
  await client.wire.close();
  return (performance.now() - started) / 1000;
}
