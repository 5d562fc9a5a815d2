/**
 * `npm run simulate -- --seed S [--trace]` plays one seed; `--seeds N [--from S]` plays many on all
 * cores; `--planted` proves that known faults are found. Plays are the same on every machine, as
 * long as the source is the same.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { plant } from './planted.ts';
import { type Outcome, play } from './play.ts';

/** Seeds that a child plays before it reports and asks for more. */
const SEEDS_PER_TASK = 20;
const FAILURES_SHOWN = 10;

export interface Failure {
  readonly seed: number;
  readonly message: string;
  readonly tail: readonly string[];
}

interface Task {
  readonly from: number;
  readonly count: number;
}

interface Report {
  readonly played: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly crashes: number;
  readonly failures: readonly Failure[];
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
  const { counts, hash, failure, virtualMs, events } = outcome;
  if (failure !== null && !values.trace) console.log(outcome.tail.join('\n'));
  console.log(
    `seed ${seed}: ${(virtualMs / 1000).toFixed(1)} s of virtual time, ${events} events, ` +
      `${counts.crashes} crashes, ${counts.sent} messages sent, ${counts.acked} acknowledged, ` +
      `${counts.seen} seen\ntrace ${hash}`,
  );
  if (failure === null) return;
  console.log(`FAILED: ${failure.stack}`);
  process.exitCode = 1;
}

/** A child: plays what it is sent. */
function work(): void {
  process.on('message', async ({ from, count }: Task) => {
    const outcomes: Outcome[] = [];
    for (let seed = from; seed < from + count; seed++) outcomes.push(await play(seed));
    const sum = (value: (outcome: Outcome) => number): number =>
      outcomes.reduce((total, outcome) => total + value(outcome), 0);
    const report: Report = {
      played: outcomes.length,
      virtualMs: sum((outcome) => outcome.virtualMs),
      events: sum((outcome) => outcome.events),
      crashes: sum((outcome) => outcome.counts.crashes),
      failures: outcomes.flatMap(({ seed, failure, tail }) =>
        failure === null ? [] : [{ seed, message: failure.message, tail }],
      ),
    };
    process.send!(report);
  });
}

async function many(from: number, count: number): Promise<void> {
  const began = performance.now();
  const failures: Failure[] = [];
  let [next, played, virtualMs, events, crashes] = [from, 0, 0, 0, 0];
  const end = from + count;
  const take = (): Task | null => {
    if (next >= end) return null;
    const task = { from: next, count: Math.min(SEEDS_PER_TASK, end - next) };
    next += task.count;
    return task;
  };
  const report = (part: Report): void => {
    played += part.played;
    virtualMs += part.virtualMs;
    events += part.events;
    crashes += part.crashes;
    for (const failure of part.failures) {
      console.log(`seed ${failure.seed} FAILED: ${failure.message}`);
      failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, () => child(take, report)));
  const seconds = (performance.now() - began) / 1000;
  failures.sort((a, b) => a.seed - b.seed);
  for (const { seed, message, tail } of failures.slice(0, FAILURES_SHOWN)) {
    console.log(`\n${tail.join('\n')}\nseed ${seed} FAILED: ${message}`);
    console.log(`Again: npm run simulate -- --seed ${seed} --trace`);
  }
  console.log(
    `\n${played} seeds from ${from}: ${failures.length} failed. ${crashes} crashes, ` +
      `${events} events, ${(virtualMs / 3_600_000).toFixed(1)} h of virtual time in ` +
      `${seconds.toFixed(0)} s: ${(played / seconds).toFixed(1)} seeds/s.`,
  );
  if (failures.length > 0) process.exitCode = 1;
}

function child(take: () => Task | null, report: (part: Report) => void): Promise<void> {
  const task = take();
  if (task === null) return Promise.resolve();
  const worker = fork(import.meta.filename, ['--child']);
  worker.send(task);
  return new Promise((resolve, reject) => {
    worker.on('message', (part: Report) => {
      report(part);
      const more = take();
      if (more === null) worker.disconnect();
      else worker.send(more);
    });
    worker.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a child of the simulation ended with code ${code}`));
    });
  });
}
