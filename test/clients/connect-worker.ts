/** A distributed worker of Kafka Connect, and its HTTP API; and files that connectors write. */
import { watch } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Jvm } from './jvm.ts';
import { deadline, type Program } from './program.ts';
import { HOST } from './server.ts';

const START_TIMEOUT_MS = 90_000;
const HEAP_MB = 320;
/** The API answers 409 while the group rebalances, and asks to come again. */
const BUSY = 409;
const BUSY_PAUSE_MS = 250;
const BUSY_MAX = 240;
const REST = 'org.apache.kafka.connect.runtime.rest.RestServer';
const STRINGS = 'org.apache.kafka.connect.storage.StringConverter';

export type Configs = Readonly<Record<string, string>>;

/** As one line each, for a file of Java properties. */
export function properties(configs: Configs): string {
  return Object.entries(configs)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function workerConfigs(brokers: string, group: string): Configs {
  const internal = ['config', 'offset', 'status'].flatMap((kind) => [
    [`${kind}.storage.topic`, `${group}-${kind}s`],
    [`${kind}.storage.replication.factor`, '1'],
  ]);
  return {
    'bootstrap.servers': brokers,
    'group.id': group,
    ...Object.fromEntries(internal),
    'offset.storage.partitions': '5',
    'key.converter': STRINGS,
    'value.converter': STRINGS,
    'offset.flush.interval.ms': '500',
    'session.timeout.ms': '6000',
    'heartbeat.interval.ms': '500',
    'scheduled.rebalance.max.delay.ms': '1000',
    listeners: `http://${HOST}:0`,
    'plugin.discovery': 'service_load',
  };
}

export interface WorkerOptions {
  readonly jvm: Jvm;
  readonly brokers: string;
  readonly group: string;
  readonly configs?: Configs;
}

export class ConnectWorker {
  readonly program: Program;
  readonly #url: string;

  private constructor(program: Program, url: string) {
    this.program = program;
    this.#url = url;
  }

  static async start({ jvm, brokers, group, configs }: WorkerOptions): Promise<ConnectWorker> {
    const file = path.join(jvm.folder, `${group}.properties`);
    await writeFile(file, properties({ ...workerConfigs(brokers, group), ...configs }));
    const main = 'org.apache.kafka.connect.cli.ConnectDistributed';
    const program = jvm.start({ main, args: [file], heapMb: HEAP_MB, tell: [REST] });
    const ready = (line: string): boolean => line.includes('ready to handle requests');
    const listening = /REST server listening at (http:\/\/[^/]+)\//;
    const line = await program.line((one) => listening.test(one), START_TIMEOUT_MS);
    await program.line(ready, START_TIMEOUT_MS);
    return new ConnectWorker(program, listening.exec(line)?.[1] ?? '');
  }

  /** As the group knows it: HOST:PORT. */
  get id(): string {
    return this.#url.replace('http://', '');
  }

  /** @returns the answer's JSON, null when it is empty; an error status throws */
  async ask(method: string, where: string, body?: unknown): Promise<unknown> {
    const request = {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    };
    for (let turn = 0; ; turn++) {
      const response = await fetch(`${this.#url}${where}`, request);
      const text = await response.text();
      if (response.ok) return text === '' ? null : JSON.parse(text);
      if (response.status !== BUSY || turn === BUSY_MAX) {
        throw new Error(`${method} ${where}: ${response.status} ${text}`);
      }
      await pause(BUSY_PAUSE_MS);
    }
  }
}

/** The lines of a file when `enough` holds of them; asked again whenever the file changes. */
export async function linesOf(
  file: string,
  enough: (lines: readonly string[]) => boolean,
  timeoutMs: number,
): Promise<readonly string[]> {
  let lines: readonly string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = async (): Promise<void> => {
    const text = await readFile(file, 'utf8').catch(() => '');
    // The last one may be half of one.
    const now = text.split('\n').slice(0, -1);
    if (now.length > lines.length) lines = now;
    if (enough(lines)) resolve();
  };
  const watcher = watch(path.dirname(file), () => look().catch(reject));
  try {
    look().catch(reject);
    await deadline(promise, timeoutMs, () => `${file} has only ${lines.length} lines`);
    return lines;
  } finally {
    watcher.close();
  }
}
