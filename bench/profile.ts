/** Reads a V8 CPU profile: where the main thread of a process spent its time. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './peers/peer.ts';

interface ProfileNode {
  readonly id: number;
  readonly children?: readonly number[];
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
  /** By the time spent in the function itself. */
  readonly spots: readonly HotSpot[];
  /** Functions of ours by the time spent in them and in what they call. */
  readonly paths: readonly HotSpot[];
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
  const shares = (times: ReadonlyMap<string, number>) =>
    [...times]
      .map(([where, us]) => ({ where, share: us / busy }))
      .sort((a, b) => b.share - a.share);
  return { busy: busy / all, spots: shares(byPlace), paths: shares(pathTimes(profile, selfUs)) };
}

/** Time of each function of ours with its callees; a recursive call counts once. */
function pathTimes(profile: CpuProfile, selfUs: ReadonlyMap<number, number>): Map<string, number> {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const times = new Map<string, number>();
  const open = new Set<string>();
  const walk = (node: ProfileNode): number => {
    const place = placeOf(node);
    const first = place.includes(' src/') && !open.has(place);
    if (first) open.add(place);
    let us = selfUs.get(node.id) ?? 0;
    for (const child of node.children ?? []) us += walk(byId.get(child)!);
    if (first) {
      open.delete(place);
      times.set(place, (times.get(place) ?? 0) + us);
    }
    return us;
  };
  walk(profile.nodes[0]!);
  return times;
}

function placeOf({ callFrame }: ProfileNode): string {
  const { functionName, url, lineNumber } = callFrame;
  if (url === '') return functionName === '' ? '(native call)' : functionName;
  const name = functionName === '' ? '(anonymous)' : functionName;
  const file = url.startsWith('file:') ? fileURLToPath(url).replace(ROOT, '') : url;
  return `${name} ${file}:${lineNumber + 1}`;
}
