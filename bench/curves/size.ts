/** How many bytes each second pass in messages of ever larger size? */

import type { Curve } from '../curve.ts';
import type { LoadName } from '../load/spec.ts';
import { startOurs } from '../peers/ours.ts';
import { loadOn, upTo } from './measure.ts';

const SIZES = [16, 128, 1_024, 8_192, 65_536, 1_048_576];

export const curve: Curve = {
  name: 'curve-size',
  title: 'MQTT from one publisher to one subscriber, by size of the payload',
  x: 'bytes of a message',
  y: 'MB/s',
  explained:
    'A message costs a fixed time and each byte a copy: the curve rises in proportion while the ' +
    'first is larger, and ends at what loopback, log and disk take in bytes.',

  async measure(share) {
    const series = [];
    for (const [label, load, window] of [
      ['QoS 0', 'mqtt-flow', 0],
      ['QoS 1', 'mqtt-through', 50],
    ] as const satisfies readonly (readonly [string, LoadName, number])[]) {
      const points: [number, number][] = [];
      for (const payloadBytes of upTo(SIZES, share)) {
        const running = await startOurs('mqtt');
        const { megabytesPerSecond } = await loadOn(running, { load, payloadBytes, window });
        points.push([payloadBytes, megabytesPerSecond]);
        await running.stop();
      }
      series.push({ label, points });
    }
    return series;
  },
};
