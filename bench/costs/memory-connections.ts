/** What does an idle MQTT connection cost in memory? */

import { type Cost, megabytes, settledBytes } from '../cost.ts';
import { openIdle } from '../load/mqtt-client.ts';
import type { Wire } from '../load/wire.ts';
import { startOurs } from '../peers/ours.ts';

const CONNECTIONS = 10_000;
const AT_ONCE = 100;

export const cost: Cost = {
  name: 'memory-connections',
  title: 'Ten thousand idle MQTT connections',

  async measure(share) {
    const connections = Math.round(CONNECTIONS * share);
    const running = await startOurs('mqtt');
    const idle = await settledBytes(running);
    const wires: Wire[] = [];
    for (let i = 0; i < connections; i += AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, (_, k) =>
        openIdle(running.port, `idle-${i + k}`),
      );
      wires.push(...(await Promise.all(some)));
    }
    const after = await settledBytes(running);
    await Promise.all(wires.map((wire) => wire.close()));
    await running.stop();
    return [
      megabytes('without connections', idle),
      megabytes(`with ${connections}`, after),
      { what: 'each', value: (after - idle) / connections, unit: 'bytes' },
    ];
  },
};
