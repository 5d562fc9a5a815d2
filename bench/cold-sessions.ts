/**
 * What sessions without a client cost: `node --expose-gc bench/cold-sessions.ts [sessions]`. Makes
 * that many persistent sessions with one subscription of QoS 1 each on a real disk, lets them leave
 * memory, starts again, and prints memory per session, the time of a start, what a publish costs
 * that matches none, one or many of them, and how long one with 10 000 messages takes to send all.
 * Not a part of `npm run bench`: it needs no server.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker, Message, SERVER_PRINCIPAL, slashPattern, slashSpelling } from '#broker';
import { Metrics, realClock, realRandom, realTimers, silentLog } from '#kit';
import { type MetaStore, openSqliteStore } from '#meta';
import { type LogEngine, openEngine, realFiles } from '#storage';

const SLICE = 200;
const QUEUED = 10_000;
const PREFIX = 'mqtt.session.';

const count = Number(process.argv[2] ?? 100_000);
const given = process.argv[3];
const directory = given ?? mkdtempSync(join(tmpdir(), 'cold-sessions-'));

interface Running {
  readonly broker: Broker;
  readonly engine: LogEngine;
  readonly meta: MetaStore;
}

async function start(directory: string): Promise<Running> {
  const parts = {
    ...{ clock: realClock, timers: realTimers, random: realRandom, log: silentLog },
    metrics: new Metrics(),
  };
  const engine = await openEngine({ ...parts, directory, files: realFiles });
  const meta = openSqliteStore(join(directory, 'meta.sqlite'));
  const broker = await Broker.open({ ...parts, engine, meta });
  broker.cold.policy = {
    settings: { durable: true },
    wants: ({ qos }) => qos > 0,
    ...{ newestMax: Number.POSITIVE_INFINITY, dropped: () => {}, meta: (options) => options },
  };
  return { engine, meta, broker };
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

const clientOf = (n: number): string => `device-${String(n).padStart(8, '0')}`;
const filterOf = (n: number): string => `plant/line/${clientOf(n)}/orders`;

/** After collecting, in bytes. */
function memory(): { heap: number; external: number; resident: number } {
  for (let turn = 0; turn < 3; turn++) globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed, external, resident: rss };
}

/** As the MQTT room stores them: a row of all that a session is, and its place in the index. */
async function fill(running: Running): Promise<void> {
  const record = {
    ...{ expirySec: -1, durable: true, disconnectedAtMs: 1_800_000_000_000, will: null },
    principal: { name: 'anonymous', id: 1, anonymous: true, superuser: false },
    expiring: false,
  };
  const rest = { record, received: [], released: [], identifiers: [], held: [] };
  const options = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0, id: 0 };
  for (let n = 0; n < count; n++) {
    const { state, cold } = running.broker;
    const list = JSON.stringify([{ filter: filterOf(n), ...options }]);
    const text = `-${cold.mark}${list}\n${JSON.stringify(rest)}`;
    state.put('cold/mqtt.session', clientOf(n), Buffer.from(text), clientOf(n), 'new');
    cold.cool(PREFIX + clientOf(n), [{ pattern: slashPattern(filterOf(n))!, options: 1 }], false);
    if (n % SLICE === SLICE - 1) await room(running);
  }
  await new Promise<void>((resolve) => running.broker.state.committed(() => resolve()));
  await running.engine.checkpoint();
}

function coolAll({ broker }: Running): void {
  for (const [client, text] of broker.state.texts('cold/mqtt.session')) {
    const listAt = text.indexOf('[');
    const since = Number(text.slice(1, listAt));
    const [{ filter }] = JSON.parse(text.slice(listAt, text.indexOf('\n'))) as [{ filter: string }];
    const subscriptions = [{ pattern: slashPattern(filter)!, options: 1 }];
    broker.cold.cool(PREFIX + client, subscriptions, false, since);
  }
}

function publish({ broker }: Running, topic: string): Promise<void> {
  const message = new Message(slashSpelling.parse(topic), Buffer.alloc(128, 'x'), 1);
  message.qos = 1;
  message.principal = SERVER_PRINCIPAL;
  return new Promise((resolve, reject) => {
    const sink = { published: (_: number, error: unknown) => (error ? reject(error) : resolve()) };
    broker.publish(message, broker.target(message.address, 'first-level'), sink, 0);
  });
}

async function rate(running: Running, name: string, topics: readonly string[]): Promise<void> {
  const waiting: Promise<void>[] = [];
  const before = process.cpuUsage();
  for (const [index, topic] of topics.entries()) {
    waiting.push(publish(running, topic));
    if (index % SLICE === SLICE - 1) await room(running);
  }
  await Promise.all(waiting);
  const { user, system } = process.cpuUsage(before);
  console.log(`${name}: ${((user + system) / topics.length).toFixed(1)} us of CPU each`);
}

/** Of a server that has just started the first one runs code that is not compiled yet. */
async function resume(running: Running, client: number): Promise<void> {
  const { broker } = running;
  const name = PREFIX + clientOf(client);
  await rate(
    running,
    `${QUEUED} messages to one`,
    new Array<string>(QUEUED).fill(filterOf(client)),
  );
  while (broker.cold.visitorCount > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  const startedMs = performance.now();
  const queue = broker.cold.warm(name)!;
  let got = 0;
  let firstMs = 0;
  await new Promise<void>((resolve) => {
    queue.attach({
      ready: () => true,
      deliver: ({ position }) => {
        if (got === 0) firstMs = performance.now() - startedMs;
        got++;
        queue.ack(position);
        if (got >= QUEUED) resolve();
      },
    });
  });
  const ms = performance.now() - startedMs;
  console.log(`resume: first message ${firstMs.toFixed(1)} ms, all ${got} in ${ms.toFixed(1)} ms`);
}

/** Timers of the background alone keep no process alive. */
const alive = setInterval(() => {}, 60_000);
const none = Array.from({ length: 20_000 }, (_, n) => `plant/line/${n % 100}/none`);

async function filled(): Promise<void> {
  const running = await start(directory);
  await rate(running, 'to warm up', none);
  await rate(running, 'a publish while there is no cold session', none);
  const startedMs = performance.now();
  await fill(running);
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`${count} sessions left memory in ${seconds.toFixed(1)} s`);
  await stop(running);
}

/** In a process of its own: what it held before must not be taken for what it holds. */
async function measured(): Promise<void> {
  const other = mkdtempSync(join(tmpdir(), 'cold-sessions-'));
  const small = await start(other);
  await rate(small, 'to warm up', none);
  const empty = memory();
  await stop(small);
  rmSync(other, { recursive: true });
  const startedMs = performance.now();
  const running = await start(directory);
  coolAll(running);
  const seconds = (performance.now() - startedMs) / 1000;
  const now = memory();
  const each = (key: keyof typeof now): string => ((now[key] - empty[key]) / count).toFixed(0);
  console.log(
    `start in ${seconds.toFixed(2)} s: ${each('heap')} bytes of heap, ${each('external')} external, ` +
      `${each('resident')} resident for each; the index ${(running.broker.cold.bytes / count).toFixed(0)}`,
  );
  await rate(running, 'to warm up', none);
  await rate(running, 'a publish that matches none', none);
  const one = Array.from({ length: 20_000 }, (_, n) => filterOf((n * 37) % count));
  await rate(running, 'a publish that matches one', one);
  for (const client of [7, 8, 9]) await resume(running, client);
  await flood(running);
  await stop(running);
}

async function flood(running: Running): Promise<void> {
  const members = Math.min(count, 100_000);
  const all = [{ pattern: slashPattern('all/#')!, options: 1 }];
  for (let n = 0; n < members; n++) running.broker.cold.cool(PREFIX + clientOf(n), all, false);
  const before = memory();
  const startedMs = performance.now();
  await publish(running, 'all/of/them');
  const ms = performance.now() - startedMs;
  const grown = (process.memoryUsage().rss - before.resident) / 1e6;
  const kept = (memory().heap - before.heap) / 1e6;
  console.log(
    `one message to ${members} of them: ${ms.toFixed(0)} ms, resident + ${grown.toFixed(0)} MB; ` +
      `afterwards heap + ${kept.toFixed(1)} MB`,
  );
}

if (given === undefined) {
  await filled();
  const [script] = process.argv.slice(1);
  const args = ['--expose-gc', script!, String(count), directory];
  spawnSync(process.execPath, args, { stdio: 'inherit' });
  rmSync(directory, { recursive: true });
} else await measured();
clearInterval(alive);
