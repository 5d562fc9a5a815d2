/**
 * Everything that a server meets, on one seed: time, disk, catalogue, network, random numbers. The
 * server is the real one; it can lose its power or be killed at any moment and is started again.
 */
import { createHash } from 'node:crypto';
import { BrokerError, type Log, type LogFields } from '#kit';
import { type RunningServer, startServer } from '#server';
import { VirtualFiles } from '#storage';
import { openDirectoryStore } from '../../src/storage/objects/directory-store.ts';
import { Answer } from './actor.ts';
import { VirtualCatalogue } from './catalogue.ts';
import { Ledger } from './ledger.ts';
import { type VirtualListeners, VirtualNetwork } from './network.ts';
import { LifeTimers, Scheduler, VirtualClock } from './scheduler.ts';
import { Seeded } from './seeded.ts';
import { ShareJudge } from './share-judge.ts';
import { Trace } from './trace.ts';

/** Small files and short pauses, so that a short run meets every state of the engine. */
const LIMITS = {
  walFileBytes: 128 << 10,
  entryBytesMax: 64 << 10,
  entryBytesSoft: 16 << 10,
  inFlightBytesMax: 128 << 10,
  cacheBytes: 16 << 10,
  reserveBytes: 0,
  asyncIntervalMs: 20,
  idleMarkMs: 20,
  fullRetryMs: 20,
  fullRetryMsMax: 200,
  sweepDelayMs: 50,
  segmentBytesMax: 128 << 10,
  compactionPauseMs: 300,
  openSegmentsMax: 6,
};
/** Time that a call to the bucket takes. */
const BUCKET_MS = [2, 40] as const;
const BUCKET_OPEN_MAX = 8;
/** What happened behind the clients: a run in which none of it did shows less. */
const UPKEEP = {
  adopted: 'robustmq_storage_adopted_bytes_total',
  merges: 'robustmq_storage_merges_total',
  compactions: 'robustmq_storage_compactions_total',
  uploads: 'robustmq_storage_remote_uploads_total',
  evictions: 'robustmq_storage_remote_evictions_total',
} as const;
export type Upkeep = Record<keyof typeof UPKEEP, number>;

const SHARE_LOCK_MS = 1_000;
const SHARE_DELIVERIES_MAX = 4;
const SETTINGS = {
  'server.data-dir': '/data',
  'server.connections-max': 64,
  'server.message-max': 32 << 10,
  'admin.listen': ['off'],
  'storage.remote-cache-size': 64 << 10,
  // Most clients that go find that their session has left memory when they return.
  'mqtt.session-cold-after': 20,
  'kafka.share-record-lock-duration': SHARE_LOCK_MS,
  'kafka.share-delivery-count-limit': SHARE_DELIVERIES_MAX,
};

export class World {
  readonly seed: number;
  readonly scheduler = new Scheduler();
  readonly clock = new VirtualClock(this.scheduler);
  readonly trace: Trace;
  readonly disk: VirtualFiles;
  /** Where the bucket lies: another machine, which lives on. */
  readonly bucket: VirtualFiles;
  readonly catalogue: VirtualCatalogue;
  readonly network: VirtualNetwork;
  readonly ledger: Ledger;
  readonly shares: ShareJudge;
  server: RunningServer | null = null;
  /** Set when a run is over: clients finish what they began and stop. */
  closing = false;
  readonly upkeep: Upkeep = { adopted: 0, merges: 0, compactions: 0, uploads: 0, evictions: 0 };
  /** Ranges that the server said to be damaged. */
  readonly damage: LogFields[] = [];
  readonly #random: Seeded;
  #timers: LifeTimers | null = null;
  #listeners: VirtualListeners | null = null;
  #life = 0;
  #onDiskCall: () => void = () => {};
  #death: Answer<null> | null = null;

  constructor(seed: number, show: ((line: string) => void) | null = null) {
    this.seed = seed;
    this.#random = new Seeded(seed, 'world');
    this.trace = new Trace(() => this.scheduler.nowMs, show);
    this.ledger = new Ledger(this.trace, () => this.scheduler.nowMs);
    this.shares = new ShareJudge(this.ledger, 'sg', SHARE_LOCK_MS, SHARE_DELIVERIES_MAX);
    const timers = {
      after: (ms: number, call: () => void) => this.#diskTimer(ms, call),
      soon() {},
    };
    this.disk = new VirtualFiles({ random: this.random('disk'), timers });
    this.bucket = new VirtualFiles({ random: this.random('bucket'), timers });
    const far = this.random('way to the bucket');
    this.bucket.delay = () => far.between(...BUCKET_MS);
    this.disk.watch = (call, path, position, bytes) => {
      this.#onDiskCall();
      const text = `disk ${call} ${path} ${position}`;
      if (bytes === null) this.trace.add(text);
      else this.trace.bytes(text, bytes);
    };
    this.catalogue = new VirtualCatalogue(this.scheduler, this.random('catalogue'), this.trace);
    this.network = new VirtualNetwork(this.scheduler, this.random('network'), this.trace);
  }

  random(name: string): Seeded {
    return this.#random.fork(name);
  }

  /** Starts a server on what the disk and the catalogue hold. Null when it cannot start. */
  async start(): Promise<RunningServer | null> {
    const life = ++this.#life;
    const timers = new LifeTimers(this.scheduler);
    this.#timers = timers;
    this.trace.add(`server start ${life}`);
    const death = new Answer<null>();
    this.#death = death;
    try {
      const server = await Promise.race([this.#started(life, timers), death.promise]);
      if (server === null || life !== this.#life) return null;
      this.server = server;
      this.trace.add(`server ready ${life}`);
      return server;
    } catch (error) {
      if (life !== this.#life) return null;
      if (!(error instanceof BrokerError) && !this.#isFromDisk(error)) throw error;
      this.trace.add(`server failed to start: ${error.message}`);
      this.kill();
      return null;
    }
  }

  async #started(life: number, timers: LifeTimers): Promise<RunningServer> {
    return startServer({
      set: SETTINGS,
      limits: LIMITS,
      clock: this.clock,
      timers,
      random: this.random(`server ${life}`),
      files: this.disk.mount(),
      meta: await this.catalogue.mount(),
      bucket: await openDirectoryStore(this.bucket.mount(), '/bucket', BUCKET_OPEN_MAX),
      log: this.#log({}),
      deriveKey: async (password, salt) =>
        createHash('sha256').update(salt).update(password).digest(),
      network: (context) => {
        this.#listeners = this.network.listeners(context);
        return this.#listeners;
      },
    });
  }

  /** The machine loses its power. */
  powerCut(): void {
    this.trace.add('power cut');
    this.#die(0.3);
    this.disk.crash();
    this.catalogue.crash();
  }

  /** The process ends at once; the machine and its caches live on. */
  kill(): void {
    this.trace.add('kill');
    this.#die(0);
    this.disk.kill();
    this.catalogue.kill();
  }

  /** Ends a run: nothing of it goes on. */
  abandon(): void {
    this.#die(0);
    this.disk.kill();
    this.catalogue.kill();
  }

  /** A server was closed well. */
  gone(): void {
    this.kill();
  }

  /** Resolves with the disk call that is so many from now, in the middle of it, or in time. */
  diskCalls(count: number, withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      let left = count;
      this.#onDiskCall = () => {
        if (--left === 0) resolve();
      };
      this.scheduler.after(withinMs, resolve);
    });
  }

  #isFromDisk(error: unknown): error is Error {
    return (
      error instanceof Error && ['EIO', 'ENOSPC'].includes((error as { code?: string }).code ?? '')
    );
  }

  #die(silentShare: number): void {
    this.#life++;
    this.#death?.resolve(null);
    if (this.server !== null) this.#count(this.server);
    this.server = null;
    this.bucket.kill();
    if (this.#timers !== null) this.#timers.alive = false;
    if (this.#listeners !== null) this.#listeners.alive = false;
    this.network.processDied(silentShare);
    this.shares.serverEnded();
  }

  /** What this life of the server did, before it is forgotten. */
  #count({ metrics }: RunningServer): void {
    for (const [what, name] of Object.entries(UPKEEP) as [keyof Upkeep, string][]) {
      const bytes = metrics.counter(name, '').value;
      this.upkeep[what] += what === 'adopted' ? Math.sign(bytes) : bytes;
    }
  }

  #diskTimer(ms: number, call: () => void) {
    const event = this.scheduler.after(ms, call);
    return {
      cancel: () => {
        event.call = null;
      },
    };
  }

  #log(fixed: LogFields): Log {
    const at =
      (level: string) =>
      (message: string, fields: LogFields = {}): void => {
        const all = { ...fixed, ...fields };
        this.trace.add(`log ${level} ${message} ${JSON.stringify(all)}`);
        if (level === 'error') this.#judge(message, all);
      };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      with: (fields) => this.#log({ ...fixed, ...fields }),
    };
  }

  /** Damage is told by the log; a mistake of the program is a fault of its own. */
  #judge(message: string, fields: LogFields): void {
    if (message.includes('damaged')) this.damage.push(fields);
    if (message === 'storage refuses appends') this.ledger.refuses();
    if (message.includes('unexpected exception')) {
      this.failure ??= new Error(`${message}: ${String(fields['reason'])}`);
    }
  }

  failure: Error | null = null;
}
