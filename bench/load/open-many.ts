/** Many connections that say nothing: as many as the limit of open files allows. */

import { readFileSync } from 'node:fs';
import type { Wire } from './wire.ts';

const CONNECTIONS_MAX = 19_000;
/** Files that server and load need for themselves. */
const OTHER_FILES = 900;
const AT_ONCE = 100;

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
