/**
 * `npm run simulate -- --seed S [--trace]` plays one seed; `--seeds N [--from S]` plays many on all
 * cores, with `--twice` each of them also in a process of its own to compare the traces;
 * `--planted` proves that known faults are found. Plays are the same on every machine, as long as
 * the source is the same.
 */
import type { ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { ask, launch, NONE, playAlone, type Report, work } from './child.ts';
import { plant } from './planted.ts';
import { play } from './play.ts';
import type { Upkeep } from './world.ts';

const FAILURES_SHOWN = 10;

const WHAT = Object.keys(NONE) as (keyof Upkeep)[];

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
    planted: { type: 'boolean', default: false },
    only: { type: 'string' },
    twice: { type: 'boolean', default: false },
    child: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
  },
});

if (values.child) work(values.alone);
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
      `${counts.seen} seen, ${counts.committed} transactions committed, ` +
      `${counts.aborted} aborted, ${counts.acquired} records acquired, ` +
      `${counts.finished} finished; ` +
      `${WHAT.map((what) => `${what} ${upkeep[what]}`).join(', ')}\ntrace ${hash}`,
  );
  if (failure === null) return;
  console.log(`FAILED: ${failure.stack}`);
  process.exitCode = 1;
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
  let worker: ChildProcess | null = null;
  for (let seed = take(); seed !== null; seed = take()) {
    worker ??= launch();
    const part = await ask(worker, seed);
    report(values.twice ? await again(part) : part);
    if (worker.exitCode !== null || worker.signalCode !== null) worker = null;
  }
  worker?.disconnect();
}

/** The same seed in a process that has played nothing before it: everything must be the same. */
async function again(part: Report): Promise<Report> {
  if (part.failure !== null) return part;
  const { hash, outside } = await playAlone(part.seed);
  if (outside !== '') return { ...part, failure: `the run asks the machine for ${outside}` };
  if (hash === part.hash) return part;
  return { ...part, failure: `after others ${part.hash}, alone ${hash}` };
}
