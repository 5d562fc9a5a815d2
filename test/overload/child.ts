/**
 * The server under overload, in a process of its own so that its memory can be measured: started by
 * `server.ts`, which asks it things. Its disk can be made slow; or it is a virtual one, which can
 * be made full, but lies in the memory that is measured.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { realRandom, silentLog } from '#kit';
import { startServer } from '#server';
import { type Files, type OpenFile, realFiles, VirtualFiles } from '#storage';
import type { Asked, Order, State } from './server.ts';

const { set, virtual } = JSON.parse(process.argv[2]!) as {
  set: Record<string, unknown>;
  virtual: boolean;
};
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let latencyMs = 0;

/** The real disk, whose writes and syncs take longer than they need. */
const slowFiles: Files = new Proxy(realFiles, {
  get(target, name) {
    const value = Reflect.get(target, name, target) as unknown;
    if (name === 'open')
      return async (...given: [string, boolean]) => slow(await target.open(...given));
    return typeof value === 'function' ? value.bind(target) : value;
  },
});

function slow(file: OpenFile): OpenFile {
  return new Proxy(file, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'sync' && name !== 'writeThrough') return value.bind(target);
      return async (...given: unknown[]) => {
        if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
        return value.apply(target, given);
      };
    },
  });
}

const files = virtual ? new VirtualFiles({ random: realRandom }) : null;
const server = await startServer({
  freePorts: true,
  log: silentLog,
  set,
  files: files ?? slowFiles,
});

let busyEver = false;
// A look, not a wait: how often only decides how short a moment is still seen.
setInterval(() => {
  busyEver ||= server.broker.busy;
}, 2).unref();

/** What is alive. */
function state(stream: string): Omit<State, 'busyEver'> {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const partitions = server.broker.streams.get(stream)?.partitions ?? [];
  return {
    liveBytes: heapUsed + arrayBuffers,
    health: server.broker.health,
    stored: partitions.reduce((sum, { highWatermark }) => sum + highWatermark, 0),
  };
}

function obey(order: Order): void {
  busyEver = false;
  latencyMs = order.latencyMs ?? latencyMs;
  const { capacityBytes } = order;
  if (files === null) return;
  if (capacityBytes !== undefined) files.capacityBytes = capacityBytes ?? Number.POSITIVE_INFINITY;
}

/** Until all is committed that the partitions of `stream` took. */
async function settled(stream: string): Promise<void> {
  for (const partition of server.broker.streams.get(stream)?.partitions ?? []) {
    while (partition.highWatermark < partition.endOffset) {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const end = partition.tail(resolve);
      await promise;
      end();
    }
  }
}

process.on('message', async ({ id, order, stream }: Asked) => {
  const told = busyEver;
  obey(order);
  if (order.settle === true) await settled(stream);
  process.send!({ id, state: { ...state(stream), busyEver: told } });
});
process.on('disconnect', () => process.exit(0));
process.send!({ ports: server.listeners.map(({ name }) => [name, server.port(name)]) });
