/** What the benchmarks of the log engine share: an engine on the real disk, and data for it. */
// Like the server: other flags collect more often.
import '../src/server/runtime-flags.ts';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  type EngineLimits,
  type Files,
  type LogEngine,
  openEngine,
  realFiles,
  type ShardLog,
} from '#storage';
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

/** Data for a benchmark: made by this process, or by an earlier one that was to keep it. */
export interface Prepared {
  readonly folder: string;
  readonly isFilled: boolean;
  /** Says that everything is there: the folder can serve again. */
  filled(): void;
}

/** A folder of its own, or the one of `--folder=DIR`, which stays. */
export function prepared(name: string): Prepared {
  const given = textOf('folder');
  if (given === null) return { folder: scratch(), isFilled: false, filled: () => {} };
  const folder = path.join(given, name);
  const mark = `${folder}.filled`;
  const isFilled = existsSync(mark);
  if (!isFilled) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return { folder, isFilled, filled: () => writeFileSync(mark, '') };
}

/** Timers of the engine keep no process alive; a benchmark that only waits for one must go on. */
const alive = setInterval(() => {}, 60_000);

/** Ends a benchmark that has closed its engines. */
export function done(): void {
  clearInterval(alive);
}

export async function openRig(
  directory: string,
  limits: Partial<EngineLimits> = {},
  files: Files = realFiles,
): Promise<Rig> {
  const metrics = new Metrics();
  const engine = await openEngine({
    ...{ directory, files, clock: realClock, timers: realTimers, random: realRandom },
    ...{ log: silentLog, metrics, limits },
  });
  const counted = (what: string): number => {
    return metrics.counter(`robustmq_storage_${what}_bytes_total`, '').value;
  };
  const quiet = async (): Promise<void> => {
    await engine.flushed();
    await still(() => counted('reorganised'));
  };
  return { engine, quiet, counted };
}

/** Resolves when a count has stayed the same for ten seconds. */
export async function still(count: () => number): Promise<void> {
  for (let looks = 0, last = -1; looks < 20; ) {
    await sleep(500);
    const now = count();
    looks = now === last ? looks + 1 : 0;
    last = now;
  }
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

/** Who says when more may be appended: an engine, or the broker over it. */
export type Throttle = Pick<LogEngine, 'busy' | 'onRoom'>;

/** Appends to all logs in turn until so many bytes are written, as fast as it is taken. */
export async function fill(
  engine: Throttle,
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
  if (engine.busy) await new Promise<void>((go) => engine.onRoom(go));
  await append(logs[0]!, model);
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

/** A text from the command line (`--name=value`), or null. */
export function textOf(name: string): string | null {
  const given = process.argv.find((argument) => argument.startsWith(`--${name}=`));
  return given === undefined ? null : given.slice(name.length + 3);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
