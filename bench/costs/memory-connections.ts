/** What does an idle connection cost in memory? As many as the limit of open files allows. */

import { readFileSync } from 'node:fs';
import { type Cost, type CostFigure, megabytes, settledBytes } from '../cost.ts';
import { openIdle as openIdleMqtt } from '../load/mqtt-client.ts';
import { openIdle as openIdleNats } from '../load/nats-client.ts';
import type { Wire } from '../load/wire.ts';
import { startOurs } from '../peers/ours.ts';

const CONNECTIONS_MAX = 19_000;
/** Files that server and load need for themselves. */
const OTHER_FILES = 900;
const AT_ONCE = 100;
const EACH_MAX = 8 * 1_024;

export function openFilesMax(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return Math.min(CONNECTIONS_MAX, Number(limit?.[1] ?? 1_024) - OTHER_FILES);
}

/** Opens many, a hundred at a time. */
export async function openMany(
  count: number,
  open: (index: number) => Promise<Wire>,
): Promise<Wire[]> {
  const wires: Wire[] = [];
  while (wires.length < count) {
    const some = Math.min(AT_ONCE, count - wires.length);
    const from = wires.length;
    wires.push(...(await Promise.all(Array.from({ length: some }, (_, k) => open(from + k)))));
  }
  return wires;
}

export const cost: Cost = {
  name: 'memory-connections',
  title: 'Idle connections',

  async measure(share) {
    const count = Math.round(openFilesMax() * share);
    return [...(await costOf('mqtt', count)), ...(await costOf('nats', count))];
  },
};

async function costOf(wire: 'mqtt' | 'nats', count: number): Promise<CostFigure[]> {
  const running = await startOurs(wire);
  const idle = await settledBytes(running);
  const wires = await openMany(count, (index) =>
    wire === 'mqtt' ? openIdleMqtt(running.port, `idle-${index}`) : openIdleNats(running.port),
  );
  const after = await settledBytes(running);
  await Promise.all(wires.map((one) => one.close()));
  await running.stop();
  const each = (after - idle) / count;
  return [
    megabytes(`with ${count} of ${wire}`, after),
    { what: `each of ${wire}`, value: each, unit: 'bytes', atMost: EACH_MAX },
  ];
}
