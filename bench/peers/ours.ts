/** Our server as a user starts it, with the ports left to the system. */

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WireName } from '../load/spec.ts';
import { freshFolder, ROOT, type Running, type Side } from './peer.ts';
import { ServerProcess } from './server-process.ts';

const LISTENERS = ['mqtt', 'kafka', 'nats', 'amqp'];
const WEB = ['mqtt-ws', 'nats-ws'];

export interface OursOptions {
  /** Flags of `robust-server start` beyond folder and ports. */
  readonly flags?: readonly string[];
  /** Flags of Node, for profiles. */
  readonly nodeFlags?: readonly string[];
  /** WebSocket too, on free ports; otherwise what the load does not need stays closed. */
  readonly allListeners?: boolean;
  /** Keep what an earlier start stored. */
  readonly folder?: string;
}

export function oursWith(setting: string, durability: string, options: OursOptions = {}): Side {
  return {
    name: 'ours',
    setting,
    durability,
    install() {},
    version,
    start: (wire) => startOurs(wire, options),
  };
}

export const ours = oursWith('usual', 'fdatasync before each acknowledgement');

export interface RunningOurs extends Running {
  readonly process: ServerProcess;
  readonly kafkaPort: number;
  readonly adminPort: number;
  readonly ports: Readonly<Record<WireName, number>>;
}

export async function startOurs(wire: WireName, options: OursOptions = {}): Promise<RunningOurs> {
  const folder = options.folder ?? freshFolder('ours');
  mkdirSync(folder, { recursive: true });
  const listens = LISTENERS.flatMap((name) => [`--${name}-listen`, '127.0.0.1:0']);
  const where = options.allListeners === true ? '127.0.0.1:0' : '';
  const rest = WEB.flatMap((name) => [`--${name}-listen`, where]);
  const server = new ServerProcess({
    command: process.execPath,
    args: [
      ...(options.nodeFlags ?? []),
      join(ROOT, 'bin/robust-server.mjs'),
      'start',
      ...['--data-dir', join(folder, 'data'), '--admin-listen', '127.0.0.1:0'],
      ...listens,
      ...rest,
      ...(options.flags ?? []),
    ],
    log: join(folder, 'server.log'),
  });
  await server.prints(/^ready in \d+ ms$/m);
  const portOf = async (name: string): Promise<number> => {
    const line = await server.prints(new RegExp(`^${name} listening on .*:(\\d+)$`, 'm'));
    return Number(line[1]);
  };
  const admin = await portOf('admin');
  const [mqtt, kafka] = [await portOf('mqtt'), await portOf('kafka')];
  const ports = { mqtt, kafka, nats: await portOf('nats'), amqp: await portOf('amqp') };
  return {
    ...{ port: ports[wire], kafkaPort: kafka, adminPort: admin, ports },
    process: server,
    loopDelayMs: async () => 1000 * (await metricOf(admin, LOOP_DELAY_P99)),
    stop: (signal, patienceMs) => server.stop(signal, patienceMs),
  };
}

const LOOP_DELAY_P99 = 'nodejs_eventloop_delay_seconds{quantile="0.99"}';

/** One value of our metrics endpoint. */
export async function metricOf(adminPort: number, series: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
  const line = (await answer.text()).split('\n').find((text) => text.startsWith(`${series} `));
  if (line === undefined) throw new Error(`our server has no metric ${series}`);
  return Number(line.slice(series.length));
}

function version(): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
