/** One point of a curve: a short load on a server that is there already. */

import { runLoad } from '../load/child.ts';
import { type LoadResult, type LoadSpec, type Moment, PLAIN } from '../load/spec.ts';
import type { Running } from '../peers/peer.ts';

const WARM_MS = 400;
const RUN_MS = 1_000;
const PAYLOAD_BYTES = 128;

export function loadOn(
  running: Pick<Running, 'port'>,
  load: Pick<LoadSpec, 'load'> & Partial<LoadSpec>,
  onMoment?: (moment: Moment) => void,
): Promise<LoadResult> {
  const plain = { ...PLAIN, payloadBytes: PAYLOAD_BYTES, window: 0, name: 'curve' };
  const timed = { ...plain, warmMs: WARM_MS, runMs: RUN_MS, port: running.port };
  return runLoad({ ...timed, ...load }, onMoment);
}

/** The sizes up to the share of the largest one. */
export function upTo(sizes: readonly number[], share: number): readonly number[] {
  const most = Math.max(...sizes) * share;
  return sizes.filter((size) => size <= most);
}
