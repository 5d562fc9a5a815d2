/** Reads a V8 CPU profile: which functions of a process spent the time themselves. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './peers/peer.ts';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface HotSpot {
  readonly where: string;
  /** Share of the time in which the process was not idle. */
  readonly share: number;
}

export interface Profile {
  /** Share of the profiled time in which the main thread did something. */
  readonly busy: number;
  readonly spots: readonly HotSpot[];
}

/** The newest profile of a folder. */
export function profileIn(folder: string): Profile {
  const name = readdirSync(folder).find((file) => file.endsWith('.cpuprofile'));
  if (name === undefined) throw new Error(`no profile in ${folder}`);
  return hotSpots(JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile);
}

function hotSpots(profile: CpuProfile): Profile {
  const selfUs = new Map<number, number>();
  profile.samples.forEach((id, i) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + profile.timeDeltas[i]!);
  });
  const byPlace = new Map<string, number>();
  let all = 0;
  let idle = 0;
  for (const node of profile.nodes) {
    const us = selfUs.get(node.id) ?? 0;
    all += us;
    if (node.callFrame.functionName === '(idle)') idle += us;
    else byPlace.set(placeOf(node), (byPlace.get(placeOf(node)) ?? 0) + us);
  }
  const busy = all - idle;
  const spots = [...byPlace].map(([where, us]) => ({ where, share: us / busy }));
  return { busy: busy / all, spots: spots.sort((a, b) => b.share - a.share) };
}

function placeOf({ callFrame }: ProfileNode): string {
  const { functionName, url, lineNumber } = callFrame;
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const file = url.startsWith('file:') ? fileURLToPath(url).replace(ROOT, '') : url;
  return `${name} ${file}:${lineNumber + 1}`;
}
