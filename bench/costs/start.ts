/** How long does a start take on an empty folder, and how much memory does an idle server need? */

import { type Cost, settledBytes } from '../cost.ts';
import { median } from '../facts.ts';
import { startOurs } from '../peers/ours.ts';
import { freshFolder } from '../peers/peer.ts';

const STARTS = 5;
const START_MAX_MS = 300;
const IDLE_MAX_MB = 90;

export const cost: Cost = {
  name: 'start',
  title: 'Start on an empty folder, again with what that left, and memory with all listeners',

  async measure() {
    const first: number[] = [];
    const second: number[] = [];
    for (let i = 0; i < STARTS; i++) {
      const folder = freshFolder('start');
      first.push(await startMs(folder));
      second.push(await startMs(folder));
    }
    const idle = await startOurs('mqtt', { allListeners: true });
    const bytes = await settledBytes(idle);
    await idle.stop();
    return [
      { what: 'empty folder', value: median(first), unit: 'ms', atMost: START_MAX_MS },
      { what: 'second start', value: median(second), unit: 'ms', atMost: START_MAX_MS },
      { what: 'idle, all listeners', value: bytes / 1e6, unit: 'MB', atMost: IDLE_MAX_MB },
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
