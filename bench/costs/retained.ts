/**
 * What do a million retained messages cost: in memory, when they are set, when a new subscription
 * gets all of them or finds one of them, and when the server starts with them?
 */

import { type Cost, megabytes, settledBytes } from '../cost.ts';
import { retainedTopic, setRetained, takeRetained } from '../load/retained.ts';
import { metricOf, type RunningOurs, startOurs } from '../peers/ours.ts';
import { freshFolder } from '../peers/peer.ts';

const COUNT = 1_000_000;
const EACH_MAX = 100;
const BLOCK_MAX_MS = 20;
const LONGEST_DELAY = 'nodejs_eventloop_delay_seconds{quantile="1"}';

export const cost: Cost = {
  name: 'retained',
  title: 'A million retained messages',

  async measure(share) {
    const folder = freshFolder('retained');
    const count = Math.round(COUNT * share);
    const first = await startOurs('mqtt', { folder });
    // The buffers and caches of a server that has worked are there with few messages as well.
    const few = Math.round(count / 20);
    await setRetained(first.port, 0, few);
    const idle = await settledBytes(first);
    await longestDelayMs(first);
    const perSecond = await setRetained(first.port, few, count);
    const setBlockMs = await longestDelayMs(first);
    const after = await settledBytes(first);
    await longestDelayMs(first);
    const allMs = await takeRetained(first.port, '#', count);
    const blockMs = await longestDelayMs(first);
    const oneMs = await takeRetained(first.port, `site/+/device/${count - 1}/state`, 1);
    const siteMs = await takeRetained(first.port, `${site(count - 1)}/#`, count / 1_000);
    const sparseMs = await longestDelayMs(first);
    await first.stop();
    const restarted = performance.now();
    const second = await startOurs('mqtt', { folder });
    const startMs = performance.now() - restarted;
    const again = second.process.residentBytes();
    await second.stop();
    return [
      megabytes(`with ${few}`, idle),
      megabytes(`with ${count}`, after),
      {
        what: 'each further one',
        value: (after - idle) / (count - few),
        unit: 'bytes',
        atMost: EACH_MAX,
      },
      { what: 'to set one', value: 1e6 / perSecond, unit: 'us' },
      { what: 'longest block meanwhile', value: setBlockMs, unit: 'ms', atMost: BLOCK_MAX_MS },
      { what: 'replay of all, each', value: (allMs * 1000) / count, unit: 'us' },
      { what: 'longest block meanwhile', value: blockMs, unit: 'ms', atMost: BLOCK_MAX_MS },
      { what: 'one of all by site/+/device/N/state', value: oneMs, unit: 'ms' },
      { what: 'a thousandth of all by site/N/#', value: siteMs, unit: 'ms' },
      { what: 'longest block meanwhile', value: sparseMs, unit: 'ms', atMost: BLOCK_MAX_MS },
      { what: 'second start', value: startMs, unit: 'ms' },
      megabytes('after the second start', again),
    ];
  },
};

function site(n: number): string {
  return retainedTopic(n).split('/').slice(0, 2).join('/');
}

/** Since the last call. */
async function longestDelayMs({ adminPort }: RunningOurs): Promise<number> {
  return 1000 * (await metricOf(adminPort, LONGEST_DELAY));
}
