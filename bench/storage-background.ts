/**
 * What does reorganisation cost those who write? Commits at a fixed rate, one at a time from
 * several writers, after a burst has left full write-ahead files: first before the engine begins to
 * reorganise them, then while it does. Both in the same process with the same data, one right after
 * the other: what the disk, the heap and the machine are like is the same for both. Then one writer
 * at full speed: how evenly it is slowed down.
 *
 *     node bench/storage-background.ts [--seconds=20] [--rounds=3] [--rate=500] [--burst=512]
 *       [--flood=4]
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LogEngine, ShardLog } from '#storage';
import {
  append,
  batchOf,
  done,
  fill,
  idOf,
  numberOf,
  openRig,
  percentile,
  scratch,
  sleep,
} from './storage-rig.ts';

const BATCH_BYTES = 1_024;
const LOGS = 1_000;
/** Until then everything that the burst caused beside files to reorganise has settled. */
const SETTLE_MS = 4_000;
/** Time for the burst. */
const BURST_MS = 8_000;

const seconds = numberOf('seconds', 20);
const rounds = numberOf('rounds', 3);
const rate = numberOf('rate', 500);
/** MiB that wait to be reorganised. */
const burstBytes = numberOf('burst', 512) * 2 ** 20;
const floodBytes = numberOf('flood', 4) * 2 ** 30;

/** Latencies of commits at the set rate. */
async function steady(logs: readonly ShardLog[]): Promise<number[]> {
  const model = batchOf(BATCH_BYTES);
  const took: number[] = [];
  const begunMs = performance.now();
  const waiting: Promise<void>[] = [];
  for (let sent = 0; ; ) {
    const passedMs = performance.now() - begunMs;
    if (passedMs >= seconds * 1000) break;
    while (sent < (passedMs * rate) / 1000) {
      const startedMs = performance.now();
      const done = append(logs[sent++ % logs.length]!, model).then(() => {
        took.push(performance.now() - startedMs);
      });
      waiting.push(done);
    }
    await sleep(1);
  }
  await Promise.all(waiting);
  return took;
}

/** Bytes that were accepted in each tenth of a second of a flood. */
async function flood(engine: LogEngine, logs: readonly ShardLog[]): Promise<number[]> {
  const slices: number[] = [];
  let before = 0;
  const accepted = (): number => logs.reduce((sum, log) => sum + log.endOffset, 0) * 16_384;
  const timer = setInterval(() => {
    const now = accepted();
    slices.push(now - before);
    before = now;
  }, 100);
  await fill(engine, logs, floodBytes, 16_384);
  clearInterval(timer);
  return slices;
}

const open = (engine: LogEngine, count: number): ShardLog[] =>
  Array.from({ length: count }, (_, index) => engine.open(idOf(index), 'fsync'));

const show = (values: readonly number[]): string =>
  [0.5, 0.99, 0.999].map((share) => percentile(values, share).toFixed(2)).join(' / ');

/** One engine that rests, then reorganises. */
async function round() {
  const openedMs = performance.now();
  const reorganiseDelayMs = BURST_MS + SETTLE_MS + seconds * 1_000;
  const rig = await openRig(scratch(), { reorganiseDelayMs });
  const logs = open(rig.engine, LOGS);
  await fill(rig.engine, logs, burstBytes, 4_096);
  await sleep(SETTLE_MS);
  const idle = await steady(logs);
  const early = rig.counted('reorganised');
  await sleep(Math.max(0, openedMs + reorganiseDelayMs + 500 - performance.now()));
  const before = rig.counted('reorganised');
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const busy = await steady(logs);
  delay.disable();
  const copied = (rig.counted('reorganised') - before) / 2 ** 20 / seconds;
  if (early > 0 || copied === 0) console.log('this round compares nothing: see --seconds, --burst');
  await rig.engine.close();
  return { idle, busy, copied, delay };
}

const figures: { idle: number[]; busy: number[] }[] = [];
for (let count = 1; count <= rounds; count++) {
  const { idle, busy, copied, delay } = await round();
  console.log(
    `round ${count}: ms at 50 / 99 / 99.9 % idle ${show(idle)}; reorganising ` +
      `${copied.toFixed(0)} MiB/s ${show(busy)}; ` +
      `event loop 99.9 % ${(delay.percentile(99.9) / 1e6).toFixed(1)} ms, ` +
      `longest ${(delay.max / 1e6).toFixed(1)} ms`,
  );
  figures.push({ idle, busy });
}
const all = (which: 'idle' | 'busy'): number[] => figures.flatMap((figure) => figure[which]);
const [idle, busy] = [percentile(all('idle'), 0.99), percentile(all('busy'), 0.99)];
console.log(
  `p99 at ${rate}/s: idle ${idle.toFixed(2)} ms, reorganising ${busy.toFixed(2)} ms, ratio ${(busy / idle).toFixed(2)}`,
);

if (floodBytes > 0) {
  const rig = await openRig(scratch());
  const slices = await flood(rig.engine, open(rig.engine, LOGS));
  const late = slices.slice(Math.floor(slices.length / 3));
  const perSecond = (bytes: number): string => `${((bytes * 10) / 2 ** 20).toFixed(0)}`;
  console.log(
    `full speed: ${perSecond(late.reduce((a, b) => a + b, 0) / late.length)} MiB/s after the first ` +
      `third; tenths of a second at 10 / 50 / 90 %: ` +
      [0.1, 0.5, 0.9].map((share) => perSecond(percentile(late, share))).join(' / ') +
      `; without any progress ${late.filter((bytes) => bytes === 0).length} of ${late.length}`,
  );
  await rig.engine.close();
}
done();
