/** A state table and a time engine on a virtual disk and a clock that the test moves. */
import { type Clock, Metrics, silentLog, type Timer, type Timers } from '#kit';
import { type MetaStore, openMemoryStore } from '#meta';
import { type LogEngine, openEngine, VirtualFiles } from '#storage';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';
import type { StateLimits } from '../state/state-store.ts';
import { StateTable } from '../state/state-table.ts';
import { TimeEngine } from './time-engine.ts';

const START_MS = 1_800_000_000_000;
/** Turns of the event loop after which an engine on a virtual disk has nothing more to do. */
const TURNS = 40;

/** A wall clock that can be set, and timers that follow only the time that passes. */
class ClockRig implements Clock, Timers {
  #passedMs = 0;
  #setMs = START_MS;
  #pending: { atMs: number; call: () => void }[] = [];

  nowMs(): number {
    return Math.floor(this.#setMs + this.#passedMs);
  }

  nowNs(): bigint {
    return BigInt(this.nowMs()) * 1_000_000n;
  }

  monotonicMs(): number {
    return this.#passedMs;
  }

  after(delayMs: number, call: () => void): Timer {
    const entry = { atMs: this.#passedMs + delayMs, call };
    this.#pending.push(entry);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((other) => other !== entry);
      },
    };
  }

  soon(call: () => void): void {
    setImmediate(call);
  }

  /** The wall clock is set; timers do not notice. */
  jump(ms: number): void {
    this.#setMs += ms;
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.#passedMs + ms;
    await turns(TURNS);
    for (;;) {
      const due = this.#pending
        .filter(({ atMs }) => atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#pending = this.#pending.filter((other) => other !== due);
      this.#passedMs = Math.max(this.#passedMs, due.atMs);
      due.call();
      await turns(TURNS);
    }
    this.#passedMs = endMs;
    await turns(TURNS);
  }

  /** The process is gone: nothing that waited happens any more. */
  forget(): void {
    this.#pending = [];
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export interface TimeBenchOptions {
  readonly meta?: MetaStore;
  readonly seed?: number;
  readonly limits?: StateLimits;
  readonly windowKeys?: number;
}

export class TimeBench {
  readonly clock = new ClockRig();
  readonly files: VirtualFiles;
  readonly meta: MetaStore;
  /** Timers that the time engine has armed. */
  readonly armed = new Set<Timer>();
  /** What the handlers of `register` were given. */
  readonly given: string[] = [];
  engine!: LogEngine;
  state!: StateTable;
  time!: TimeEngine;
  readonly #options: TimeBenchOptions;
  readonly #random: SeededRandom;

  private constructor(options: TimeBenchOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed ?? 1);
    this.files = new VirtualFiles({ random: this.#random });
    this.meta = options.meta ?? openMemoryStore();
  }

  static async open(options: TimeBenchOptions = {}): Promise<TimeBench> {
    const bench = new TimeBench(options);
    await bench.#start();
    return bench;
  }

  get nowMs(): number {
    return this.clock.nowMs();
  }

  register(kind: string): void {
    this.time.register(kind, ({ id, value }) => this.given.push(`${id}=${value}`));
  }

  jump(ms: number): void {
    this.clock.jump(ms);
  }

  pass(ms: number): Promise<void> {
    return this.clock.pass(ms);
  }

  /** Lets everything happen that needs no time. */
  settle(): Promise<void> {
    return turns(4 * TURNS);
  }

  committed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.state.committed((error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** @param meanwhile what happens to the disk before the next start */
  async crash(meanwhile?: (files: VirtualFiles) => void): Promise<void> {
    this.time.close();
    this.state.close();
    this.files.crash();
    meanwhile?.(this.files);
    this.clock.forget();
    await this.#start();
  }

  async restart(): Promise<void> {
    await this.close();
    await this.#start();
  }

  async close(): Promise<void> {
    this.time.close();
    this.state.close();
    await this.engine.close();
  }

  #arm(delayMs: number, call: () => void): Timer {
    const timer = this.clock.after(delayMs, () => {
      this.armed.delete(timer);
      call();
    });
    this.armed.add(timer);
    return {
      cancel: () => {
        this.armed.delete(timer);
        timer.cancel();
      },
    };
  }

  async #start(): Promise<void> {
    const { clock } = this;
    const { windowKeys } = this.#options;
    const given = {
      clock,
      timers: clock,
      random: this.#random,
      log: silentLog,
      metrics: new Metrics(),
    };
    this.engine = await openEngine({
      ...given,
      directory: 'data',
      files: this.files.mount(),
      limits: { walFileBytes: 1 << 20, entryBytesMax: 1 << 19, entryBytesSoft: 1 << 18 },
    });
    this.state = await StateTable.open(this.engine, this.meta, clock, this.#options.limits);
    this.engine.beforeSeal(() => this.state.seal());
    this.armed.clear();
    this.time = new TimeEngine({
      ...{ ...given, engine: this.engine, state: this.state },
      timers: {
        after: (delayMs, call) => this.#arm(delayMs, call),
        soon: (call) => clock.soon(call),
      },
      busy: () => this.engine.busy || this.state.busy,
      ...(windowKeys === undefined ? {} : { windowKeys }),
      onRoom: (call) => (this.engine.busy ? this.engine.onRoom(call) : this.state.onRoom(call)),
    });
  }
}
