/**
 * What a protocol is given, for its own tests: a real broker over the real engine on a virtual disk
 * and a catalogue in memory. Timers can be the test's own, so that no test waits for one.
 */
import { Broker, type BrokerOptions } from '#broker';
import type { Host } from '#contract';
import {
  type Clock,
  type Log,
  Metrics,
  realClock,
  realRandom,
  realTimers,
  silentLog,
  type Timers,
} from '#kit';
import { openMemoryStore } from '#meta';
import { type EngineLimits, joinOwners, type LogEngine, openEngine, VirtualFiles } from '#storage';

export interface TestHostOptions {
  readonly clock?: Clock;
  readonly timers?: Timers;
  /** Those of the broker; the real ones when left out, so that a test need not move them. */
  readonly brokerTimers?: Timers;
  readonly log?: Log;
  readonly limits?: Partial<EngineLimits>;
  readonly broker?: Partial<BrokerOptions>;
  /** Owners of slots, each with an engine of its own. Default: `TEST_OWNERS`, else 1. */
  readonly owners?: number;
}

/** A virtual disk is memory: files of the real size would only cost time. */
const SMALL = { walFileBytes: 4 << 20, entryBytesMax: 2 << 20, reserveBytes: 0 };

export interface TestHost extends Host {
  /** The disk below the broker: it can be made full. */
  readonly files: VirtualFiles;
  close(): Promise<void>;
}

export async function openTestHost(options: TestHostOptions = {}): Promise<TestHost> {
  const clock = options.clock ?? realClock;
  const timers = options.timers ?? realTimers;
  const random = realRandom;
  const log = options.log ?? silentLog;
  const metrics = new Metrics();
  const files = new VirtualFiles({ random, timers: realTimers });
  const open = (directory: string): Promise<LogEngine> =>
    openEngine({
      ...{ directory, files, clock, timers: realTimers, random, log, metrics },
      limits: { ...SMALL, ...options.limits },
    });
  const count = options.owners ?? Number(process.env['TEST_OWNERS'] ?? 1);
  const owners = await Promise.all(Array.from({ length: count }, (_, n) => open(`/data${n}`)));
  const engine = count === 1 ? owners[0]! : joinOwners(owners, (slot) => slot % count);
  const broker = await Broker.open({
    ...{ engine, meta: openMemoryStore(), clock, random, log, metrics },
    timers: options.brokerTimers ?? realTimers,
    ...(options.broker === undefined ? {} : { options: options.broker }),
  });
  return {
    ...{ broker, clock, timers, random, log, metrics, files },
    serverId: 'test-server',
    version: '0.0.0',
    bound: () => [],
    async close() {
      await broker.close();
      await engine.close();
      // The runner keeps the closures of every test until its end, and with them all disks.
      files.wipe();
    },
  };
}

const START_MS = 1_800_000_000_000;

/** Timers that run when the test says so; `soon` stays with the event loop. */
export class ManualTimers implements Timers {
  #now = 0;
  /** A clock that stands still but for `pass`. */
  readonly clock: Clock = {
    nowMs: () => START_MS + this.#now,
    nowNs: () => BigInt(START_MS + this.#now) * 1_000_000n,
    monotonicMs: () => this.#now,
  };
  #waiting: { readonly at: number; readonly call: () => void }[] = [];

  after(delayMs: number, call: () => void): { cancel(): void } {
    const entry = { at: this.#now + delayMs, call };
    this.#waiting.push(entry);
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((other) => other !== entry);
      },
    };
  }

  soon(call: () => void): void {
    setImmediate(call);
  }

  get count(): number {
    return this.#waiting.length;
  }

  /** Lets time pass: runs what is due, in order, also what that starts. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#waiting.filter((entry) => entry.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#waiting = this.#waiting.filter((entry) => entry !== due);
      this.#now = due.at;
      due.call();
    }
    this.#now = end;
  }
}
