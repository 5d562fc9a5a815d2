/** What the benchmarks of the log engine share: an engine on the real disk, and data for it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type EngineLimits, type LogEngine, openEngine, realFiles, type ShardLog } from '#storage';
import { crc32c } from '../src/kit/crc32c.ts';
import { silentLog } from '../src/kit/log.ts';
import { Metrics } from '../src/kit/metrics.ts';
import { realClock, realRandom, realTimers } from '../src/kit/real-time.ts';

const FACTS = {
  ...{ kind: 'data' as const, count: 1, serverPacked: true, origin: 1, principal: 0 },
  ...{ producerId: -1, producerEpoch: -1, baseSequence: -1, attributes: 0 },
};

export interface Rig {
  readonly engine: LogEngine;
  /** Resolves when reorganisation has had nothing to copy for a while. */
  quiet(): Promise<void>;
  /** What the engine counts in `robustmq_storage_…_bytes_total`. */
  counted(what: string): number;
}

/** A folder of its own under the repository's cache, on its disk; gone when the process ends. */
export function scratch(): string {
  const parent = path.join(import.meta.dirname, '..', '.cache', 'bench');
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(path.join(parent, 'storage-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  process.on('SIGINT', () => process.exit(1));
  process.on('SIGTERM', () => process.exit(1));
  return folder;
}

/** Timers of the engine keep no process alive; a benchmark that only waits for one must go on. */
const alive = setInterval(() => {}, 60_000);

/** Ends a benchmark that has closed its engines. */
export function done(): void {
  clearInterval(alive);
}

export async function openRig(directory: string, limits: Partial<EngineLimits> = {}): Promise<Rig> {
  const metrics = new Metrics();
  const engine = await openEngine({
    ...{ directory, files: realFiles, clock: realClock, timers: realTimers, random: realRandom },
    ...{ log: silentLog, metrics, limits },
  });
  const counted = (what: string): number => {
    return metrics.counter(`robustmq_storage_${what}_bytes_total`, '').value;
  };
  const quiet = async (): Promise<void> => {
    await engine.flushed();
    for (let still = 0, last = -1; still < 20; ) {
      await sleep(500);
      const copied = counted('reorganised');
      still = copied === last ? still + 1 : 0;
      last = copied;
    }
  };
  return { engine, quiet, counted };
}

/** A record batch of so many bytes, with a valid checksum. */
export function batchOf(bytes: number): Buffer {
  const batch = Buffer.allocUnsafeSlow(Math.max(bytes, 61)).fill(7);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(0, 12);
  batch[16] = 2;
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** Appends to all logs in turn until so many bytes are written, as fast as the engine takes it. */
export async function fill(
  engine: LogEngine,
  logs: readonly ShardLog[],
  total: number,
  bytes: number,
) {
  const model = batchOf(bytes);
  // What five producers with requests of a mebibyte would have in flight.
  const turnBatches = Math.max(1, Math.min(256, Math.floor((5 * 2 ** 20) / bytes)));
  for (let done = 0, turn = 0; done < total; turn++) {
    if (engine.busy) await new Promise<void>((go) => engine.onRoom(go));
    const log = logs[turn % logs.length]!;
    log.append(Buffer.from(model), { ...FACTS, maxTimestampMs: realClock.nowMs() });
    done += bytes;
    if (turn % turnBatches === turnBatches - 1) await new Promise<void>((go) => setImmediate(go));
  }
  await engine.flushed();
}

/** Appends one batch; resolves when it is durable. */
export function append(log: ShardLog, model: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const facts = { ...FACTS, maxTimestampMs: realClock.nowMs() };
    log.append(Buffer.from(model), facts, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Ids that are spread over the slots. */
export function idOf(index: number): number {
  return ((index * 389) % 1024) * 2 ** 40 + 2048 + index;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A number from the command line (`--name=value`). */
export function numberOf(name: string, usual: number): number {
  const given = process.argv.find((argument) => argument.startsWith(`--${name}=`));
  return given === undefined ? usual : Number(given.split('=')[1]);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
