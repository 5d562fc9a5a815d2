/**
 * Do ten thousand clients that connect within a second, and then leave at once, make others wait? A
 * pair of clients exchanges 1 000 messages a second meanwhile.
 */

import type { Cost } from '../cost.ts';
import { runLoad } from '../load/child.ts';
import { openIdle } from '../load/mqtt-client.ts';
import { PLAIN } from '../load/spec.ts';
import type { Wire } from '../load/wire.ts';
import { type RunningOurs, startOurs } from '../peers/ours.ts';

const CLIENTS = 10_000;
const WITHIN_MS = 1_000;
const PER_SECOND = 1_000;
const PAYLOAD_BYTES = 128;
const ROUNDS = 3;
const MEASURE_MS = 6_000;
const WAIT_MAX_US = 100_000;

export const cost: Cost = {
  name: 'connect-storm',
  title: '10 000 clients connect within a second and leave at once, beside 1 000 messages/s',

  async measure(share) {
    const running = await startOurs('mqtt');
    const clients = Math.round(CLIENTS * share);
    const waits: number[] = [];
    const answered: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { waitUs, answeredMs } = await storm(running, clients, round);
      waits.push(waitUs);
      answered.push(answeredMs);
    }
    await running.stop();
    const middle = (all: number[]) => all.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
    return [
      { what: 'all connected after', value: middle(answered), unit: 'ms' },
      { what: 'longest wait of a message', value: middle(waits), unit: 'us', atMost: WAIT_MAX_US },
      { what: 'in the worst round', value: Math.max(...waits), unit: 'us' },
    ];
  },
};

async function storm(
  running: RunningOurs,
  clients: number,
  round: number,
): Promise<{ waitUs: number; answeredMs: number }> {
  const began = Promise.withResolvers<void>();
  const spec = { load: 'mqtt-paced', port: running.port, payloadBytes: PAYLOAD_BYTES } as const;
  const rest = { window: 0, warmMs: 500, runMs: MEASURE_MS, perSecond: PER_SECOND };
  const beside = runLoad({ ...PLAIN, ...spec, ...rest, name: `beside-${round}` }, () => {
    began.resolve();
  });
  await began.promise;
  const startMs = performance.now();
  const wires = await connectAll(running.port, clients, `storm-${round}`);
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
