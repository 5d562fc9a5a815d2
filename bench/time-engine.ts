/**
 * What pending entries of the time engine cost: `node bench/time-engine.ts [entries]`. Sets that
 * many with random times of one day, starts again, then lets as many fall due in one moment, on a
 * real disk; prints one line for each part. Not a part of `npm run bench`: it needs no server.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Broker } from '#broker';
import { Metrics, realClock, realRandom, realTimers, silentLog } from '#kit';
import { type MetaStore, openSqliteStore } from '#meta';
import { type LogEngine, openEngine, realFiles } from '#storage';

const DAY_MS = 86_400_000;
const VALUE = Buffer.alloc(64, 'x');
const SLICE = 500;

const count = Number(process.argv[2] ?? 1_000_000);
const directory = mkdtempSync(join(tmpdir(), 'time-engine-'));
/** The clock of the run: it can be set, so that a day need not pass. */
let aheadMs = 0;
const clock = { ...realClock, nowMs: () => realClock.nowMs() + aheadMs };

interface Running {
  readonly broker: Broker;
  readonly engine: LogEngine;
  readonly meta: MetaStore;
}

async function start(): Promise<Running> {
  const given = {
    ...{ clock, timers: realTimers, random: realRandom, log: silentLog, metrics: new Metrics() },
  };
  const engine = await openEngine({ ...given, directory, files: realFiles });
  const meta = openSqliteStore(join(directory, 'meta.db'));
  return { engine, meta, broker: await Broker.open({ ...given, engine, meta }) };
}

async function stop({ broker, engine, meta }: Running): Promise<void> {
  await broker.close();
  await engine.close();
  await meta.close();
}

async function room({ broker }: Running): Promise<void> {
  if (broker.busy) await new Promise<void>((resolve) => broker.onRoom(resolve));
  else await new Promise<void>((resolve) => setImmediate(resolve));
}

async function setAll(running: Running, dueMs: () => number): Promise<void> {
  for (let n = 0; n < count; n++) {
    running.broker.time.add('bench', dueMs(), VALUE);
    if (n % SLICE === SLICE - 1) await room(running);
  }
  const { state } = running.broker;
  await new Promise<void>((resolve) => state.committed(() => resolve()));
}

async function part(name: string, work: () => Promise<void>): Promise<void> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  await work();
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(startedCpu);
  delays.disable();
  globalThis.gc?.();
  const figures = [
    `${Math.round(count / seconds)}/s`,
    `${seconds.toFixed(2)} s`,
    `${((user + system) / count).toFixed(1)} us of CPU each`,
    `loop delay p99 ${(delays.percentile(99) / 1e6).toFixed(1)} ms`,
    `max ${(delays.max / 1e6).toFixed(1)} ms`,
    `resident ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
  ];
  console.log(`${name}: ${figures.join(', ')}`);
}

let running = await start();
await part(`set ${count}, over a day`, () =>
  setAll(running, () => clock.nowMs() + DAY_MS * (0.5 + Math.random())),
);
await part('checkpoint', () => running.engine.checkpoint());
await stop(running);
await part('start', async () => {
  running = await start();
});
console.log(`pending ${running.broker.time.count('bench')}`);
let fired = 0;
await part('fire all', async () => {
  aheadMs = 2 * DAY_MS;
  const { promise, resolve } = Promise.withResolvers<void>();
  running.broker.time.register('bench', () => {
    fired++;
    if (fired === count) resolve();
  });
  await promise;
});
const moment = clock.nowMs() + 3_600_000;
await part(`set ${count}, at one moment`, () => setAll(running, () => moment));
await part('fire them', async () => {
  fired = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  running.broker.time.register('bench', () => {
    fired++;
    if (fired === count) resolve();
  });
  aheadMs += 3_600_000;
  running.broker.time.set('bench', 'wake', clock.nowMs() + DAY_MS, VALUE);
  await promise;
});
await stop(running);
rmSync(directory, { recursive: true });
