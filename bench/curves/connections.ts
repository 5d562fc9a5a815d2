/** Does a pair of busy clients notice how many others are connected? */

import type { Curve } from '../curve.ts';
import { openIdle } from '../load/mqtt-client.ts';
import { openFilesMax, openMany } from '../load/open-many.ts';
import type { Wire } from '../load/wire.ts';
import { startOurs } from '../peers/ours.ts';
import { loadOn, upTo } from './measure.ts';

export const curve: Curve = {
  name: 'curve-connections',
  title: 'MQTT QoS 0, one to one, beside idle connections',
  x: 'idle connections',
  y: 'messages/s',
  explained: 'Flat: an idle connection is a row in a map and a socket that reports nothing.',

  async measure(share) {
    const running = await startOurs('mqtt');
    const wires: Wire[] = [];
    const points: [number, number][] = [];
    for (const count of upTo([1, 10, 100, 1_000, 10_000, openFilesMax()], share)) {
      const missing = count - wires.length;
      const open = (n: number) => openIdle(running.port, `idle-${wires.length + n}`);
      wires.push(...(await openMany(missing, open)));
      const { perSecond } = await loadOn(running, { load: 'mqtt-flow' });
      points.push([count, perSecond]);
    }
    await Promise.all(wires.map((wire) => wire.close()));
    await running.stop();
    return [{ label: 'ours', points }];
  },
};
