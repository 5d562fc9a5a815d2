/**
 * What does reorganisation cost those who write? First commits at a fixed rate, one at a time from
 * several writers, with an engine that has nothing else to do and with one that reorganises and
 * merges all the while; then one writer at full speed: how evenly it is slowed down.
 *
 *     node bench/storage-background.ts [--seconds=20] [--rate=500] [--flood=4]
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
const ROUNDS = 3;

const seconds = numberOf('seconds', 20);
const rate = numberOf('rate', 500);
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

/** An engine that has just taken much: it reorganises and merges for a while, at its usual pace. */
async function busyRig() {
  const held = await openRig(scratch(), { reorganiseDelayMs: 0 });
  const logs = open(held.engine, LOGS);
  await fill(held.engine, logs, 2 ** 29, 4_096);
  return { ...held, logs };
}

const figures: { idle: number[]; busy: number[] }[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const calm = await openRig(scratch());
  const idle = await steady(open(calm.engine, LOGS));
  await calm.engine.close();
  const rig = await busyRig();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const busy = await steady(rig.logs);
  delay.disable();
  console.log(
    `round ${round + 1}: ms at 50 / 99 / 99.9 % idle ${show(idle)}; reorganising ${show(busy)}; ` +
      `event loop 99.9 % ${(delay.percentile(99.9) / 1e6).toFixed(1)} ms, ` +
      `longest ${(delay.max / 1e6).toFixed(1)} ms`,
  );
  figures.push({ idle, busy });
  await rig.engine.close();
}
const all = (which: 'idle' | 'busy'): number[] => figures.flatMap((figure) => figure[which]);
const [idle, busy] = [percentile(all('idle'), 0.99), percentile(all('busy'), 0.99)];
console.log(
  `p99 at ${rate}/s: idle ${idle.toFixed(2)} ms, reorganising ${busy.toFixed(2)} ms, ratio ${(busy / idle).toFixed(2)}`,
);

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
done();
