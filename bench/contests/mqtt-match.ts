/** Does a publish notice how many subscriptions there are that do not match it? */

import type { Contest, Measured } from '../contest.ts';
import { loadOn, upTo } from '../curves/measure.ts';
import { number } from '../lines.ts';
import { Client } from '../load/mqtt-client.ts';
import { filterOfOthers } from '../load/mqtt-match.ts';
import { mosquitto } from '../peers/mosquitto.ts';
import { ours } from '../peers/ours.ts';

const SIZES = [1_000, 10_000, 100_000, 1_000_000];
/** Filters of one request, and of one client. */
const AT_ONCE = 500;
const CLIENT_MAX = 1_000;

export const contest: Contest = {
  name: 'mqtt-match',
  title: 'MQTT QoS 0 by topics that have to be matched beside subscriptions of others',
  explained:
    '50 000 topics in turn, each of which walks down to a subscription of somebody else and past ' +
    'it; one subscriber gets all of them. CPU is that of the whole server for a message that is ' +
    'read, matched, stored where the server does so, and delivered.',
  wire: 'mqtt',
  pairs: [[ours, mosquitto]],
  plot: { x: 'subscriptions of others', y: 'CPU of the server for a message in us' },

  async measure({ share, start }): Promise<Measured[]> {
    const running = await start();
    const clients: Client[] = [];
    const measured: Measured[] = [];
    let made = 0;
    for (const count of upTo(SIZES, share)) {
      await subscribe(running.port, clients, made, count);
      made = count;
      const cpu = { begin: 0, end: 0 };
      const onMoment = (moment: 'begin' | 'end') => {
        cpu[moment] = running.process.cpuSeconds();
      };
      const load = { load: 'mqtt-match', records: count } as const;
      const { messages, perSecond } = await loadOn(running, load, onMoment);
      const us = ((cpu.end - cpu.begin) * 1e6) / Math.max(1, messages);
      measured.push({ what: `beside ${number(count)}`, value: perSecond, unit: '/s' });
      measured.push({ what: `CPU beside ${number(count)}`, value: us, unit: 'us', x: count });
    }
    await Promise.all(clients.map((client) => client.leave()));
    return measured;
  },
};

/** Those from `from` up to `to`, spread over clients that stay. */
async function subscribe(port: number, all: Client[], from: number, to: number): Promise<void> {
  for (let made = from; made < to; ) {
    const room = CLIENT_MAX - (made % CLIENT_MAX);
    if (room === CLIENT_MAX) all.push(await Client.open(port, `many-${made}`, true));
    const some = Math.min(AT_ONCE, to - made, room);
    const filters = Array.from({ length: some }, (_, n) => filterOfOthers(made + n));
    await all.at(-1)!.subscribeMany(filters);
    made += some;
  }
}
