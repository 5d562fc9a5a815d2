/** How fast does a new subscription get what is retained, as there is more of it? */

import type { Curve, Series } from '../curve.ts';
import { setRetained, takeRetained } from '../load/retained.ts';
import { mosquitto } from '../peers/mosquitto.ts';
import { startOurs } from '../peers/ours.ts';
import type { Running } from '../peers/peer.ts';
import { upTo } from './measure.ts';

const SIZES = [1_000, 10_000, 100_000, 1_000_000];

export const curve: Curve = {
  name: 'curve-retained',
  title: 'MQTT QoS 0, replay of all retained messages to one new subscription to #',
  x: 'retained messages',
  y: 'messages/s',
  explained:
    'Ours reads values from disk, a page at a time, and gives way to other clients between ' +
    'stretches of some milliseconds; Mosquitto has all of them in memory.',

  async measure(share, report) {
    const sides = { ours: () => startOurs('mqtt'), mosquitto: () => mosquitto.start('mqtt') };
    const series: Series[] = [];
    for (const [label, start] of Object.entries(sides)) {
      const running = await start();
      series.push({ label, points: await replays(running, share) });
      report(
        `${label}: ${series
          .at(-1)!
          .points.map((point) => point.join(': '))
          .join(', ')}`,
      );
      await running.stop();
    }
    return series;
  },
};

async function replays(running: Running, share: number): Promise<[number, number][]> {
  const points: [number, number][] = [];
  let made = 0;
  for (const count of upTo(SIZES, share)) {
    await setRetained(running.port, made, count);
    made = count;
    const tookMs = await takeRetained(running.port, '#', count);
    points.push([count, (count * 1000) / tookMs]);
  }
  return points;
}
