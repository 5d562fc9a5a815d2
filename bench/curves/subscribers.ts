/** How many deliveries each second does one message to ever more subscribers make? */

import type { Curve } from '../curve.ts';
import { startOurs } from '../peers/ours.ts';
import { loadOn, upTo } from './measure.ts';

export const curve: Curve = {
  name: 'curve-subscribers',
  title: 'MQTT QoS 0 deliveries of one publisher to the subscribers of one topic',
  x: 'subscribers',
  y: 'deliveries/s',
  explained:
    'Rises while the cost of a publish is shared by more deliveries; falls when each write to a ' +
    'socket carries fewer messages, because the window spreads over more sockets.',

  async measure(share) {
    const points: [number, number][] = [];
    for (const subscribers of upTo([1, 10, 100, 1_000, 10_000], share)) {
      const running = await startOurs('mqtt');
      const { perSecond } = await loadOn(running, { load: 'mqtt-flow', subscribers });
      points.push([subscribers, perSecond]);
      await running.stop();
    }
    return [{ label: 'ours', points }];
  },
};
