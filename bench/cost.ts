/** The shape of a cost: what our server needs for something, without a peer beside it. */

import type { Running } from './peers/peer.ts';

export interface CostFigure {
  readonly what: string;
  readonly value: number;
  readonly unit: 'MB' | 'bytes' | 'ms' | 'us' | 'x' | 'messages';
  /** The target of this figure; without one it is there to be read beside the others. */
  readonly atMost?: number;
}

export interface Cost {
  readonly name: string;
  readonly title: string;
  /** @param share of the full size to measure at, for a quick run */
  measure(share: number): Promise<readonly CostFigure[]>;
}

const SETTLE_MS = 8_000;
const LOOK_MS = 500;

/** The least resident memory over a quiet while: what stays when garbage was collected. */
export async function settledBytes(running: Running): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  const until = performance.now() + SETTLE_MS;
  while (performance.now() < until) {
    least = Math.min(least, running.process.residentBytes());
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return least;
}

export function megabytes(what: string, bytes: number): CostFigure {
  return { what, value: bytes / 1e6, unit: 'MB' };
}
