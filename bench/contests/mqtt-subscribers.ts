/** How many deliveries each second does one message to ever more subscribers make? */

import type { Contest, Measured } from '../contest.ts';
import { loadOn, upTo } from '../curves/measure.ts';
import { number } from '../lines.ts';
import { mosquitto } from '../peers/mosquitto.ts';
import { ours } from '../peers/ours.ts';

const SIZES = [1, 10, 100, 1_000, 10_000];

export const contest: Contest = {
  name: 'mqtt-subscribers',
  title: 'MQTT QoS 0 deliveries of one publisher to the subscribers of one topic',
  explained:
    'Rises while the cost of a publish is shared by more deliveries; falls when each write to a ' +
    'socket carries fewer messages, because the window spreads over more sockets.',
  wire: 'mqtt',
  pairs: [[ours, mosquitto]],
  plot: { x: 'subscribers', y: 'deliveries/s' },

  async measure({ share, start }): Promise<Measured[]> {
    const running = await start();
    const measured: Measured[] = [];
    for (const subscribers of upTo(SIZES, share)) {
      const { perSecond } = await loadOn(running, { load: 'mqtt-flow', subscribers });
      const what = `to ${number(subscribers)}`;
      measured.push({ what, value: perSecond, unit: '/s', x: subscribers });
    }
    return measured;
  },
};
