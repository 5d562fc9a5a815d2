/**
 * How many bytes does the disk take for a byte that is appended, how many of them stay, and how
 * fast does a writer go on when the first files are full? For batches of one size each, on few logs
 * and on many. An engine of its own for each row, on an empty folder.
 *
 *     node bench/storage-amplification.ts [--gigabytes=2] [--messages=1024]
 */
import { readdirSync, statSync } from 'node:fs';
import { done, fill, idOf, numberOf, openRig, scratch } from './storage-rig.ts';

interface Shape {
  readonly logs: number;
  readonly batchBytes: number;
}

const SHAPES: readonly Shape[] = [
  { logs: 1, batchBytes: 1_048_576 },
  { logs: 1, batchBytes: 131_072 },
  { logs: 8, batchBytes: 16_384 },
  { logs: 1, batchBytes: 4_096 },
  { logs: 1_000, batchBytes: 16_384 },
  { logs: 10_000, batchBytes: 4_096 },
];

const only = numberOf('only', -1);
const total = numberOf('gigabytes', 2) * 2 ** 30;
/** Bytes of one message, for the size of each on disk. */
const messageBytes = numberOf('messages', 1_024);

for (const { logs: count, batchBytes } of only < 0 ? SHAPES : [SHAPES[only]!]) {
  const directory = scratch();
  const rig = await openRig(directory);
  const logs = Array.from({ length: count }, (_, index) => rig.engine.open(idOf(index), 'fsync'));
  const [startedMs, startedCpu] = [performance.now(), process.cpuUsage()];
  await fill(rig.engine, logs, total, batchBytes);
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = process.cpuUsage(startedCpu);
  await rig.quiet();
  const written = rig.counted('append');
  const share = (what: string): string => (rig.counted(what) / written).toFixed(2);
  const all = ['wal_written', 'wal_prepared', 'reorganised'].map(rig.counted);
  const stays = readdirSync(directory).reduce((sum, name) => {
    return sum + statSync(`${directory}/${name}`).size;
  }, 0);
  const spare = rig.engine.usage().walBytes;
  console.log(
    `${count} logs, batches of ${batchBytes}: ${(total / seconds / 2 ** 20).toFixed(0)} MiB/s, ` +
      `${((cpu.user + cpu.system) / 1000 / (total / 2 ** 30)).toFixed(0)} ms of CPU for a GiB; ` +
      `bytes written for each: ${(all.reduce((a, b) => a + b, 0) / written).toFixed(2)} ` +
      `(entries ${share('wal_written')}, zeros ${share('wal_prepared')}, segments ` +
      `${share('reorganised')}); on disk ${((stays - spare) / (written / messageBytes)).toFixed(0)} ` +
      `bytes for a message of ${messageBytes}`,
  );
  await rig.engine.close();
}
done();
