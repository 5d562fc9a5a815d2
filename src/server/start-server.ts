/** Builds a server from its settings and starts it: storage, broker, protocols, ports, admin. */
import path from 'node:path';
import { ADMIN_OPTIONS, Admin } from '#admin';
import { Broker, type DeriveKey } from '#broker';
import type { Host, Instance, Protocol } from '#contract';
import {
  type Clock,
  type Log,
  Metrics,
  type Random,
  realClock,
  realRandom,
  realTimers,
  silentLog,
  type Timers,
  uuid,
} from '#kit';
import { type MetaStore, openSqliteStore } from '#meta';
import {
  type Admission,
  type Ban,
  BanList,
  Gatekeeper,
  hostRefusal,
  isLoopback,
  Listeners,
  type ListenersContext,
  type Network,
  TlsKeyRing,
  Turn,
} from '#net';
import { protocols as allProtocols } from '#protocols';
import {
  type EngineLimits,
  type Files,
  type LogEngine,
  openEngine,
  type RemoteStore,
  realFiles,
} from '#storage';
import { AuthFiles } from './auth-files.ts';
import { checkExposure, ensureConfiguredUser } from './authentication.ts';
import { Closing } from './closing.ts';
import { Drain } from './drain.ts';
import { engineLimits } from './engine-limits.ts';
import { listenerPlans, type Planned } from './listener-plans.ts';
import { ServerObjects } from './object-store.ts';
import { connectionsWithin, openFilesMax, segmentsWithin } from './open-files.ts';
import { loadSettings } from './options/load-settings.ts';
import type { Settings } from './options/settings.ts';
import { leaveClients, type RunningServer, runningServer } from './running-server.ts';
import { freePorts, serverSchema } from './schema.ts';
import { AUTH_OPTIONS, SERVER_OPTIONS, STORAGE_OPTIONS } from './server-options.ts';
import { StorageCheckJob } from './storage-check.ts';
import { openTokenCheck } from './token-check.ts';
import { programVersion } from './version.ts';

export interface StartOptions {
  /** Settings that were loaded already; `set` is ignored then. */
  readonly settings?: Settings;
  /** Values by option name (`mqtt.listen`), over the defaults; for programs and tests. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** Every listener that `set` does not name takes a free port. */
  readonly freePorts?: boolean;
  readonly protocols?: readonly Protocol[];
  readonly log?: Log;
  // The world around the server. What is left out is the machine's own.
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly random?: Random;
  readonly files?: Files;
  /** An open catalogue; the server closes it. */
  readonly meta?: MetaStore;
  /** An open object store in place of the configured bucket; the server closes it. */
  readonly bucket?: RemoteStore;
  readonly network?: (context: ListenersContext) => Network;
  readonly deriveKey?: DeriveKey;
  /** Over the bounds that follow from the options; for small disks of simulations. */
  readonly limits?: Partial<EngineLimits>;
}

/** What `StartOptions` gives, completed. */
interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly meta: MetaStore | null;
  readonly bucket: RemoteStore | null;
  readonly network: (context: ListenersContext) => Network;
  readonly deriveKey: DeriveKey | null;
  readonly limits: Partial<EngineLimits>;
}

/** The catalogue, in the data folder. */
export const META_FILE = 'meta.sqlite';

/** @throws BrokerError when it cannot start; everything that was opened is closed again then */
export async function startServer(options: StartOptions = {}): Promise<RunningServer> {
  const protocols = options.protocols ?? allProtocols;
  const settings = options.settings ?? settingsOf(protocols, options);
  const log = options.log ?? silentLog;
  const closing = new Closing(log);
  try {
    return await new Start(settings, protocols, log, options, closing).run();
  } catch (error) {
    await closing.run();
    throw error;
  }
}

function settingsOf(protocols: readonly Protocol[], options: StartOptions): Settings {
  const schema = serverSchema(protocols);
  const free = options.freePorts === true ? freePorts(schema) : {};
  return loadSettings(schema, { flags: { ...free, ...options.set } });
}

function surroundings(options: StartOptions): Surroundings {
  return {
    clock: options.clock ?? realClock,
    random: options.random ?? realRandom,
    files: options.files ?? realFiles,
    meta: options.meta ?? null,
    bucket: options.bucket ?? null,
    network: options.network ?? ((context) => new Listeners(context)),
    deriveKey: options.deriveKey ?? null,
    limits: options.limits ?? {},
  };
}

/** The steps of one start, in order; each tells `closing` how it is undone. */
class Start {
  readonly #settings: Settings;
  readonly #protocols: readonly Protocol[];
  readonly #log: Log;
  readonly #around: Surroundings;
  readonly #closing: Closing;
  readonly #metrics = new Metrics();
  readonly #turn: Turn;
  readonly #version = programVersion();
  #phase: 'starting' | 'ready' | 'stopping' = 'starting';
  #meta: MetaStore | null = null;
  #objects: ServerObjects | null = null;

  constructor(
    settings: Settings,
    protocols: readonly Protocol[],
    log: Log,
    options: StartOptions,
    closing: Closing,
  ) {
    this.#settings = settings;
    this.#protocols = protocols;
    this.#log = log;
    this.#around = surroundings(options);
    this.#turn = new Turn(options.timers ?? realTimers);
    this.#closing = closing;
  }

  async run(): Promise<RunningServer> {
    const planned = listenerPlans(this.#protocols, this.#settings);
    const keyRing = await this.#loadKeys(planned);
    // Opened after the engine, whose lock says that the folder is ours, but closed after it as
    // well: the engine's last checkpoint moves state into the catalogue.
    this.#closing.add('catalogue', async () => this.#meta?.close());
    const engine = await this.#openEngine();
    const broker = await this.#openBroker(engine);
    const auth = this.#settings.section('auth', AUTH_OPTIONS);
    broker.principals.store.iterations = auth.scramIterations;
    await ensureConfiguredUser(broker, auth);
    const authFiles = new AuthFiles(broker, auth, this.#scope('auth'));
    await authFiles.load();
    const tokensLog = this.#scope('auth');
    broker.principals.tokens = await openTokenCheck(auth, this.#around.clock, tokensLog);
    const serverId = await identity(broker, this.#around.random);
    const bans = this.#openBans(broker);
    const listeners = this.#makeListeners(keyRing, this.#gatekeeper(bans, broker));
    bans.onAdd((ban) => sendAwayBanned(listeners, bans, ban));
    const allLeave = (): void => broker.queues.stop();
    const drain = new Drain(listeners, this.#timers, this.#scope('net'), allLeave);
    const host = { broker, serverId, listeners, bans, drain, keyRing, authFiles };
    const adminListen = this.#settings.section('admin', ADMIN_OPTIONS).listen;
    checkExposure(broker, [
      // Where nobody has to log in, that was said for this very listener.
      ...planned.filter((one) => one.settings.authentication !== 'off').map((one) => one.plan),
      { name: 'admin', listen: adminListen },
    ]);
    const instances = this.#openProtocols(host, planned);
    const hasAdmin = adminListen.some((text) => text !== 'off');
    const admin = hasAdmin ? this.#makeAdmin(host, engine, instances) : null;
    this.#leaveLater(host, instances);
    for (const { protocol, plan } of planned) {
      const instance = instances.get(protocol.name)!;
      await listeners.open(plan, (connection) => instance.accept(connection));
    }
    if (admin !== null) {
      await listeners.openHttp('admin', adminListen, (socket) => admin.accept(socket));
    }
    this.#phase = 'ready';
    const parts = { broker, metrics: this.#metrics, serverId, listeners, keyRing, authFiles };
    return runningServer(parts, this.#closing);
  }

  /** Reads all TLS files, so that a bad one stops the start before any data is touched. */
  async #loadKeys(planned: readonly Planned[]): Promise<TlsKeyRing> {
    const keyRing = new TlsKeyRing(this.#timers, this.#scope('net'));
    this.#closing.add('certificates', () => keyRing.close());
    for (const { settings } of planned) await keyRing.keysFor(settings);
    return keyRing;
  }

  async #openEngine(): Promise<LogEngine> {
    const directory = this.#dataDir();
    this.#objects = this.#makeObjects();
    const objects = this.#objects;
    const engine = await openEngine({
      directory,
      files: this.#around.files,
      clock: this.#around.clock,
      timers: this.#timers,
      random: this.#around.random,
      log: this.#scope('storage'),
      metrics: this.#metrics,
      limits: { ...this.#limits(), ...this.#around.limits },
      objects: (local) => objects.open(local),
    });
    this.#closing.add('storage', () => engine.close());
    return engine;
  }

  #makeObjects(): ServerObjects {
    const { clock, random } = this.#around;
    const parts = {
      ...{ clock, random, timers: this.#timers },
      log: this.#scope('storage'),
      metrics: this.#metrics,
    };
    const options = this.#settings.section('storage', STORAGE_OPTIONS);
    return new ServerObjects(options, parts, this.#around.bucket);
  }

  async #openBroker(engine: LogEngine): Promise<Broker> {
    const meta = this.#around.meta ?? openSqliteStore(path.join(this.#dataDir(), META_FILE));
    this.#meta = meta;
    const options = this.#settings.section('server', SERVER_OPTIONS);
    const broker = await Broker.open({
      engine,
      meta,
      clock: this.#around.clock,
      timers: this.#timers,
      random: this.#around.random,
      log: this.#scope('broker'),
      metrics: this.#metrics,
      options: { autoCreate: options.autoCreate, messageBytesMax: options.messageMax },
      ...(this.#around.deriveKey === null ? {} : { deriveKey: this.#around.deriveKey }),
    });
    broker.streams.remoteStore = this.#objects?.isThere === true;
    if (this.#objects !== null) {
      this.#objects.onBack = () => {
        broker.queues.readAgain();
        broker.transactions.readAgain();
      };
    }
    this.#closing.add('broker', () => broker.close());
    return broker;
  }

  #makeListeners(keyRing: TlsKeyRing, admission: Admission): Network {
    const options = this.#settings.section('server', SERVER_OPTIONS);
    const connectionsMax = connectionsWithin(options.connectionsMax, openFilesMax(), this.#log);
    const listeners = this.#around.network({
      options: { ...options, connectionsMax },
      settingsOf: (name) => this.#settings.listener(name),
      ...{ keyRing, admission },
      clock: this.#around.clock,
      turn: this.#turn,
      log: this.#scope('net'),
      metrics: this.#metrics,
    });
    this.#closing.add('listeners', () => listeners.close());
    return listeners;
  }

  #openProtocols(given: HostParts, planned: readonly Planned[]): Map<string, Instance> {
    const instances = new Map<string, Instance>();
    for (const protocol of this.#protocols) {
      const host: Host = {
        broker: given.broker,
        clock: this.#around.clock,
        timers: this.#timers,
        random: this.#around.random,
        log: this.#scope(protocol.name),
        metrics: this.#metrics,
        serverId: given.serverId,
        version: this.#version,
        bound: (listener) => given.listeners.bound(listener),
      };
      const values = this.#settings.section(protocol.name, protocol.options);
      const byListener = new Map(
        planned
          .filter((one) => one.protocol === protocol)
          .map(({ plan: { name } }) => {
            return [name, this.#settings.sectionAt(protocol.name, protocol.options, name)];
          }),
      );
      instances.set(protocol.name, protocol.open(host, values, byListener));
    }
    return instances;
  }

  #openBans(broker: Broker): BanList {
    const bans = new BanList(broker.definitions, this.#around.clock, this.#timers);
    this.#closing.add('bans', () => bans.close());
    return bans;
  }

  #gatekeeper(bans: BanList, { quotas }: Broker): Gatekeeper {
    const options = this.#settings.section('server', SERVER_OPTIONS);
    const log = this.#scope('net');
    return new Gatekeeper(bans, options, this.#around.clock, log, (address) =>
      quotas.admits(address),
    );
  }

  #leaveLater(host: HostParts, instances: ReadonlyMap<string, Instance>): void {
    const { broker, listeners, drain } = host;
    const options = this.#settings.section('server', SERVER_OPTIONS);
    const { stopTimeout: timeoutMs, drainRate: perSecond, drainReference: reference } = options;
    this.#closing.add('clients', async () => {
      this.#phase = 'stopping';
      const log = this.#log;
      if (perSecond > 0 || reference !== '') await drain.start({ perSecond, reference });
      drain.close();
      broker.queues.stop();
      await leaveClients({ listeners, instances, timers: this.#timers, log, timeoutMs });
    });
  }

  #makeAdmin(
    { broker, serverId, listeners, bans, drain, keyRing, authFiles }: HostParts,
    engine: LogEngine,
    instances: ReadonlyMap<string, Instance>,
  ): Admin {
    const { allowedHosts } = this.#settings.section('server', SERVER_OPTIONS);
    return new Admin(
      {
        broker,
        storage: {
          get health() {
            return engine.health;
          },
          report: engine.report,
          usage: () => engine.usage(),
          remote: () => this.#objects?.status() ?? null,
          check: this.#makeCheck(),
          checkpoint: () => engine.checkpoint(),
        },
        protocols: this.#protocols.map(({ name, resources = [] }) => {
          return { name, resources, instance: instances.get(name)! };
        }),
        metrics: this.#metrics,
        clock: this.#around.clock,
        log: this.#scope('admin'),
        version: this.#version,
        serverId,
        listeners: () =>
          listeners.list().map(({ name, transport, addresses }) => {
            return { name, transport, addresses, connections: listeners.connections(name) };
          }),
        bans,
        drain,
        reloadTls: () => keyRing.reload(),
        reloadAuth: () => authFiles.load(),
        phase: () => this.#phase,
        refusal: (headers) => hostRefusal(headers, allowedHosts),
      },
      isLoopback,
    );
  }

  #limits(): Partial<EngineLimits> {
    const { messageMax } = this.#settings.section('server', SERVER_OPTIONS);
    const limits = engineLimits(this.#settings.section('storage', STORAGE_OPTIONS), messageMax);
    return { ...limits, openSegmentsMax: segmentsWithin(openFilesMax()) };
  }

  #makeCheck(): StorageCheckJob {
    const { files, clock } = this.#around;
    const job = new StorageCheckJob({
      ...{ files, clock, timers: this.#timers, directory: this.#dataDir() },
      log: this.#scope('storage'),
    });
    this.#closing.add('check', () => job.cancel());
    return job;
  }

  #dataDir(): string {
    return path.resolve(this.#settings.section('server', SERVER_OPTIONS).dataDir);
  }

  #scope(scope: string): Log {
    return this.#log.with({ scope });
  }

  get #timers(): Timers {
    return this.#turn;
  }
}

interface HostParts {
  readonly broker: Broker;
  readonly serverId: string;
  readonly listeners: Network;
  readonly bans: BanList;
  readonly drain: Drain;
  readonly keyRing: TlsKeyRing;
  readonly authFiles: AuthFiles;
}

/** A ban holds for those who are in as well. */
function sendAwayBanned(listeners: Network, bans: BanList, ban: Ban): void {
  const text = ban.reason === '' ? 'banned' : `banned: ${ban.reason}`;
  for (const guest of [...listeners.guests()]) {
    const meant =
      bans.ofAddress(guest.peer.address) === ban ||
      (guest.client !== null && bans.ofClient(guest.client) === ban);
    if (meant) guest.evict({ why: 'banned', text, reference: null });
  }
}

/** An id that stays with the data folder. */
async function identity(broker: Broker, random: Random): Promise<string> {
  const known = broker.definitions.get('server', 'id');
  if (typeof known === 'string') return known;
  const id = uuid(random);
  broker.definitions.put('server', 'id', id);
  await broker.definitions.durable();
  return id;
}
