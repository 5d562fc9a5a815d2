/** The parent's hand on a server under overload: its ports, its memory, its disk. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deadline } from '../clients/program.ts';

const START_TIMEOUT_MS = 30_000;
const MIB = 1 << 20;

export interface Order {
  /** Delay of every sync of the real disk. */
  readonly latencyMs?: number;
  /** Bytes that the virtual disk holds; null = as many as wanted. */
  readonly capacityBytes?: number | null;
  /** The answer waits until all that the asked stream took is committed. */
  readonly settle?: boolean;
}

export interface Asked {
  readonly id: number;
  readonly order: Order;
  readonly stream: string;
}

export interface State {
  /** Heap and buffers that are in use, after a garbage collection. */
  readonly liveBytes: number;
  /** The broker had no room at some moment since the question before. */
  readonly busyEver: boolean;
  readonly health: string;
  /** Records of the asked stream. */
  readonly stored: number;
}

/** Small bounds, so that little data shows whether they hold. */
const SMALL: Readonly<Record<string, unknown>> = {
  'storage.wal-file-size': 16 * MIB,
  'storage.in-flight-max': 8 * MIB,
  'storage.cache-size': 8 * MIB,
  'server.message-max': 2 * MIB,
  'nats.pending-bytes-max': 8 * MIB,
};

export class OverloadedServer {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #ports = new Map<string, number>();
  readonly #waiting = new Map<number, (state: State) => void>();
  #asked = 0;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
  }

  static async start(
    options: { virtual?: boolean; set?: Readonly<Record<string, unknown>> } = {},
  ): Promise<OverloadedServer> {
    const directory = mkdtempSync(path.join(tmpdir(), 'overload-'));
    const set = { 'server.data-dir': directory, ...SMALL, ...options.set };
    const given = JSON.stringify({ set, virtual: options.virtual === true });
    // Without the flags of the test runner, which would make a test of it.
    const child = fork(path.join(import.meta.dirname, 'child.ts'), [given], { execArgv: [] });
    const server = new OverloadedServer(child, directory);
    const first = once(child, 'message') as Promise<[{ ports: [string, number][] }]>;
    const [{ ports }] = await deadline(first, START_TIMEOUT_MS, () => 'the server did not start');
    for (const [name, port] of ports) server.#ports.set(name, port);
    child.on('message', ({ id, state }: { id: number; state: State }) => {
      server.#waiting.get(id)?.(state);
      server.#waiting.delete(id);
    });
    return server;
  }

  get running(): boolean {
    return this.#child.exitCode === null;
  }

  port(listener: string): number {
    return this.#ports.get(listener)!;
  }

  address(listener: string): string {
    return `127.0.0.1:${this.port(listener)}`;
  }

  /** Does what `order` says and tells how the server is. */
  async ask(order: Order = {}, stream = ''): Promise<State> {
    const id = ++this.#asked;
    const { promise, resolve } = Promise.withResolvers<State>();
    this.#waiting.set(id, resolve);
    this.#child.send({ id, order, stream });
    return deadline(promise, START_TIMEOUT_MS, () => 'the server does not answer');
  }

  /** The value of a counter, over all its labels. */
  async counter(name: string): Promise<number> {
    const text = await (await fetch(`http://${this.address('admin')}/metrics`)).text();
    let sum = 0;
    for (const [, value] of text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))) {
      sum += Number(value);
    }
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    if (this.running) await exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Watches the server while `work` runs. */
export async function watched(
  server: OverloadedServer,
  work: () => Promise<void>,
): Promise<{ mostBytes: number; busySeen: boolean; looks: number }> {
  const before = (await server.ask()).liveBytes;
  let mostBytes = 0;
  let busySeen = false;
  let looks = 0;
  let over = false;
  const watching = (async () => {
    while (!over) {
      const { liveBytes, busyEver } = await server.ask();
      mostBytes = Math.max(mostBytes, liveBytes - before);
      busySeen ||= busyEver;
      looks++;
      // Between two looks the server works; how often it is looked at decides nothing.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  try {
    await work();
  } finally {
    over = true;
    await watching;
  }
  return { mostBytes, busySeen, looks };
}
