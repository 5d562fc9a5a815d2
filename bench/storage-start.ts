/**
 * How long does a start take with a hundred thousand logs and so many bytes? Fills, lets
 * reorganisation come to rest, stops in order, starts again, and starts once more after a kill.
 * The parts that grow with the data are told apart, so that the time for more can be calculated.
 *
 *     node bench/storage-start.ts [--gigabytes=10] [--logs=100000]
 */
import { readdirSync } from 'node:fs';
import { done, fill, idOf, numberOf, openRig, scratch } from './storage-rig.ts';

const BATCH_BYTES = 4_096;
const TARGET_GIGABYTES = 100;

const gigabytes = numberOf('gigabytes', 10);
const logCount = numberOf('logs', 100_000);
const directory = scratch();

const filling = await openRig(directory, { backgroundBytesPerSecond: 400 * 2 ** 20 });
const logs = Array.from({ length: logCount }, (_, i) => filling.engine.open(idOf(i), 'fsync'));
await fill(filling.engine, logs, gigabytes * 2 ** 30, BATCH_BYTES);
await filling.quiet();
await filling.engine.close();

const segments = readdirSync(directory).filter((name) => name.endsWith('.seg')).length;
for (let round = 1; round <= 3; round++) {
  const memory = process.memoryUsage().rss;
  const [startedMs, startedCpu] = [performance.now(), process.cpuUsage()];
  const { engine } = await openRig(directory);
  const tookMs = performance.now() - startedMs;
  const cpu = process.cpuUsage(startedCpu);
  const cpuMs = (cpu.user + cpu.system) / 1000;
  const { entriesReplayed } = engine.report;
  console.log(
    `start ${round}: ${tookMs.toFixed(0)} ms (${cpuMs.toFixed(0)} ms of CPU) with ${logCount} logs, ${gigabytes} GB in ${segments} ` +
      `segments, ${entriesReplayed} entries replayed; resident memory ` +
      `+${((process.memoryUsage().rss - memory) / 2 ** 20).toFixed(0)} MiB`,
  );
  await engine.close();
}
// Without segments: what the logs alone cost.
const empty = scratch();
const heads = await openRig(empty);
const idle = Array.from({ length: logCount }, (_, i) => heads.engine.open(idOf(i), 'fsync'));
await fill(heads.engine, idle, logCount * 100, 100);
await heads.engine.close();
const startedMs = performance.now();
const { engine } = await openRig(empty);
const headsMs = performance.now() - startedMs;
await engine.close();
console.log(
  `${logCount} logs with one batch each: ${headsMs.toFixed(0)} ms; what is more above grows with ` +
    `the segments: x ${(TARGET_GIGABYTES / gigabytes).toFixed(0)} for ${TARGET_GIGABYTES} GB`,
);
done();
