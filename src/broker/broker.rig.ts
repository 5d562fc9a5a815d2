/** A broker on a virtual disk for tests: it can be stopped, crashed and opened again. */
import {
  type BrokerError,
  type Clock,
  Metrics,
  type Random,
  realRandom,
  realTimers,
  silentLog,
  type Timer,
  type Timers,
} from '#kit';
import { type MetaStore, openMemoryStore } from '#meta';
import { type EngineOptions, joinOwners, type LogEngine, openEngine, VirtualFiles } from '#storage';
import { type Address, flatAddress } from './addresses/address.ts';
import type { HomeRule } from './addresses/routes.ts';
import { Broker, type BrokerOptions } from './broker.ts';
import { SERVER_PRINCIPAL } from './principals/principal.ts';
import type { Queue } from './queues/queue.ts';
import type { Delivery, QueueConsumer } from './queues/queue-consumers.ts';
import { Message } from './records/message.ts';

const WAL_FILE_BYTES = 1 << 20;

/** Timers that ring when the test lets time pass; `soon` stays with the event loop. */
export class RigTimers implements Timers {
  #waiting: { readonly at: number; readonly call: () => void }[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  after(delayMs: number, call: () => void): Timer {
    const entry = { at: this.#now() + delayMs, call };
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

  /** Takes the earliest one that is due at `endMs`. */
  takeDue(endMs: number): { readonly at: number; readonly call: () => void } | null {
    let due: { readonly at: number; readonly call: () => void } | null = null;
    for (const entry of this.#waiting) {
      if (entry.at <= endMs && (due === null || entry.at < due.at)) due = entry;
    }
    if (due !== null) this.#waiting = this.#waiting.filter((entry) => entry !== due);
    return due;
  }

  clear(): void {
    this.#waiting = [];
  }
}

export class Rig {
  /** When set before `open`, time stands still but for `pass`. */
  timers: RigTimers | null = null;
  /** Owners of slots, each with an engine of its own. */
  owners = 1;
  /** More of what the engine is opened with. */
  engineOptions: Pick<EngineOptions, 'limits' | 'objects'> = {};
  readonly files: VirtualFiles;
  readonly meta: MetaStore = openMemoryStore();
  nowMs = 1_800_000_000_000;
  /** The wall clock was set, by this much. */
  wallAheadMs = 0;
  broker!: Broker;
  engine!: LogEngine;

  constructor(random: Random = realRandom) {
    this.files = new VirtualFiles({ random });
  }

  async open(options: Partial<BrokerOptions> = {}): Promise<Broker> {
    const clock: Clock = {
      nowMs: () => this.nowMs + this.wallAheadMs,
      nowNs: () => BigInt(this.nowMs + this.wallAheadMs) * 1_000_000n,
      monotonicMs: () => (this.timers === null ? performance.now() : this.nowMs),
    };
    const given = {
      clock,
      timers: this.timers ?? realTimers,
      random: realRandom,
      log: silentLog,
      metrics: new Metrics(),
    };
    const files = this.files.mount();
    const open = (directory: string): Promise<LogEngine> => {
      const limits = { walFileBytes: WAL_FILE_BYTES, ...this.engineOptions.limits };
      return openEngine({ ...given, directory, files, ...this.engineOptions, limits });
    };
    if (this.owners === 1) this.engine = await open('data');
    else {
      const engines: LogEngine[] = [];
      for (let owner = 0; owner < this.owners; owner++) engines.push(await open(`data${owner}`));
      this.engine = joinOwners(engines, (slot) => slot % engines.length);
    }
    this.broker = await Broker.open({ ...given, engine: this.engine, meta: this.meta, options });
    return this.broker;
  }

  /** Time passes, by the rig's own timers: they ring in order, each at its time. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (let due = this.timers!.takeDue(endMs); due !== null; due = this.timers!.takeDue(endMs)) {
      this.nowMs = Math.max(this.nowMs, due.at);
      due.call();
    }
    this.nowMs = endMs;
  }

  async close(): Promise<void> {
    await this.broker.close();
    await this.engine.close();
  }

  /** Ends as a power cut does, and opens again. */
  async crash(options: Partial<BrokerOptions> = {}): Promise<Broker> {
    this.broker.retention.close();
    this.timers?.clear();
    this.files.crash();
    return this.open(options);
  }

  message(address: Address | string, value: string | null): Message {
    const where = typeof address === 'string' ? flatAddress(address) : address;
    const message = new Message(where, value === null ? null : Buffer.from(value), 1);
    message.qos = 1;
    message.principal = SERVER_PRINCIPAL;
    return message;
  }

  /** Publishes and resolves when the publisher is told. */
  publish(
    address: Address | string,
    value: string | null,
    change: Partial<Message> = {},
    rule: HomeRule = 'first-level',
    queues: readonly Queue[] = [],
  ): Promise<Message> {
    const message = this.message(address, value);
    const where = message.address;
    Object.assign(message, change);
    return new Promise((resolve, reject) => {
      const sink = {
        published: (_: number, error: BrokerError | null): void => {
          if (error === null) resolve(message);
          else reject(error);
        },
      };
      this.broker.publish(message, this.broker.target(where, rule), sink, 0, queues);
    });
  }

  /** Values of a stream's first partition. */
  async stored(stream: string): Promise<string[]> {
    const partition = this.broker.streams.get(stream)!.partitions[0]!;
    const values: string[] = [];
    for (let offset = partition.startOffset; offset < partition.highWatermark; ) {
      const run = await partition.readRun(offset, 1 << 20);
      for (const message of run.messages) values.push(message.value?.toString() ?? 'null');
      offset = run.next;
    }
    return values;
  }
}

/** A consumer that keeps what it gets and lets tests wait for it. */
export class Collector implements QueueConsumer {
  readonly got: Delivery[] = [];
  credit: number;
  #waiting: { count: number; resolve: () => void }[] = [];

  constructor(credit = Number.POSITIVE_INFINITY) {
    this.credit = credit;
  }

  get values(): string[] {
    return this.got.map((delivery) => delivery.message.value?.toString() ?? 'null');
  }

  ready(): boolean {
    return this.credit > 0;
  }

  deliver(delivery: Delivery): void {
    this.credit--;
    this.got.push(delivery);
    this.#waiting = this.#waiting.filter(({ count, resolve }) => {
      if (this.got.length < count) return true;
      resolve();
      return false;
    });
  }

  /** Resolves when that many came in all. */
  count(count: number): Promise<void> {
    if (this.got.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }
}
