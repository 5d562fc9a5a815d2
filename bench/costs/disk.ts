/**
 * How many bytes does a stored message take on the disk, as it is written and when files were
 * reorganised, and do consumers of all protocols on its stream change that?
 */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Cost, CostFigure } from '../cost.ts';
import { runLoad } from '../load/child.ts';
import { CONSUME, type Consumer } from '../load/consumers.ts';
import { createTopics } from '../load/kafka-client.ts';
import { PLAIN } from '../load/spec.ts';
import { metricOf, startOurs } from '../peers/ours.ts';
import { freshFolder } from '../peers/peer.ts';

const MESSAGES = 500_000;
const PAYLOAD_BYTES = 128;
const COUNTS = [0, 1, 4, 16];
const ORDER = ['kafka', 'mqtt', 'amqp', 'nats'] as const;
/** Small files, so that nearly all of them are finished and reorganised. */
const FLAGS = ['--storage-wal-file-size', '4MiB', '--server-message-max', '1MiB'];
/** Largest over smallest: a tenth. */
const SPREAD_MAX = 1.1;
const QUIET_MS = 3_000;

export const cost: Cost = {
  name: 'disk',
  title: 'Bytes on the disk for a message of 128 B with 0, 1, 4 and 16 consumers',

  async measure(share) {
    const figures: CostFigure[] = [];
    const all: { written: number; stays: number }[] = [];
    for (const count of COUNTS) {
      const one = await withConsumers(count, Math.round(MESSAGES * share));
      all.push(one);
      const name = `${count} consumers`;
      figures.push({ what: `${name}, written`, value: one.written, unit: 'bytes' });
      figures.push({ what: `${name}, stays`, value: one.stays, unit: 'bytes' });
    }
    const spread = (of: 'written' | 'stays') =>
      Math.max(...all.map((one) => one[of])) / Math.min(...all.map((one) => one[of]));
    const atMost = SPREAD_MAX;
    figures.push({ what: 'written, most over least', value: spread('written'), unit: 'x', atMost });
    figures.push({ what: 'stays, most over least', value: spread('stays'), unit: 'x', atMost });
    return figures;
  },
};

async function withConsumers(
  count: number,
  records: number,
): Promise<{ written: number; stays: number }> {
  const folder = freshFolder('disk');
  const running = await startOurs('mqtt', { folder, flags: FLAGS });
  const name = 'disk';
  // The load publishes to `bench/…`: its first level is the stream.
  await createTopics(running.kafkaPort, ['bench']);
  const consumers: Consumer[] = [];
  for (let n = 0; n < count; n++) {
    const wire = ORDER[n % ORDER.length]!;
    const stream = wire === 'mqtt' ? `bench/${name}` : wire === 'nats' ? `bench.${name}` : 'bench';
    consumers.push(await CONSUME[wire](running.ports[wire], stream, n));
  }
  const spec = { load: 'mqtt-store', port: running.port, payloadBytes: PAYLOAD_BYTES } as const;
  const plain = { ...PLAIN, window: 1_000, warmMs: 0, runMs: 0 };
  await runLoad({ ...plain, ...spec, records, name });
  await quiet(consumers);
  const of = (series: string) => metricOf(running.adminPort, `robustmq_storage_${series}`);
  const appended = await of('entry_bytes_sum');
  const moved = await of('reorganised_bytes_total');
  await Promise.all(consumers.map((consumer) => consumer.close()));
  await running.stop();
  return { written: (appended + moved) / records, stays: segmentBytes(folder) / records };
}

/** Until nothing arrives and files had time to be reorganised. */
async function quiet(consumers: readonly Consumer[]): Promise<void> {
  for (let seen = -1; ; ) {
    const received = consumers.reduce((all, one) => all + one.received, 0);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    if (received === seen) return;
    seen = received;
  }
}

function segmentBytes(folder: string): number {
  const data = join(folder, 'data');
  const names = readdirSync(data).filter((name) => name.endsWith('.seg'));
  return names.reduce((all, name) => all + statSync(join(data, name)).size, 0);
}
