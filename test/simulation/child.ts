/** Plays seeds in processes of their own: one that hangs or eats memory is stopped and named. */
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import { Outside } from './outside.ts';
import { play } from './play.ts';
import type { Upkeep } from './world.ts';

/** A seed takes a second or two; one that takes so long hangs or eats memory. */
const HUNG_MS = 180_000;
const CHILD_HEAP_MB = 1_000;
const MAIN = path.join(import.meta.dirname, 'main.ts');

export const NONE: Upkeep = { adopted: 0, merges: 0, compactions: 0, uploads: 0, evictions: 0 };

/** What a child tells of a seed. */
export interface Report {
  readonly seed: number;
  readonly hash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly crashes: number;
  readonly upkeep: Upkeep;
  /** What the run asked the machine for; empty when nothing was, or nobody watched. */
  readonly outside: string;
  readonly failure: string | null;
  readonly tail: readonly string[];
}

/** In a child: plays what it is sent. */
export function work(isWatched: boolean): void {
  process.on('message', async (seed: number) => {
    const outside = new Outside();
    if (isWatched) outside.watch();
    const { failure, virtualMs, events, counts, tail, upkeep, hash } = await play(seed);
    const report: Report = {
      ...{ seed, hash, virtualMs, events, crashes: counts.crashes, upkeep },
      outside: outside.end(),
      failure: failure?.message ?? null,
      tail: failure === null ? [] : tail,
    };
    process.send!(report);
  });
}

export function launch(...more: string[]): ChildProcess {
  const execArgv = [`--max-old-space-size=${CHILD_HEAP_MB}`];
  return fork(MAIN, ['--child', ...more], { execArgv });
}

export function ask(worker: ChildProcess, seed: number): Promise<Report> {
  const nothing = { hash: '', virtualMs: 0, events: 0, crashes: 0, upkeep: NONE, outside: '' };
  return new Promise((resolve) => {
    const hung = setTimeout(() => worker.kill('SIGKILL'), HUNG_MS);
    const settle = (report: Report): void => {
      clearTimeout(hung);
      worker.removeAllListeners('message');
      worker.removeAllListeners('exit');
      resolve(report);
    };
    worker.on('message', (report: Report) => settle(report));
    worker.on('exit', (code, signal) => {
      const failure = `the process ended with ${signal ?? code}: it hung or crashed`;
      settle({ seed, ...nothing, tail: [], failure });
    });
    worker.send(seed);
  });
}

/** In a process that has played nothing else, watched for what it asks the machine for. */
export async function playAlone(seed: number): Promise<Report> {
  const worker = launch('--alone');
  const report = await ask(worker, seed);
  if (worker.connected) worker.disconnect();
  return report;
}
