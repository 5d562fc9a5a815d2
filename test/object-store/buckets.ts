/** Real servers of the S3 protocol as child processes, each with one empty bucket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Program } from '../clients/program.ts';
import { moto, ready, versitygw } from '../clients/toolchains/index.ts';

export const BUCKET = 'robustmq-test';
export const KEYS = { accessKeyId: 'test-access', secretAccessKey: 'test-secret' } as const;

export interface BucketServer {
  readonly endpoint: string;
  /** Ends the process; the bucket's content stays where the server keeps it on disk. */
  stop(): Promise<void>;
  /** On the same port and folder. */
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

// Nothing outlives the tests, whatever ends them.
const running = new Set<Program>();
process.once('exit', () => {
  for (const program of running) void program.kill();
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export type BucketServerName = 'moto' | 'versitygw';

/** Why the server cannot be had on this machine, or null. */
export async function lacking(name: BucketServerName): Promise<string | null> {
  return (await ready(name === 'moto' ? moto : versitygw)).missing;
}

export async function startBucketServer(name: BucketServerName): Promise<BucketServer> {
  const { folder } = await ready(name === 'moto' ? moto : versitygw);
  if (folder === null) throw new Error(`${name} is not installed`);
  const port = await freePort();
  const data = mkdtempSync(path.join(tmpdir(), 'bucket-test-'));
  const endpoint = `http://127.0.0.1:${port}`;
  let program: Program | null = null;
  const server: BucketServer = {
    endpoint,
    async start() {
      if (name === 'moto') {
        program = new Program(
          'python3',
          ['-m', 'moto.server', '-H', '127.0.0.1', '-p', `${port}`],
          {
            env: { PYTHONPATH: folder, PYTHONUNBUFFERED: '1' },
          },
        );
        running.add(program);
        await program.line((line) => line.includes('Running on'));
        await fetch(`${endpoint}/${BUCKET}`, { method: 'PUT' });
      } else {
        await mkdir(path.join(data, BUCKET), { recursive: true });
        const place = ['--port', `127.0.0.1:${port}`, 'posix', data];
        program = new Program(path.join(folder, 'versitygw'), place, {
          env: {
            ROOT_ACCESS_KEY: KEYS.accessKeyId,
            ROOT_SECRET_KEY: KEYS.secretAccessKey,
          },
        });
        running.add(program);
        await connectable(port);
      }
    },
    async stop() {
      if (program === null) return;
      await program.kill();
      running.delete(program);
      program = null;
    },
    async [Symbol.asyncDispose]() {
      await this.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when something listens: the server prints nothing that could be waited for. */
async function connectable(port: number): Promise<void> {
  const untilMs = performance.now() + 20_000;
  while (!(await connects(port))) {
    if (performance.now() > untilMs) throw new Error(`nothing listens on ${port}`);
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => setTimeout(resolve, 20, false));
  });
}
