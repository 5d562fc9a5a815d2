/**
 * Mosquitto 2.1. As usual: sessions in memory, snapshots now and then, nothing is flushed before a
 * PUBACK. Nearest to ours: its SQLite store with full synchronisation. Queue and in-flight limits
 * are lifted in both, because a session must keep each message.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianVersion, INSIDE, inDebianRoot, installDebianRoot } from './debian-root.ts';
import { freshFolder, type Running, type Side } from './peer.ts';
import { freePort, ServerProcess } from './server-process.ts';

const SQLITE = '/usr/lib/x86_64-linux-gnu/mosquitto/mosquitto_persist_sqlite.so';

interface Setting {
  readonly name: string;
  readonly setting: string;
  readonly durability: string;
  readonly lines: (inside: string) => readonly string[];
}

function mosquittoWith(setting: Setting): Side {
  return {
    name: 'mosquitto',
    setting: setting.setting,
    durability: setting.durability,
    install: installDebianRoot,
    version: () => debianVersion('mosquitto'),
    start: () => start(setting),
  };
}

async function start(setting: Setting): Promise<Running> {
  const folder = freshFolder(setting.name);
  const inside = `${INSIDE}/${setting.name}`;
  const port = await freePort();
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'max_inflight_messages 0',
    'max_queued_messages 0',
    'max_queued_bytes 0',
    'set_tcp_nodelay true',
    'log_type error',
    'log_dest stdout',
    'user root',
    ...setting.lines(inside),
  ];
  writeFileSync(join(folder, 'mosquitto.conf'), `${lines.join('\n')}\n`);
  const server = new ServerProcess({
    ...inDebianRoot('/usr/sbin/mosquitto', ['-c', `${inside}/mosquitto.conf`]),
    log: join(folder, 'server.log'),
  });
  await server.listens(port);
  return { port, process: server, stop: () => server.stop() };
}

export const mosquitto = mosquittoWith({
  name: 'mosquitto',
  setting: 'usual',
  durability: 'snapshot each 30 min, no fsync before PUBACK',
  lines: (inside) => ['persistence true', `persistence_location ${inside}/`],
});

export const mosquittoSqlite = mosquittoWith({
  name: 'mosquitto-sqlite',
  setting: 'SQLite store, sync full, shortest flush period',
  durability: 'fdatasync of its SQLite store, one for all messages of a turn',
  lines: (inside) => [
    `persistence_location ${inside}/`,
    `global_plugin ${SQLITE}`,
    'plugin_opt_sync full',
    'plugin_opt_flush_period 0',
  ],
});
