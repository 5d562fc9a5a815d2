/**
 * `npm run simulate -- --seed S [--trace]` plays one seed; `--seeds N [--from S]` plays many on all
 * cores; `--planted` proves that known faults are found. Plays are the same on every machine, as
 * long as the source is the same.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { plant } from './planted.ts';
import { play } from './play.ts';
import { UPKEEP, type Upkeep } from './world.ts';

/** A seed takes a second or two; one that takes so long hangs or eats memory. */
const HUNG_MS = 180_000;
const CHILD_HEAP_MB = 1_000;
const FAILURES_SHOWN = 10;

const WHAT = Object.keys(UPKEEP) as (keyof Upkeep)[];
const NONE: Upkeep = { adopted: 0, merges: 0, compactions: 0, uploads: 0, evictions: 0 };

/** What a child tells of a seed. */
interface Report {
  readonly seed: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly crashes: number;
  readonly upkeep: Upkeep;
  readonly failure: string | null;
  readonly tail: readonly string[];
}

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
    planted: { type: 'boolean', default: false },
    only: { type: 'string' },
    child: { type: 'boolean', default: false },
  },
});

if (values.child) work();
else if (values.planted)
  process.exitCode = (await plant(values.only, Number(values.seeds ?? 1000))) ? 0 : 1;
else if (values.seeds !== undefined) await many(Number(values.from), Number(values.seeds));
else await one(Number(values.seed ?? 1));

async function one(seed: number): Promise<void> {
  const show = values.trace ? (line: string) => console.log(line) : null;
  const outcome = await play(seed, show);
  const { counts, hash, failure, virtualMs, events, upkeep } = outcome;
  if (failure !== null && !values.trace) console.log(outcome.tail.join('\n'));
  console.log(
    `seed ${seed}: ${(virtualMs / 1000).toFixed(1)} s of virtual time, ${events} events, ` +
      `${counts.crashes} crashes, ${counts.sent} messages sent, ${counts.acked} acknowledged, ` +
      `${counts.seen} seen; ` +
      `${WHAT.map((what) => `${what} ${upkeep[what]}`).join(', ')}\ntrace ${hash}`,
  );
  if (failure === null) return;
  console.log(`FAILED: ${failure.stack}`);
  process.exitCode = 1;
}

/** A child: plays what it is sent. */
function work(): void {
  process.on('message', async (seed: number) => {
    const { failure, virtualMs, events, counts, tail, upkeep } = await play(seed);
    const report: Report = {
      ...{ seed, virtualMs, events, crashes: counts.crashes, upkeep },
      failure: failure?.message ?? null,
      tail: failure === null ? [] : tail,
    };
    process.send!(report);
  });
}

async function many(from: number, count: number): Promise<void> {
  const began = performance.now();
  const failures: Report[] = [];
  let [next, played, virtualMs, events, crashes] = [from, 0, 0, 0, 0];
  const [upkeep, runs] = [{ ...NONE }, { ...NONE }];
  const take = (): number | null => (next < from + count ? next++ : null);
  const report = (part: Report): void => {
    played++;
    virtualMs += part.virtualMs;
    events += part.events;
    crashes += part.crashes;
    for (const what of WHAT) {
      upkeep[what] += part.upkeep[what];
      if (part.upkeep[what] > 0) runs[what]++;
    }
    if (part.failure === null) return;
    console.log(`seed ${part.seed} FAILED: ${part.failure}`);
    failures.push(part);
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, () => labour(take, report)));
  const seconds = (performance.now() - began) / 1000;
  failures.sort((a, b) => a.seed - b.seed);
  for (const { seed, failure, tail } of failures.slice(0, FAILURES_SHOWN)) {
    console.log(`\n${tail.join('\n')}\nseed ${seed} FAILED: ${failure}`);
    console.log(`Again: npm run simulate -- --seed ${seed} --trace`);
  }
  console.log(
    `\n${played} seeds from ${from}: ${failures.length} failed. ${crashes} crashes, ` +
      `${events} events, ${(virtualMs / 3_600_000).toFixed(1)} h of virtual time in ` +
      `${seconds.toFixed(0)} s: ${(played / seconds).toFixed(1)} seeds/s.`,
  );
  console.log(WHAT.map((what) => `${what} ${upkeep[what]} in ${runs[what]} seeds`).join(', '));
  if (failures.length > 0) process.exitCode = 1;
}

/** Keeps one child busy; a child that dies over a seed is replaced, and the seed has failed. */
async function labour(take: () => number | null, report: (part: Report) => void): Promise<void> {
  const execArgv = [...process.execArgv, `--max-old-space-size=${CHILD_HEAP_MB}`];
  let worker: ChildProcess | null = null;
  for (let seed = take(); seed !== null; seed = take()) {
    worker ??= fork(import.meta.filename, ['--child'], { execArgv });
    const part = await ask(worker, seed);
    report(part);
    if (worker.exitCode !== null || worker.signalCode !== null) worker = null;
  }
  worker?.disconnect();
}

function ask(worker: ChildProcess, seed: number): Promise<Report> {
  const nothing = { seed, virtualMs: 0, events: 0, crashes: 0, upkeep: NONE, tail: [] };
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
      settle({
        ...nothing,
        failure: `the process ended with ${signal ?? code}: it hung or crashed`,
      });
    });
    worker.send(seed);
  });
}
