/**
 * How long does a start of the whole server take with a hundred thousand streams and so many bytes?
 * Fills, lets reorganisation come to rest, stops in order, starts again some times, and once more
 * after a kill. The parts that grow with the data are told apart, so that the time for more can be
 * calculated: an empty folder, the streams alone, the streams with their segments.
 *
 *     node bench/storage-start.ts [--gigabytes=10] [--streams=100000] [--folder=DIR [--fill]]
 *
 * With a folder what was filled stays there for the next run; with `--fill` it is only filled.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startServer } from '#server';
import { done, fill, numberOf, prepared, scratch, sleep, still } from './storage-rig.ts';

const BATCH_BYTES = 16_384;
const TARGET_GIGABYTES = 100;
const ROUNDS = 5;
const PROGRAM = path.resolve(import.meta.dirname, '../bin/robust-server.mjs');
const LISTENERS = ['mqtt', 'mqtt-ws', 'kafka', 'nats', 'nats-ws', 'amqp', 'admin'];
/** A killed server has this in its write-ahead files; by default one full file and a half. */
const PAGE_STREAMS = 1_000;

const gigabytes = numberOf('gigabytes', 10);
const streamCount = numberOf('streams', 100_000);

interface Start {
  /** From the start of the process. */
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly residentMiB: number;
  readonly child: ReturnType<typeof spawn>;
}

/** Makes the streams and appends to all of them in turn, through the broker's own parts. */
async function filled(folder: string, bytes: number): Promise<void> {
  const server = await startServer({
    set: { 'server.data-dir': folder, 'admin.listen': ['off'] },
    freePorts: true,
    limits: { backgroundBytesPerSecond: 400 * 2 ** 20 },
  });
  const { broker, metrics } = server;
  const logs = [];
  for (let index = 0; index < streamCount; index++) {
    const stream = broker.streams.create(`site/${index % 100}/device/${index}/state`);
    logs.push(stream.partitions[0]!.log);
    if (index % PAGE_STREAMS === 0) await broker.streams.durable();
  }
  await broker.streams.durable();
  await fill(broker, logs, bytes, bytes < streamCount * BATCH_BYTES ? 256 : BATCH_BYTES);
  const written = metrics.counter('robustmq_storage_reorganised_bytes_total', '');
  await still(() => written.value);
  await server.close();
}

/** Starts the real server. */
function start(folder: string): Promise<Start> {
  const listens = LISTENERS.flatMap((name) => [`--${name}-listen`, 'localhost:0']);
  const child = spawn(process.execPath, [PROGRAM, 'start', '--data-dir', folder, ...listens], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('the server has ended')));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const ready = /ready in (\d+) ms/.exec(line);
      if (ready === null) return;
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
      const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
      resolve({
        child,
        readyMs: Number(ready[1]),
        // Ticks of 10 ms.
        cpuMs: 10 * (Number(stat[11]) + Number(stat[12])),
        residentMiB: Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024,
      });
    });
  });
}

async function end(child: Start['child'], signal: NodeJS.Signals): Promise<void> {
  await new Promise((resolve) => {
    child.removeAllListeners('exit');
    child.once('exit', resolve);
    child.kill(signal);
  });
}

/** The middle of some starts on one folder. */
async function measured(what: string, folder: string, signal: NodeJS.Signals): Promise<number> {
  const starts: Start[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const one = await start(folder);
    starts.push(one);
    // What a start leaves for later must not be cut off each time.
    await sleep(500);
    await end(one.child, signal);
  }
  starts.sort((a, b) => a.readyMs - b.readyMs);
  const middle = starts[ROUNDS >> 1]!;
  const [least, most] = [starts[0]!, starts.at(-1)!];
  console.log(
    `${what}: ready in ${middle.readyMs} ms (${least.readyMs} to ${most.readyMs}), ` +
      `${middle.cpuMs.toFixed(0)} ms of CPU, ${middle.residentMiB.toFixed(0)} MiB resident`,
  );
  return middle.readyMs;
}

const data = prepared('start');
const heads = prepared('start-heads');
if (!data.isFilled) {
  await filled(data.folder, gigabytes * 2 ** 30);
  data.filled();
}
if (!heads.isFilled) {
  await filled(heads.folder, streamCount * 256);
  heads.filled();
}
if (!process.argv.includes('--fill')) {
  const segments = readdirSync(data.folder).filter((name) => name.endsWith('.seg')).length;
  const scale = TARGET_GIGABYTES / gigabytes;
  await measured('empty folder', scratch(), 'SIGTERM');
  const alone = await measured(`${streamCount} streams of one batch`, heads.folder, 'SIGTERM');
  const stored = `${streamCount} streams, ${gigabytes} GB in ${segments} segments`;
  const all = await measured(stored, data.folder, 'SIGTERM');
  await measured(`${stored}, killed before`, data.folder, 'SIGKILL');
  const grown = alone + Math.max(0, all - alone) * scale;
  console.log(
    `by calculation for ${TARGET_GIGABYTES} GB: ${alone} + ${scale} x (${all} - ${alone}) = ` +
      `${grown.toFixed(0)} ms`,
  );
}
done();
