/**
 * When to strike: at a random time, or at the moment when the server does a certain thing to its
 * files, which is seen as they are made, renamed and removed.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { Seed } from './seed.ts';

/**
 * - `any`: a random time after the load began;
 * - `segment`, `checkpoint`, `rolling`: while a segment or a checkpoint is written, while a
 *   write-ahead file is made, recycled or removed;
 * - `stopping`: in an orderly stop;
 * - `starting`: at a random time, and once more while the server recovers.
 */
export const PHASES = ['any', 'segment', 'checkpoint', 'rolling', 'stopping', 'starting'] as const;
export type Phase = (typeof PHASES)[number];

export interface Moment {
  readonly phase: Phase;
  /** After the load began, or after the thing was seen. */
  readonly delayMs: number;
  /** How far into the next start, for `starting`. */
  readonly startMs: number;
}

const ANY_MS_MAX = 1_500;
const SEEN_MS_MAX = 25;
const START_MS_MAX = 900;
/** A thing that is not seen by then is not waited for any longer. */
const WATCH_MS_MAX = 6_000;

const SIGNS: Partial<Record<Phase, RegExp>> = {
  segment: /\.part$|raw-/,
  checkpoint: /checkpoint/,
  rolling: /wal-/,
};

export function chooseMoment(seed: Seed): Moment {
  const phase = seed.pick(PHASES);
  const most = SIGNS[phase] === undefined ? ANY_MS_MAX : SEEN_MS_MAX;
  const delayMs = phase === 'stopping' ? seed.between(0, 300) : seed.between(0, most);
  return { phase, delayMs, startMs: seed.between(30, START_MS_MAX) };
}

/** Waits for the moment. @returns the phase that was met: `any` when its sign did not come */
export async function awaitMoment(directory: string, moment: Moment): Promise<Phase> {
  const sign = SIGNS[moment.phase];
  if (sign === undefined) {
    await pause(moment.delayMs);
    return moment.phase;
  }
  const met = await seen(directory, sign);
  await pause(moment.delayMs);
  return met ? moment.phase : 'any';
}

function seen(directory: string, sign: RegExp): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const done = (met: boolean): void => {
      watcher.close();
      clearTimeout(timer);
      resolve(met);
    };
    const timer = setTimeout(() => done(false), WATCH_MS_MAX);
    const watcher: FSWatcher = watch(directory, { recursive: false });
    // `rename` is the coming and going of a name; `change` would be every write.
    watcher.on('change', (event, name) => {
      if (event === 'rename' && sign.test(String(name))) done(true);
    });
    watcher.on('error', reject);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
