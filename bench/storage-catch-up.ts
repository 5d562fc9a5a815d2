/**
 * How fast is a reader that catches up on one log among ten thousand, beside one whose log is
 * alone? Both read from segments, in the state that reorganisation leaves behind.
 *
 *     node bench/storage-catch-up.ts [--gigabytes=2] [--logs=10000]
 */
import type { ShardLog } from '#storage';
import { done, fill, idOf, numberOf, openRig, scratch } from './storage-rig.ts';

const READ_BYTES = 1 << 20;
const BATCH_BYTES = 16_384;
const ROUNDS = 5;
/** Fast, so that the end state comes soon; the readers start when it is there. */
const LIMITS = { backgroundBytesPerSecond: 400 * 2 ** 20, cacheBytes: 2 ** 20, walKeptMs: 1_000 };

const total = numberOf('gigabytes', 2) * 2 ** 30;
const logCount = numberOf('logs', 10_000);

/** Bytes in a second over all of these logs, each from its start to its end. */
async function readAll(logs: readonly ShardLog[]): Promise<number> {
  const startedMs = performance.now();
  let bytes = 0;
  for (const log of logs) {
    for (let offset = log.startOffset; offset < log.highWatermark; ) {
      const batches = await log.read(offset, READ_BYTES);
      for (const batch of batches) bytes += batch.bytes.length;
      const last = batches.at(-1)!;
      offset = last.baseOffset + last.count;
    }
  }
  return (bytes * 1000) / (performance.now() - startedMs);
}

async function prepared(count: number, bytes: number) {
  const rig = await openRig(scratch(), LIMITS);
  const logs = Array.from({ length: count }, (_, index) => rig.engine.open(idOf(index), 'fsync'));
  await fill(rig.engine, logs, bytes, BATCH_BYTES);
  // A trim sends the newest full file on its way as well.
  logs[0]!.trim(1);
  await rig.quiet();
  return { ...rig, logs };
}

const among = await prepared(logCount, total);
const perLog = total / logCount;
const sample = among.logs.filter((_, index) => index % Math.ceil(logCount / 100) === 1);
const alone = await prepared(1, Math.max(2 ** 27, perLog * sample.length));
const figures: { among: number; alone: number }[] = [];
for (let round = 0; round < ROUNDS; round++) {
  figures.push({ among: await readAll(sample), alone: await readAll(alone.logs) });
}
figures.sort((a, b) => a.among / a.alone - b.among / b.alone);
const middle = figures[Math.floor(ROUNDS / 2)]!;
const rate = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB/s`;
console.log(
  `${sample.length} of ${logCount} logs, ${(perLog / 1024).toFixed(0)} KiB each: ` +
    `${rate(middle.among)}; one log alone: ${rate(middle.alone)}; ` +
    `ratio ${(middle.among / middle.alone).toFixed(2)}`,
);
await among.engine.close();
await alone.engine.close();
done();
