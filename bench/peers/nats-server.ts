/** nats-server from its Go module. Core NATS: nothing is stored on either side. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  freshFolder,
  isInstalled,
  outputOf,
  PEERS,
  type Running,
  runStep,
  type Side,
} from './peer.ts';
import { freePort, ServerProcess } from './server-process.ts';

const VERSION = 'v2.15.2';
const FOLDER = join(PEERS, 'nats');
const BINARY = join(FOLDER, 'nats-server');

export const natsServer: Side = {
  name: 'nats-server',
  setting: 'usual',
  durability: 'none (core NATS)',

  install() {
    if (isInstalled(BINARY)) return;
    mkdirSync(FOLDER, { recursive: true });
    runStep('go', ['install', `github.com/nats-io/nats-server/v2@${VERSION}`], { GOBIN: FOLDER });
  },

  version() {
    return outputOf(BINARY, ['--version']).replace(/.*v/s, '').trim();
  },

  async start(): Promise<Running> {
    const folder = freshFolder('nats-server');
    const port = await freePort();
    const server = new ServerProcess({
      command: BINARY,
      args: ['-a', '127.0.0.1', '-p', String(port)],
      log: join(folder, 'server.log'),
    });
    await server.listens(port);
    return { port, process: server, stop: () => server.stop() };
  },
};
