/** Starts the load and the sink as processes of their own and reads their one line. */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadName, LoadResult, LoadSpec, Moment } from './spec.ts';

/** The generator keeps one core busy; collecting by threads would wait for the server's core. */
const LOAD_FLAGS = ['--single-threaded-gc'];

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** @param onMoment called when the measured part begins and ends */
export async function runLoad(
  spec: LoadSpec,
  onMoment: (moment: Moment) => void = () => {},
): Promise<LoadResult> {
  const args = [...LOAD_FLAGS, here('main.ts'), JSON.stringify(spec)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
    for (let lf = out.indexOf('\n'); lf >= 0 && out[0] !== '{'; lf = out.indexOf('\n')) {
      onMoment(out.slice(0, lf) as Moment);
      out = out.slice(lf + 1);
    }
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`load ${spec.load}: ${reasonIn(err)}`);
  return JSON.parse(out) as LoadResult;
}

/** The message of the uncaught error in a process's last words. */
function reasonIn(err: string): string {
  return /^\w*Error: (.*)$/m.exec(err)?.[1] ?? err.trim().slice(-200);
}

export interface Sink {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startSink(load: LoadName): Promise<Sink> {
  const child = spawn(process.execPath, [here('sink.ts'), load], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await portOf(child);
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null) return resolve();
        child.once('close', () => resolve());
        child.kill('SIGKILL');
      }),
  };
}

function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('close', () => reject(new Error('the sink did not start')));
    child.stdout?.on('data', (chunk: Buffer) => {
      const found = /:(\d+)\s/.exec(chunk.toString());
      if (found !== null) resolve(Number(found[1]));
    });
  });
}
