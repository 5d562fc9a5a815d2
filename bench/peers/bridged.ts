/** What people run today to cross from MQTT to Kafka: Mosquitto, a bridge process, Apache Kafka. */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kafkaPageCache } from './apache-kafka.ts';
import { mosquitto } from './mosquitto.ts';
import { freshFolder, type Running, type Side } from './peer.ts';
import { ServerProcess } from './server-process.ts';

const BRIDGE = fileURLToPath(new URL('bridge.ts', import.meta.url));

export const bridged: Side = {
  name: 'mosquitto, bridge, kafka',
  setting: 'MQTT.js to kafkajs',
  durability: 'memory of Mosquitto and of the bridge, then page cache',
  staysUp: true,
  version: () => `${mosquitto.version()}, ${kafkaPageCache.version()}`,
  install() {
    mosquitto.install();
    kafkaPageCache.install();
  },
  start: startBridged,
};

async function startBridged(): Promise<Running> {
  const from = await mosquitto.start('mqtt');
  const to = await kafkaPageCache.start('kafka');
  const bridge = new ServerProcess({
    command: process.execPath,
    args: [BRIDGE, String(from.port), String(to.port)],
    log: join(freshFolder('bridge'), 'bridge.log'),
  });
  await bridge.prints(/^bridging$/m);
  const parts = [from.process, to.process, bridge];
  const sum = (of: (part: (typeof parts)[number]) => number) =>
    parts.reduce((all, part) => all + of(part), 0);
  return {
    ...{ port: from.port, kafkaPort: to.port },
    process: {
      cpuSeconds: () => sum((part) => part.cpuSeconds()),
      residentBytes: () => sum((part) => part.residentBytes()),
    },
    async stop() {
      await bridge.stop();
      await from.stop();
      await to.stop();
    },
  };
}
