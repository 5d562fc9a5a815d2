/**
 * What do millions of queued references cost in memory, and how long does a start with them take?
 *   node --expose-gc bench/queue-references.ts [references] [folder]
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, type Delivery, flatAddress, Message, originOf } from '#broker';
import { Metrics, realClock, realRandom, realTimers, silentLog } from '#kit';
import { openSqliteStore } from '#meta';
import { type LogEngine, openEngine, realFiles } from '#storage';

const BURST = 5000;
const TAKEN = 100_000;
const MEGABYTE = 1 << 20;

const total = Number(process.argv[2] ?? 10_000_000);
const directory = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'queue-references-'));

interface Opened {
  readonly broker: Broker;
  readonly engine: LogEngine;
  close(): Promise<void>;
}

async function open(): Promise<Opened> {
  const parts = {
    ...{ clock: realClock, timers: realTimers, random: realRandom },
    ...{ log: silentLog, metrics: new Metrics() },
  };
  const engine = await openEngine({
    ...{ ...parts, files: realFiles },
    directory: join(directory, 'log'),
  });
  const meta = openSqliteStore(join(directory, 'meta.db'));
  const broker = await Broker.open({ ...parts, engine, meta });
  const close = async (): Promise<void> => {
    await broker.close();
    await engine.close();
    await meta.close();
  };
  return { broker, engine, close };
}

async function usedBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function fill({ broker, engine }: Opened): Promise<void> {
  broker.streams.create('source', { retentionMs: -1, retentionBytes: -1 });
  const queue = broker.queues.declare('large', { durable: true });
  const target = broker.target(flatAddress('source'), { stream: 'source' });
  const value = Buffer.alloc(16, 'x');
  for (let sent = 0; sent < total; sent += BURST) {
    for (let index = 0; index < BURST; index++) {
      const message = new Message(target.address, value, originOf('server'));
      broker.publish(message, target, null, 0, [queue]);
    }
    await engine.flushed();
  }
}

function say(what: string, value: number, unit: string): void {
  console.log(`${what}: ${value.toFixed(unit === 'MB' ? 1 : 2)} ${unit}`);
}

async function take({ broker }: Opened, count: number): Promise<number> {
  const queue = broker.queues.get('large')!;
  const started = performance.now();
  await new Promise<void>((resolve) => {
    let taken = 0;
    const deliver = ({ position }: Delivery): void => {
      queue.ack(position);
      if (++taken === count) resolve();
    };
    queue.attach({ ready: () => taken < count, deliver });
  });
  return (count / (performance.now() - started)) * 1000;
}

const first = await open();
const before = await usedBytes();
const startedMs = performance.now();
await fill(first);
say('publishing with a reference', total / ((performance.now() - startedMs) / 1000), 'a second');
const after = await usedBytes();
const pages = first.broker.queues.get('large')!.lanes.references[0]!.pageCount;
say(`memory for ${total} references`, (after - before) / MEGABYTE, 'MB');
say('for each reference', (after - before) / total, 'bytes');
say('pages of references in memory', pages, 'pages');
await first.close();

const baseline = await usedBytes();
const openedMs = performance.now();
const second = await open();
say('second start', performance.now() - openedMs, 'ms');
assert.equal(second.broker.queues.get('large')!.readyCount, total);
say('memory after the second start', ((await usedBytes()) - baseline) / MEGABYTE, 'MB');
say('taken again from the disk', await take(second, Math.min(TAKEN, total)), 'a second');
say('memory after that', ((await usedBytes()) - baseline) / MEGABYTE, 'MB');
await second.close();
rmSync(directory, { recursive: true, force: true });
