/** What do ten million stored messages cost in memory, and how long does a start with them take? */

import { join } from 'node:path';
import { type Cost, type CostFigure, megabytes, settledBytes } from '../cost.ts';
import { runLoad } from '../load/child.ts';
import { PLAIN } from '../load/spec.ts';
import { startOurs } from '../peers/ours.ts';
import { freshFolder, outputOf } from '../peers/peer.ts';

const MESSAGES = 10_000_000;
const PAYLOAD_BYTES = 128;
const START_MAX_MS = 2_000;
/** Nothing for each message; what memory does by itself must not count as something. */
const EACH_MAX = 2;

export const cost: Cost = {
  name: 'memory-messages',
  title: 'Ten million stored messages of 128 B',

  async measure(share) {
    const folder = freshFolder('memory-messages');
    const records = Math.round(MESSAGES * share);
    const first = await startOurs('mqtt', { folder });
    const idle = await settledBytes(first);
    const tenth = await store(first.port, Math.round(records / 10));
    const early = await settledBytes(first);
    const stored = tenth + (await store(first.port, records - tenth));
    const after = await settledBytes(first);
    await first.stop();
    const disk = Number(outputOf('du', ['-sb', join(folder, 'data')]).split('\t')[0]);

    const started = performance.now();
    const second = await startOurs('mqtt', { folder });
    const startMs = performance.now() - started;
    const again = await settledBytes(second);
    await second.stop();
    const seconds: CostFigure = {
      ...{ what: 'second start', value: startMs, unit: 'ms', atMost: START_MAX_MS },
    };
    const each = (after - early) / (stored - tenth);
    return [
      megabytes('idle', idle),
      megabytes(`after ${tenth} messages`, early),
      megabytes(`after ${stored} messages`, after),
      { what: 'each beyond those', value: each, unit: 'bytes', atMost: EACH_MAX },
      megabytes('on disk', disk),
      { what: 'on disk for each message', value: disk / stored, unit: 'bytes' },
      seconds,
      megabytes('after the second start', again),
    ];
  },
};

async function store(port: number, records: number): Promise<number> {
  const spec = { load: 'mqtt-store', port, payloadBytes: PAYLOAD_BYTES, window: 1_000 } as const;
  const result = await runLoad({ ...PLAIN, ...spec, warmMs: 0, runMs: 0, records, name: 'store' });
  return result.messages;
}
