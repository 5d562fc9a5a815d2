/** What does an idle connection cost in memory? As many as the limit of open files allows. */

import type { Contest, Measured } from '../contest.ts';
import { settledBytes } from '../cost.ts';
import { openIdle as openIdleMqtt } from '../load/mqtt-client.ts';
import { openIdle as openIdleNats } from '../load/nats-client.ts';
import { openFilesMax, openMany } from '../load/open-many.ts';
import type { Wire } from '../load/wire.ts';
import { mosquitto } from '../peers/mosquitto.ts';
import { natsServer } from '../peers/nats-server.ts';
import { ours } from '../peers/ours.ts';
import type { Side } from '../peers/peer.ts';

const EACH_MAX = 8 * 1_024;
const EXPLAINED =
  'Resident memory of the server in a quiet while before and after; memory of the kernel for its ' +
  'sockets is not in it, for nobody.';

function idleConnections(
  wire: 'mqtt' | 'nats',
  peer: Side,
  open: (port: number, index: number) => Promise<Wire>,
): Contest {
  return {
    name: `${wire}-idle`,
    title: `Idle ${wire.toUpperCase()} connections`,
    explained: EXPLAINED,
    wire,
    pairs: [[ours, peer]],

    async measure({ share, start }): Promise<Measured[]> {
      const count = Math.round(openFilesMax() * share);
      const running = await start();
      const before = await settledBytes(running);
      const wires = await openMany(count, (index) => open(running.port, index));
      const after = await settledBytes(running);
      await Promise.all(wires.map((one) => one.close()));
      const each = (after - before) / count;
      return [
        { what: 'memory of each', value: each, unit: 'bytes', atMost: EACH_MAX },
        { what: `with ${count} of them`, value: after / 1e6, unit: 'MB' },
        { what: 'with none', value: before / 1e6, unit: 'MB' },
      ];
    },
  };
}

export const mqttIdle = idleConnections('mqtt', mosquitto, (port, index) =>
  openIdleMqtt(port, `idle-${index}`),
);
export const natsIdle = idleConnections('nats', natsServer, (port) => openIdleNats(port));
