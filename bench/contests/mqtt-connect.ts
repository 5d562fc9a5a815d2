/** How many clients can connect in a second? */

import type { Contest, Measured } from '../contest.ts';
import { runLoad, startSink } from '../load/child.ts';
import { type LoadSpec, PLAIN } from '../load/spec.ts';
import { mosquitto } from '../peers/mosquitto.ts';
import { ours } from '../peers/ours.ts';

const WINDOW = 100;
const WARM_MS = 1_000;
const RUN_MS = 3_000;
const LOAD = 'mqtt-connect';

export const contest: Contest = {
  name: 'mqtt-connect',
  title: 'MQTT clients that connect, get their CONNACK and leave, 100 at a time',
  explained:
    'The ceiling is what the load reaches against a process that only answers; it is measured in ' +
    'the turn of ours, and in that of the peer, so that their spread shows the machine.',
  wire: 'mqtt',
  pairs: [[ours, mosquitto]],

  async measure({ share, start, name }): Promise<Measured[]> {
    const running = await start();
    const cpu = { begin: 0, end: 0 };
    const onMoment = (moment: 'begin' | 'end') => {
      cpu[moment] = running.process.cpuSeconds();
    };
    const spec = { ...PLAIN, load: LOAD, payloadBytes: 0, window: WINDOW, name } as const;
    const timed: Omit<LoadSpec, 'port'> = {
      ...spec,
      warmMs: WARM_MS,
      runMs: Math.max(500, RUN_MS * share),
    };
    const { perSecond, messages } = await runLoad({ ...timed, port: running.port }, onMoment);
    const sink = await startSink(LOAD);
    const ceiling = await runLoad({ ...timed, port: sink.port });
    await sink.stop();
    const each = ((cpu.end - cpu.begin) * 1e6) / Math.max(1, messages);
    return [
      { what: 'connects', value: perSecond, unit: '/s' },
      { what: 'CPU of the server for each', value: each, unit: 'us' },
      { what: 'ceiling of the load', value: ceiling.perSecond, unit: '/s' },
    ];
  },
};
