/** Our server as a user starts it, with the ports left to the system. */

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WireName } from '../load/spec.ts';
import { freshFolder, ROOT, type Running, type Side } from './peer.ts';
import { ServerProcess } from './server-process.ts';

const LISTENERS = ['mqtt', 'kafka', 'nats', 'amqp'];
const OFF = ['mqtt-ws', 'nats-ws'];

export interface OursOptions {
  /** Flags of `robust-server start` beyond folder and ports. */
  readonly flags?: readonly string[];
  /** Flags of Node, for profiles. */
  readonly nodeFlags?: readonly string[];
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

export async function startOurs(wire: WireName, options: OursOptions = {}): Promise<Running> {
  const folder = options.folder ?? freshFolder('ours');
  mkdirSync(folder, { recursive: true });
  const listens = LISTENERS.flatMap((name) => [`--${name}-listen`, '127.0.0.1:0']);
  const silent = OFF.flatMap((name) => [`--${name}-listen`, '']);
  const server = new ServerProcess({
    command: process.execPath,
    args: [
      ...(options.nodeFlags ?? []),
      join(ROOT, 'bin/robust-server.mjs'),
      'start',
      ...['--data-dir', join(folder, 'data'), '--admin-listen', '127.0.0.1:0'],
      ...listens,
      ...silent,
      ...(options.flags ?? []),
    ],
    log: join(folder, 'server.log'),
  });
  await server.prints(/^ready in \d+ ms$/m);
  const line = await server.prints(new RegExp(`^${wire} listening on .*:(\\d+)$`, 'm'));
  return { port: Number(line[1]), process: server, stop: () => server.stop() };
}

function version(): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
