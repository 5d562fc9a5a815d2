/**
 * Do ten thousand clients that connect within a second, and then leave at once, make others wait? A
 * pair of clients exchanges 1 000 messages a second meanwhile.
 */

import type { Contest, Measured } from '../contest.ts';
import { runLoad } from '../load/child.ts';
import { openIdle } from '../load/mqtt-client.ts';
import { PLAIN } from '../load/spec.ts';
import type { Wire } from '../load/wire.ts';
import { mosquitto } from '../peers/mosquitto.ts';
import { ours } from '../peers/ours.ts';

const CLIENTS = 10_000;
const WITHIN_MS = 1_000;
const PER_SECOND = 1_000;
const PAYLOAD_BYTES = 128;
const STORMS = 3;
const MEASURE_MS = 6_000;
const WAIT_MAX_US = 100_000;

export const contest: Contest = {
  name: 'connect-storm',
  title: '10 000 MQTT clients connect within a second and leave at once, beside 1 000 messages/s',
  explained:
    'Three storms in each turn, the one in the middle counts. The wait is that of a message from ' +
    'when it was due to when it arrived.',
  wire: 'mqtt',
  pairs: [[ours, mosquitto]],

  async measure({ share, start, name }): Promise<Measured[]> {
    const { port } = await start();
    const clients = Math.round(CLIENTS * share);
    const storms: Storm[] = [];
    for (let n = 0; n < STORMS; n++) storms.push(await storm(port, clients, `${name}-${n}`));
    const middle = (of: keyof Storm) =>
      storms.map((one) => one[of]).toSorted((a, b) => a - b)[STORMS >> 1] ?? 0;
    const waits = storms.map(({ waitUs }) => waitUs);
    return [
      { what: 'all connected after', value: middle('answeredMs'), unit: 'ms' },
      { what: 'longest wait', value: middle('waitUs'), unit: 'us', atMost: WAIT_MAX_US },
      { what: 'longest wait of the worst storm', value: Math.max(...waits), unit: 'us' },
    ];
  },
};

interface Storm {
  readonly waitUs: number;
  readonly answeredMs: number;
}

async function storm(port: number, clients: number, name: string): Promise<Storm> {
  const began = Promise.withResolvers<void>();
  const spec = { load: 'mqtt-paced', port, payloadBytes: PAYLOAD_BYTES } as const;
  const rest = { window: 0, warmMs: 500, runMs: MEASURE_MS, perSecond: PER_SECOND };
  const beside = runLoad({ ...PLAIN, ...spec, ...rest, name: `${name}-beside` }, () => {
    began.resolve();
  });
  await began.promise;
  const startMs = performance.now();
  const wires = await connectAll(port, clients, name);
  const answeredMs = performance.now() - startMs;
  await Promise.all(wires.map((wire) => wire.close()));
  const { latency } = await beside;
  return { waitUs: latency?.max ?? 0, answeredMs };
}

/** As many as are due at each moment, whether the earlier ones were answered or not. */
async function connectAll(port: number, clients: number, name: string): Promise<Wire[]> {
  const opening: Promise<Wire>[] = [];
  const startMs = performance.now();
  while (opening.length < clients) {
    const due = ((performance.now() - startMs) / WITHIN_MS) * clients;
    while (opening.length < Math.min(due, clients)) {
      opening.push(openIdle(port, `${name}-${opening.length}`));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return Promise.all(opening);
}
