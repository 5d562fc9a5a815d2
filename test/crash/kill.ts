/** kill -9 of the server process; the file system keeps what was written. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Server } from '../clients/server.ts';
import type { Striker } from '../load/trial.ts';

export const kill: Striker = {
  async open(flags) {
    const server = new Server(await mkdtemp(path.join(tmpdir(), 'robustmq-crash-')), { flags });
    await server.start();
    return server;
  },
  strike: (server) => server.kill(),
  async close(server, keep) {
    if (keep) console.log(`evidence: ${server.dataDir}`);
    else await rm(server.dataDir, { recursive: true });
  },
};
