/**
 * The bank test of exactly-once (K72): two workers consume transfers and book each as two entries
 * of a ledger, in transactions, while the server is killed with SIGKILL at random moments, and the
 * workers too. After each cycle the whole ledger is read: every transfer that the group has passed
 * is booked once, with both of its entries, no other is, and the sum is what it was.
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Program, run } from '../clients/program.ts';
import { pythonArguments, pythonEnvironment } from '../clients/python-scenarios.ts';
import { startServer } from '../clients/server.ts';

const WORKERS = 2;
const TRANSFERS = 100_000;
const RUN_MS_MIN = 300;
const RUN_MS_MORE = 1_500;
const PATIENCE_MS = 120_000;

export interface BankOptions {
  readonly cycles: number;
  readonly seed: number;
  /** Folder of the Python packages. */
  readonly packages: string;
  readonly say: (line: string) => void;
}

interface Audit {
  readonly done: number;
  readonly booked: number;
  readonly sum: number;
  readonly wrong: readonly unknown[];
}

/** @returns how many transfers were booked */
export async function runBank({ cycles, seed, packages, say }: BankOptions): Promise<number> {
  const random = seeded(seed);
  const server = await startServer();
  const env = pythonEnvironment(packages);
  const python = (...args: string[]): string[] =>
    pythonArguments('bank.py', [server.address('kafka'), ...args]);
  const work = (): Program[] =>
    Array.from({ length: WORKERS }, (_, worker) => {
      return new Program('python3', python('work', String(worker)), { env });
    });
  let workers: Program[] = [];
  try {
    await run('python3', python('open', String(TRANSFERS)), { env, timeoutMs: PATIENCE_MS });
    let booked = 0;
    for (let cycle = 1; cycle <= cycles; cycle++) {
      workers = workers.length === 0 ? work() : workers;
      await Promise.all(workers.map((worker) => worker.line((line) => line === 'working')));
      await pause(RUN_MS_MIN + random() * RUN_MS_MORE);
      const killsWorkers = random() < 0.5;
      if (killsWorkers && random() < 0.5) await Promise.all(workers.map((worker) => worker.kill()));
      await server.kill();
      await server.start();
      // Half of the time they go on with the next server as if nothing had been.
      if (!killsWorkers) await pause(random() * RUN_MS_MORE);
      await Promise.all(workers.map((worker) => worker.kill()));
      workers = [];
      const audit = await audited(python, env);
      assert.equal(audit.sum, 0, 'the sum has changed');
      assert.deepEqual(audit.wrong, [], 'transfers are booked wrongly');
      assert.equal(audit.booked, audit.done, 'what is passed and what is booked differ');
      assert.ok(audit.done >= booked, 'what was booked is gone');
      booked = audit.done;
      say(`cycle ${cycle}: ${booked} transfers, the sum is ${audit.sum}`);
    }
    return booked;
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
    await server[Symbol.asyncDispose]();
  }
}

async function audited(
  python: (...args: string[]) => string[],
  env: Readonly<Record<string, string>>,
): Promise<Audit> {
  const { text } = await run('python3', python('audit'), { env, timeoutMs: PATIENCE_MS });
  return JSON.parse(text) as Audit;
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
