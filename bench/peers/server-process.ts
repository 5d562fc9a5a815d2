/**
 * A server under test as a process tree: start and wait until it listens, CPU time and memory of
 * the whole tree, stop. Linux only, because it reads /proc.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const PROBE_MS = 50;
/** Kernel ticks per second in /proc/PID/stat: 100 on every Linux port of today. */
const TICKS_PER_SECOND = 100;

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** File that takes both output streams. */
  readonly log: string;
}

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly log: string;
  #exited: Promise<void>;

  constructor(spec: ServerCommand) {
    this.log = spec.log;
    const out = openSync(spec.log, 'w');
    this.#child = spawn(spec.command, spec.args, {
      stdio: ['ignore', out, out],
      env: { ...process.env, ...spec.env },
    });
    closeSync(out);
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.once('error', () => resolve());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until a TCP connection to the port succeeds. */
  async listens(port: number): Promise<void> {
    await this.#until(() => canConnect(port));
  }

  /** Waits until the log has a match and answers it. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null;
    await this.#until(async () => {
      found = pattern.exec(readFileSync(this.log, 'utf8'));
      return found !== null;
    });
    return found!;
  }

  async #until(ready: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await ready())) {
      const tail = () => readFileSync(this.log, 'utf8').trim().slice(-400);
      if (this.#child.exitCode !== null || this.#child.pid === undefined) {
        throw new Error(`ended before it was ready: ${tail()}`);
      }
      if (performance.now() > deadline) throw new Error(`not ready in time: ${tail()}`);
      await pause(PROBE_MS);
    }
  }

  /** User and system time of the tree in seconds. */
  cpuSeconds(): number {
    let ticks = 0;
    for (const pid of this.#tree()) ticks += statOf(pid)?.ticks ?? 0;
    return ticks / TICKS_PER_SECOND;
  }

  /** Resident memory of the tree in bytes. */
  residentBytes(): number {
    let kilobytes = 0;
    for (const pid of this.#tree()) {
      const status = readOr(`/proc/${pid}/status`);
      kilobytes += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    }
    return kilobytes * 1024;
  }

  /** Bytes that the process itself made the disk read and write; sockets are not in it. */
  diskBytes(): { readonly read: number; readonly written: number } {
    const text = readOr(`/proc/${this.pid}/io`);
    const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0);
    return { read: of('read_bytes'), written: of('write_bytes') };
  }

  /** Asks every process of the tree to end; kills what is left after a while. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', patienceMs = STOP_TIMEOUT_MS): Promise<void> {
    const tree = this.#tree();
    const kill = (how: NodeJS.Signals) => {
      for (const pid of tree) send(pid, how);
    };
    kill(signal);
    const timer = setTimeout(() => kill('SIGKILL'), patienceMs);
    await this.#exited;
    clearTimeout(timer);
    kill('SIGKILL');
  }

  #tree(): number[] {
    const children = new Map<number, number[]>();
    for (const name of readdirSync('/proc')) {
      const pid = Number(name);
      if (!Number.isInteger(pid)) continue;
      const parent = statOf(pid)?.parent ?? 0;
      children.set(parent, [...(children.get(parent) ?? []), pid]);
    }
    const tree = [this.pid];
    for (const pid of tree) tree.push(...(children.get(pid) ?? []));
    return tree;
  }
}

function statOf(pid: number): { parent: number; ticks: number } | undefined {
  const stat = readOr(`/proc/${pid}/stat`);
  if (stat === '') return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
}

/** A process may end between the listing and the read. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port that was free a moment ago, for servers that cannot report the one they got. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}
