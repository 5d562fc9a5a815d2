/** Does a publish notice how many subscriptions there are that do not match it? */

import type { Curve } from '../curve.ts';
import { Client } from '../load/mqtt-client.ts';
import { startOurs } from '../peers/ours.ts';
import { loadOn, upTo } from './measure.ts';

/** Filters of one request, and of one client. */
const AT_ONCE = 500;
const CLIENT_MAX = 10_000;

export const curve: Curve = {
  name: 'curve-subscriptions',
  title: 'MQTT QoS 0, one to one, beside subscriptions of others',
  x: 'subscriptions',
  y: 'messages/s',
  explained: 'Flat: a publish walks the levels of its own topic, not the subscriptions.',

  async measure(share) {
    const running = await startOurs('mqtt');
    const clients: Client[] = [];
    const points: [number, number][] = [];
    let made = 0;
    for (const count of upTo([1, 100, 10_000, 100_000, 1_000_000], share)) {
      while (made < count) {
        const room = CLIENT_MAX - (made % CLIENT_MAX);
        if (room === CLIENT_MAX) {
          clients.push(await Client.open(running.port, `many-${made}`, true));
        }
        const some = Math.min(AT_ONCE, count - made, room);
        const filter = (_: unknown, n: number) => `site/${(made + n) % 1_000}/+/device/${made + n}`;
        await clients.at(-1)!.subscribeMany(Array.from({ length: some }, filter));
        made += some;
      }
      const { perSecond } = await loadOn(running, { load: 'mqtt-flow' });
      points.push([count, perSecond]);
    }
    await Promise.all(clients.map((client) => client.leave()));
    await running.stop();
    return [{ label: 'ours', points }];
  },
};
