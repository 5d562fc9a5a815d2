/**
 * How fast is a reader that catches up on one log among ten thousand, beside one whose log is
 * alone? Both read from segments, in the state that reorganisation leaves behind.
 *
 *     node bench/storage-catch-up.ts [--gigabytes=2] [--logs=10000] [--folder=DIR [--fill]]
 *
 * With a folder what was filled stays there for the next run; with `--fill` it is only filled.
 */
import type { ShardLog } from '#storage';
import { done, fill, idOf, numberOf, openRig, prepared } from './storage-rig.ts';

const READ_BYTES = 1 << 20;
const BATCH_BYTES = 16_384;
const ROUNDS = 7;
/** Logs that are read in a round. */
const SAMPLE = 100;
/** Fast, so that the end state comes soon; the readers start when it is there. */
const LIMITS = { backgroundBytesPerSecond: 400 * 2 ** 20, cacheBytes: 2 ** 20, walKeptMs: 1_000 };

const RESTING = { reorganiseDelayMs: 1e9 };

const total = numberOf('gigabytes', 2) * 2 ** 30;
const logCount = numberOf('logs', 10_000);

interface Figure {
  /** Bytes in a second. */
  readonly rate: number;
  /** CPU time for a MiB. */
  readonly cpuMs: number;
}

/** Reads all of these logs, one after the other, each from its start to its end. */
async function readAll(logs: readonly ShardLog[]): Promise<Figure> {
  const [startedMs, startedCpu] = [performance.now(), process.cpuUsage()];
  let bytes = 0;
  for (const log of logs) {
    for (let offset = log.startOffset; offset < log.highWatermark; ) {
      const batches = await log.read(offset, READ_BYTES);
      for (const batch of batches) bytes += batch.bytes.length;
      const last = batches.at(-1)!;
      offset = last.baseOffset + last.count;
    }
  }
  const { user, system } = process.cpuUsage(startedCpu);
  return {
    rate: (bytes * 1000) / (performance.now() - startedMs),
    cpuMs: (user + system) / 1000 / (bytes / 2 ** 20),
  };
}

async function opened(name: string, count: number, bytes: number) {
  const data = prepared(name);
  // What is there already has come to rest: nothing is to disturb the readers.
  const rig = await openRig(data.folder, data.isFilled ? { ...LIMITS, ...RESTING } : LIMITS);
  const logs = Array.from({ length: count }, (_, index) => rig.engine.open(idOf(index), 'fsync'));
  if (!data.isFilled) {
    await fill(rig.engine, logs, bytes, BATCH_BYTES);
    // A trim sends the newest full file on its way as well.
    logs[0]!.trim(1);
    await rig.quiet();
    data.filled();
  }
  return { ...rig, logs };
}

const among = await opened('among', logCount, total);
const perLog = total / logCount;
const step = Math.ceil(logCount / SAMPLE);
/** Others each time: a reader that catches up comes to what nobody has asked for yet. */
const sampleOf = (round: number): ShardLog[] =>
  among.logs.filter((_, index) => index % step === round % step);
const alone = await opened('alone', 1, Math.max(2 ** 27, perLog * Math.min(SAMPLE, logCount)));
const figures: { among: Figure; alone: Figure }[] = [];
const rounds = process.argv.includes('--fill') ? 0 : ROUNDS;
for (let round = 0; round < rounds; round++) {
  figures.push({ among: await readAll(sampleOf(round)), alone: await readAll(alone.logs) });
}
figures.sort((a, b) => a.among.rate / a.alone.rate - b.among.rate / b.alone.rate);
const rate = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB/s`;
for (const [index, { among: one, alone: other }] of figures.entries()) {
  const middle = index === ROUNDS >> 1 ? ' (the middle one)' : '';
  console.log(
    `${Math.min(SAMPLE, logCount)} of ${logCount} logs, ${(perLog / 1024).toFixed(0)} KiB each: ` +
      `${rate(one.rate)}, ${one.cpuMs.toFixed(2)} ms of CPU for a MiB; ` +
      `one log alone: ${rate(other.rate)}, ${other.cpuMs.toFixed(2)} ms; ` +
      `ratio ${(one.rate / other.rate).toFixed(2)}, by CPU ${(other.cpuMs / one.cpuMs).toFixed(2)}${middle}`,
  );
}
await among.engine.close();
await alone.engine.close();
done();
