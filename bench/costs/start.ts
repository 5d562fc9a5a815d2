/** How long does a start take on an empty folder, until every listener answers? */

import type { Cost } from '../cost.ts';
import { median } from '../facts.ts';
import { startOurs } from '../peers/ours.ts';
import { freshFolder } from '../peers/peer.ts';

const STARTS = 5;

export const cost: Cost = {
  name: 'start',
  title: 'Start on an empty folder, and with what the first start left there',

  async measure() {
    const first: number[] = [];
    const second: number[] = [];
    for (let i = 0; i < STARTS; i++) {
      const folder = freshFolder('start');
      first.push(await startMs(folder));
      second.push(await startMs(folder));
    }
    return [
      { what: 'empty folder', value: median(first), unit: 'ms' },
      { what: 'second start', value: median(second), unit: 'ms' },
    ];
  },
};

async function startMs(folder: string): Promise<number> {
  const started = performance.now();
  const running = await startOurs('mqtt', { folder });
  const taken = performance.now() - started;
  await running.stop();
  return taken;
}
