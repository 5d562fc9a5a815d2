/** What the server process holds, read from its metrics and its folder, as columns of numbers. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { ADMIN, type Server } from '../clients/server.ts';

/** A column of the samples. `flat`: must not grow; the rest is shown only. */
export interface Column {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly flat: boolean;
  /** Growth over the measured time that says nothing, in its unit. */
  readonly noise: number;
  /** The median of the samples must be less. */
  readonly below?: number;
}

/** R11: the event loop of a server under load is late by less, in 99 of 100 cases. */
const DELAY_MS_MAX = 20;

export const COLUMNS = [
  { name: 'rss', title: 'resident memory', unit: 'MiB', flat: true, noise: 48 },
  { name: 'heap', title: 'JavaScript heap in use', unit: 'MiB', flat: true, noise: 8 },
  { name: 'external', title: 'memory of buffers', unit: 'MiB', flat: true, noise: 16 },
  { name: 'fds', title: 'open files and sockets', unit: '', flat: true, noise: 6 },
  { name: 'timers', title: 'pending timers', unit: '', flat: true, noise: 10 },
  { name: 'disk', title: 'bytes on disk', unit: 'MiB', flat: true, noise: 48 },
  { name: 'streams', title: 'streams', unit: '', flat: true, noise: 2 },
  { name: 'sessions', title: 'MQTT sessions', unit: '', flat: true, noise: 6 },
  { name: 'connections', title: 'connections', unit: '', flat: false, noise: 0 },
  {
    name: 'delay',
    title: 'event loop delay, p99',
    unit: 'ms',
    flat: false,
    noise: 0,
    below: DELAY_MS_MAX,
  },
  { name: 'waits', title: 'waits for a processor', unit: '%', flat: false, noise: 0 },
  { name: 'cpu', title: 'processor', unit: '%', flat: false, noise: 0 },
  { name: 'messages', title: 'messages in', unit: '1/s', flat: false, noise: 0 },
] as const satisfies readonly Column[];

export type ColumnName = (typeof COLUMNS)[number]['name'];
/** Values by column; NaN where the server does not tell. */
export type Sample = Readonly<Record<ColumnName, number>> & { readonly atSec: number };

const MIB = 2 ** 20;
const PAGE = 1000;

export class Sampler {
  readonly #server: Server;
  readonly #startedAt = performance.now();
  #last = { atSec: 0, cpuSec: Number.NaN, waitedSec: Number.NaN, messages: 0 };

  constructor(server: Server) {
    this.#server = server;
  }

  /** @param messages that the clients had acknowledged by now */
  async sample(messages: number): Promise<Sample> {
    const metrics = await this.#metrics();
    const atSec = (performance.now() - this.#startedAt) / 1000;
    const cpuSec = metrics.sum('process_cpu_seconds_total');
    const passedSec = atSec - this.#last.atSec;
    const cpu = (100 * (cpuSec - this.#last.cpuSec)) / passedSec;
    const waitedSec = await waitedSecOf(this.#server.pid);
    const waits = (100 * (waitedSec - this.#last.waitedSec)) / passedSec;
    const rate = (messages - this.#last.messages) / passedSec;
    this.#last = { atSec, cpuSec, waitedSec, messages };
    return {
      atSec,
      rss: metrics.sum('process_resident_memory_bytes') / MIB,
      heap: metrics.sum('nodejs_heap_size_used_bytes') / MIB,
      external: metrics.sum('nodejs_external_memory_bytes') / MIB,
      fds: metrics.sum('process_open_fds'),
      timers: metrics.sum('process_pending_timers'),
      disk: (await folderBytes(this.#server.dataDir)) / MIB,
      streams: await this.#streamCount(),
      sessions: metrics.sum('robustmq_mqtt_sessions'),
      connections: metrics.sum('robustmq_net_connections{'),
      delay: metrics.sum('nodejs_eventloop_delay_seconds{quantile="0.99"}') * 1000,
      cpu,
      waits,
      messages: rate,
    };
  }

  async #metrics(): Promise<Metrics> {
    return new Metrics(await (await this.#get('/metrics')).text());
  }

  async #streamCount(): Promise<number> {
    let count = 0;
    for (let after: number | null = 0; after !== null; ) {
      const query = `hidden=true&limit=${PAGE}&after=${after}`;
      const response = await this.#get(`/api/v1/streams?${query}`);
      const page = (await response.json()) as { items: unknown[]; next: string | null };
      count += page.items.length;
      after = page.next === null ? null : Number(page.next);
    }
    return count;
  }

  #get(route: string): Promise<Response> {
    const authorization = `Basic ${btoa(`${ADMIN.user}:${ADMIN.password}`)}`;
    return fetch(`http://${this.#server.address('admin')}${route}`, { headers: { authorization } });
  }
}

class Metrics {
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.split('\n').filter((line) => !line.startsWith('#'));
  }

  /** Sum of the series whose name and labels begin so; NaN when there is none. */
  sum(prefix: string): number {
    const lines = this.#lines.filter((line) => line.startsWith(prefix));
    if (lines.length === 0) return Number.NaN;
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
}

/** How long the main thread of a process was ready to run and had no processor; NaN: not told. */
async function waitedSecOf(pid: number): Promise<number> {
  try {
    const [, waitedNs] = (await readFile(`/proc/${pid}/schedstat`, 'utf8')).split(' ');
    return Number(waitedNs) / 1e9;
  } catch {
    // Only Linux has it.
    return Number.NaN;
  }
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true })) {
    try {
      const found = await stat(path.join(folder, name));
      if (found.isFile()) bytes += found.size;
    } catch {
      // It was removed meanwhile.
    }
  }
  return bytes;
}
