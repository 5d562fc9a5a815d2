/**
 * RabbitMQ 4.3. Classic durable queues are the usual choice and confirm once a message is in the
 * page cache; quorum queues flush their log before a confirm, also with one member, and so come
 * nearest to ours. The queue type is asked for by the load, so one server is both sides.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianVersion, INSIDE, inDebianRoot, installDebianRoot } from './debian-root.ts';
import { freshFolder, type Running, type Side } from './peer.ts';
import { freePort, ServerProcess } from './server-process.ts';

function rabbit(setting: string, durability: string, queueType?: 'quorum'): Side {
  return {
    ...(queueType === undefined ? {} : { queueType }),
    staysUp: true,
    name: 'rabbitmq',
    setting,
    durability,
    install: installDebianRoot,
    version: () => debianVersion('rabbitmq-server'),
    start,
  };
}

async function start(): Promise<Running> {
  const folder = freshFolder('rabbitmq');
  const inside = `${INSIDE}/rabbitmq`;
  for (const name of ['mnesia', 'log', 'home']) mkdirSync(join(folder, name));
  const [port, distribution, epmd] = [await freePort(), await freePort(), await freePort()];
  const lines = [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    'log.console = false',
    'log.file.level = error',
    'vm_memory_high_watermark.absolute = 4GB',
    'disk_free_limit.absolute = 1GB',
  ];
  writeFileSync(join(folder, 'rabbitmq.conf'), `${lines.join('\n')}\n`);
  const root = inDebianRoot('/usr/lib/rabbitmq/bin/rabbitmq-server', []);
  const server = new ServerProcess({
    ...root,
    log: join(folder, 'server.log'),
    env: {
      HOME: `${inside}/home`,
      LANG: 'C.UTF-8',
      ERL_EPMD_PORT: String(epmd),
      RABBITMQ_NODENAME: 'bench@localhost',
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_MNESIA_BASE: `${inside}/mnesia`,
      RABBITMQ_LOG_BASE: `${inside}/log`,
      RABBITMQ_CONFIG_FILE: `${inside}/rabbitmq.conf`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${inside}/enabled_plugins`,
    },
  });
  await server.listens(port);
  return { port, process: server, stop: () => server.stop() };
}

export const rabbitmqClassic = rabbit('classic queue', 'page cache, no fsync before the confirm');
export const rabbitmqQuorum = rabbit(
  'quorum queue, one member',
  'fsync of the log before the confirm',
  'quorum',
);
