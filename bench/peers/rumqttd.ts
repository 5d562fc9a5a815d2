/** rumqttd from crates.io: an MQTT broker in Rust that keeps everything in memory. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshFolder, isInstalled, PEERS, type Running, runStep, type Side } from './peer.ts';
import { freePort, ServerProcess } from './server-process.ts';

const VERSION = '0.20.0';
const FOLDER = join(PEERS, 'rumqttd');
const BINARY = join(FOLDER, 'bin/rumqttd');

export const rumqttd: Side = {
  name: 'rumqttd',
  setting: 'limits lifted',
  durability: 'memory only',

  install() {
    if (isInstalled(BINARY)) return;
    mkdirSync(FOLDER, { recursive: true });
    runStep('cargo', ['install', 'rumqttd', '--version', VERSION, '--root', FOLDER], {});
  },

  version: () => VERSION,

  async start(): Promise<Running> {
    const folder = freshFolder('rumqttd');
    const port = await freePort();
    const config = join(folder, 'rumqttd.toml');
    writeFileSync(config, settings(port));
    const server = new ServerProcess({
      command: BINARY,
      args: ['-c', config],
      log: join(folder, 'server.log'),
    });
    await server.listens(port);
    return { port, process: server, stop: () => server.stop() };
  },
};

function settings(port: number): string {
  return `id = 0

[router]
id = 0
max_connections = 20000
max_outgoing_packet_count = 10000
max_segment_size = 104857600
max_segment_count = 10

[v4.1]
name = "v4-1"
listen = "127.0.0.1:${port}"
next_connection_delay_ms = 1

[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 10000
dynamic_filters = true
`;
}
