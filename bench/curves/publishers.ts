/** How many publishes each second are acknowledged to ever more publishers? */

import type { Curve } from '../curve.ts';
import { startOurs } from '../peers/ours.ts';
import { loadOn, upTo } from './measure.ts';

const WINDOW = 16;

export const curve: Curve = {
  name: 'curve-publishers',
  title: 'MQTT QoS 1 publishes of publishers with a window of 16 each',
  x: 'publishers',
  y: 'messages/s',
  explained:
    'One publisher waits for a flush after each 16 messages. More publishers share each flush until ' +
    'the CPU is full; from there on it is flat.',

  async measure(share) {
    const points: [number, number][] = [];
    for (const publishers of upTo([1, 4, 16, 64, 250, 1_000], share)) {
      const running = await startOurs('mqtt');
      const { perSecond } = await loadOn(running, {
        load: 'mqtt-confirm',
        publishers,
        window: WINDOW,
      });
      points.push([publishers, perSecond]);
      await running.stop();
    }
    return [{ label: 'ours', points }];
  },
};
