/**
 * Does a publisher at full speed, a reader that catches up and a consumer that does not read make a
 * fourth client wait, which sends 1 000 messages a second?
 */

import type { Cost, CostFigure } from '../cost.ts';
import { runLoad } from '../load/child.ts';
import { CONSUME, type Consumer } from '../load/consumers.ts';
import { Client, publishPacket } from '../load/mqtt-client.ts';
import { numbered } from '../load/payload.ts';
import { flowWindow, Pump, ringOf } from '../load/pump.ts';
import { PLAIN } from '../load/spec.ts';
import { type RunningOurs, startOurs } from '../peers/ours.ts';

const BACKLOG = 2_000_000;
const PAYLOAD_BYTES = 128;
const PER_SECOND = 1_000;
const MEASURE_MS = 6_000;
const P99_MAX_US = 10_000;
const LOOP_DELAY_MAX_MS = 20;

export const cost: Cost = {
  name: 'isolation',
  title: 'A client at 1 000 messages/s beside full speed, catch-up and a slow consumer',

  async measure(share) {
    const running = await startOurs('mqtt');
    const alone = await fourth(running, share);
    await store(running, Math.round(BACKLOG * share));
    const neighbours = await Promise.all([fullSpeed(running), catchUp(running), stalled(running)]);
    await running.loopDelayMs?.();
    const beside = await fourth(running, share);
    const delay = (await running.loopDelayMs?.()) ?? 0;
    await Promise.all(neighbours.map((one) => one.close()));
    await running.stop();
    const delayed: CostFigure = { what: 'event loop delay p99', value: delay, unit: 'ms' };
    return [
      { what: 'p99 alone', value: alone, unit: 'us' },
      { what: 'p99 beside them', value: beside, unit: 'us', atMost: P99_MAX_US },
      { ...delayed, atMost: LOOP_DELAY_MAX_MS },
    ];
  },
};

/** Time from due to arrived of QoS 0 messages, 99th percentile in us. */
async function fourth(running: RunningOurs, share: number): Promise<number> {
  const runMs = Math.max(1_000, MEASURE_MS * share);
  const spec = { load: 'mqtt-paced', port: running.port, payloadBytes: PAYLOAD_BYTES } as const;
  const plain = { ...PLAIN, window: 0, warmMs: 500, runMs };
  const { latency } = await runLoad({ ...plain, ...spec, perSecond: PER_SECOND, name: 'fourth' });
  return latency?.p99 ?? 0;
}

async function store(running: RunningOurs, records: number): Promise<void> {
  const spec = { load: 'mqtt-store', port: running.port, payloadBytes: PAYLOAD_BYTES } as const;
  const plain = { ...PLAIN, window: 1_000, warmMs: 0, runMs: 0 };
  await runLoad({ ...plain, ...spec, records, name: 'backlog' });
}

type Neighbour = Pick<Consumer, 'close'>;

/** QoS 1 with a wide window, as fast as it is acknowledged. */
async function fullSpeed(running: RunningOurs): Promise<Neighbour> {
  const client = await Client.open(running.ports.mqtt, 'full-speed', true);
  const frame = (i: number) => publishPacket('full/speed', numbered(i, PAYLOAD_BYTES), i + 1);
  const ring = ringOf(60_000, frame);
  const pump = new Pump(client.wire, ring, flowWindow(ring.frameBytes));
  client.onDrained = () => {
    const { pubacks } = client;
    client.pubacks = 0;
    if (pubacks > 0) pump.completed(pubacks);
  };
  pump.start();
  return {
    close() {
      pump.stop();
      return client.leave();
    },
  };
}

function catchUp(running: RunningOurs): Promise<Neighbour> {
  return CONSUME.kafka(running.ports.kafka, 'bench', 0);
}

/** Subscribes to what comes at full speed and never reads: its socket fills up. */
async function stalled(running: RunningOurs): Promise<Neighbour> {
  const client = await Client.open(running.ports.mqtt, 'stalled', true);
  await client.subscribe('full/#', 0);
  client.wire.pause();
  return { close: () => client.wire.close() };
}
