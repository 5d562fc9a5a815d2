/**
 * The real server as a child process, on free ports and a data folder of its own. It is started as
 * a user would start it, can be killed, stopped and restarted on the same folder and ports.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { deadline } from './program.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../bin/robust-server.mjs');
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;
/**
 * The official servers in place of ours, as `kafka=29092,nats=24222`: shows that a test asks for
 * what the peer of its protocol does. Tests that restart or kill the server are not for that.
 */
const PEERS = process.env['TEST_PEERS'] ?? '';
const LISTENERS = ['mqtt', 'mqtt-ws', 'kafka', 'nats', 'nats-ws', 'amqp', 'admin'] as const;

export type ListenerName = (typeof LISTENERS)[number];
export const HOST = '127.0.0.1';
/** The user that exists at first start; from loopback only. */
export const ADMIN = { user: 'admin', password: 'robustmq' } as const;

export interface ServerOptions {
  /** Further flags of `robust-server start`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

// Nothing outlives the tests, whatever ends them.
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export class Server {
  readonly dataDir: string;
  readonly ports: Record<ListenerName, number>;
  /** Everything the running process and those before it printed. */
  readonly output: string[] = [];
  readyMs = Number.NaN;
  readonly #options: ServerOptions;
  #child: ChildProcess | null = null;

  constructor(dataDir: string, options: ServerOptions) {
    this.dataDir = dataDir;
    this.#options = options;
    this.ports = Object.fromEntries(LISTENERS.map((name) => [name, 0])) as typeof this.ports;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the server is not running');
    return pid;
  }

  get running(): boolean {
    return this.#child !== null;
  }

  address(listener: ListenerName): string {
    return `${HOST}:${this.ports[listener]}`;
  }

  /** Starts the process and resolves at its `ready in N ms`. Ports of an earlier start are kept. */
  async start(): Promise<void> {
    if (PEERS !== '') {
      for (const [, name, port] of PEERS.matchAll(/([a-z-]+)=(\d+)/g)) {
        this.ports[name as ListenerName] = Number(port);
      }
      return;
    }
    const listens = LISTENERS.flatMap((name) => [
      `--${name}-listen`,
      `localhost:${this.ports[name]}`,
    ]);
    const args = [PROGRAM, 'start', '--data-dir', this.dataDir, ...listens];
    const child = spawn(process.execPath, [...args, ...(this.#options.flags ?? [])], {
      env: { ...process.env, ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: a kill reaches the server even behind a launcher.
      detached: true,
    });
    this.#child = child;
    running.add(child);
    child.once('exit', () => {
      running.delete(child);
      if (this.#child === child) this.#child = null;
    });
    const ready = this.#awaitReady(child);
    await deadline(ready, START_TIMEOUT_MS, () => `not ready:\n${this.output.join('\n')}`);
  }

  /** kill -9: what was acknowledged before must be there after the next start. */
  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  /** SIGTERM; resolves with the exit code, which is 0 for a clean stop. */
  async stop(): Promise<number | null> {
    return this.#signal('SIGTERM');
  }

  /** A clean stop and a start: one that ends in the middle of its stop fails the test. */
  async restart(): Promise<void> {
    const code = await this.stop();
    if (code !== 0) {
      throw new Error(`the stop ended with code ${code}:\n${this.output.slice(-20).join('\n')}`);
    }
    await this.start();
  }

  /** Resident memory in bytes. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024;
  }

  /** Kills what still runs and removes the data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async #signal(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    const closed = once(child, 'exit');
    process.kill(-this.pid, signal);
    const sentence = () => `the server did not end on ${signal}:\n${this.output.join('\n')}`;
    const [code] = await deadline(closed, STOP_TIMEOUT_MS, sentence);
    return code as number | null;
  }

  async #awaitReady(child: ChildProcess): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const early = () => reject(new Error(`ended before ready:\n${this.output.join('\n')}`));
    child.once('close', early);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) {
        createInterface({ input: stream }).on('line', (line) => {
          this.output.push(line);
          const bound = /^(\S+) listening on \S*?:(\d+)(?:\s|$)/i.exec(line);
          if (bound !== null)
            this.ports[bound[1]?.toLowerCase() as ListenerName] = Number(bound[2]);
          const ready = /ready in (\d+) ms/.exec(line);
          if (ready !== null) {
            this.readyMs = Number(ready[1]);
            resolve();
          }
        });
      }
    }
    await promise;
    child.off('close', early);
  }
}

/** A server that is ready, on a fresh data folder and free ports. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'robustmq-test-'));
  const server = new Server(dataDir, options);
  await server.start();
  return server;
}
