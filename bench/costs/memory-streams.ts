/** What do a hundred thousand streams cost in memory, and how long does a start with them take? */

import { type Cost, megabytes, settledBytes } from '../cost.ts';
import { createTopics } from '../load/kafka-client.ts';
import { startOurs } from '../peers/ours.ts';
import { freshFolder } from '../peers/peer.ts';

const STREAMS = 100_000;
const EACH_MAX = 1_024;

export const cost: Cost = {
  name: 'memory-streams',
  title: 'A hundred thousand streams',

  async measure(share) {
    const folder = freshFolder('memory-streams');
    const streams = Math.round(STREAMS * share);
    const first = await startOurs('kafka', { folder });
    const idle = await settledBytes(first);
    const started = performance.now();
    await createTopics(
      first.port,
      Array.from({ length: streams }, (_, i) => `stream-${i}`),
    );
    const createMs = performance.now() - started;
    const after = await settledBytes(first);
    await first.stop();

    const restarted = performance.now();
    const second = await startOurs('kafka', { folder });
    const startMs = performance.now() - restarted;
    const again = await settledBytes(second);
    await second.stop();
    return [
      megabytes('idle', idle),
      megabytes(`after ${streams} streams`, after),
      { what: 'each', value: (after - idle) / streams, unit: 'bytes', atMost: EACH_MAX },
      { what: 'to create one', value: (createMs * 1000) / streams, unit: 'us' },
      { what: 'second start', value: startMs, unit: 'ms' },
      megabytes('after the second start', again),
      { what: 'each after the second start', value: (again - idle) / streams, unit: 'bytes' },
    ];
  },
};
