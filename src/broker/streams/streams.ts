/** The streams of this server: making, finding, changing and removing them. */
import { createHash } from 'node:crypto';
import { BrokerError, type Clock, type Random, uuid } from '#kit';
import type { LogEngine, Upkeep } from '#storage';
import { KeyCompaction } from '../records/compaction.ts';
import type { Definitions, Json } from '../state/definitions.ts';
import { newLogId, slotOfName } from '../state/slot.ts';
import { checkLastValues, LAST_VALUES, lastValuesSettings } from './last-values-stream.ts';
import { LateIndex } from './late-index.ts';
import { Partition } from './partition.ts';
import type { PartitionHost } from './partition-host.ts';
import {
  DEFAULT_SETTINGS,
  isCompacted,
  type Stream,
  type StreamSettings,
  settingsFault,
} from './stream.ts';

const KIND = 'stream';
const SAFE_NAME = /^[a-zA-Z0-9._-]{1,249}$/;
/** A hashed safe name: what of the name is safe, a dash, 16 hex digits. */
const SAFE_PREFIX_CHARS = 200;
const HASH_CHARS = 16;
const HASHED_NAME = /-[0-9a-f]{16}$/;
export const PARTITIONS_MAX = 10_000;
const NAME_BYTES_MAX = 65_535;
const NO_UPKEEP: Upkeep = { remote: false, compaction: null };
const REMOTE_UPKEEP: Upkeep = { remote: true, compaction: null };

export type StreamEvent = 'created' | 'changed' | 'removed';
export type StreamWatcher = (event: StreamEvent, stream: Stream) => void;

class StreamEntry implements Stream {
  readonly name: string;
  readonly id: string;
  readonly createdAtMs: number;
  partitions: Partition[] = [];
  settings: StreamSettings;

  constructor(name: string, id: string, createdAtMs: number, settings: StreamSettings) {
    this.name = name;
    this.id = id;
    this.createdAtMs = createdAtMs;
    this.settings = settings;
  }

  get safeName(): string {
    return safeNameOf(this.name);
  }

  get hidden(): boolean {
    return this.name.startsWith('__') || this.name.startsWith('mq9.');
  }
}

interface StoredStream {
  readonly id: string;
  readonly logs: readonly number[];
  readonly createdAtMs: number;
  readonly settings: Partial<StreamSettings>;
}

export class Streams {
  /**
   * Grows when a stream comes or goes: what was resolved to streams is good while it is the same.
   */
  version = 0;
  /** First offset of a partition that a durable cursor needs; set by who knows them. */
  neededFrom: (partition: Partition) => number = () => Number.POSITIVE_INFINITY;
  /** Told of each append to any partition; set by who keeps their size. */
  appended: (partition: Partition, bytes: number) => void = () => {};
  /** True when an object store is configured; without one no stream can be set to use it. */
  remoteStore = false;
  readonly #byName = new Map<string, StreamEntry>();
  readonly #byId: LateIndex<StreamEntry>;
  /** Those whose name is not safe itself, by what of it is. */
  readonly #bySafePrefix: LateIndex<StreamEntry>;
  readonly #watchers = new Set<StreamWatcher>();
  readonly #definitions: Definitions;
  readonly #engine: LogEngine;
  readonly #host: PartitionHost;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(
    definitions: Definitions,
    engine: LogEngine,
    host: PartitionHost,
    clock: Clock,
    random: Random,
  ) {
    this.#definitions = definitions;
    this.#engine = engine;
    this.#host = host;
    this.#clock = clock;
    this.#random = random;
    this.#byId = new LateIndex(this.#byName.values(), ({ id }) => id);
    this.#bySafePrefix = new LateIndex(this.#byName.values(), ({ name }) =>
      isSafe(name) ? null : safePrefixOf(name),
    );
    for (const [name, value] of definitions.list(KIND)) {
      const stored = value as unknown as StoredStream;
      const settings = settingsOf(stored.settings);
      const stream = new StreamEntry(name, stored.id, stored.createdAtMs, settings);
      this.#open(stream, stored.logs);
      this.#enter(stream);
    }
  }

  get count(): number {
    return this.#byName.size;
  }

  get(name: string): Stream | undefined {
    return this.#byName.get(name);
  }

  byId(id: string): Stream | undefined {
    return this.#byId.find(id, (stream) => stream.id === id);
  }

  /** By the name that `Stream.safeName` gives. */
  bySpelling(safeName: string): Stream | undefined {
    const named = this.#byName.get(safeName);
    if (named !== undefined || !HASHED_NAME.test(safeName)) return named;
    const prefix = safeName.slice(0, -HASH_CHARS - 1);
    return this.#bySafePrefix.find(prefix, (stream) => stream.safeName === safeName);
  }

  list(): Iterable<Stream> {
    return this.#byName.values();
  }

  /**
   * Makes a stream: usable at once, durable when `durable()` resolves (and before anything in it
   * is).
   * @throws BrokerError `stream-exists`, `invalid-name`, `invalid-argument`
   */
  create(name: string, settings: Partial<StreamSettings> & { partitions?: number } = {}): Stream {
    if (this.#byName.has(name)) throw new BrokerError('stream-exists', `'${name}'`);
    if (name === '' || Buffer.byteLength(name) > NAME_BYTES_MAX) {
      throw new BrokerError('invalid-name', `a stream's name has 1 to ${NAME_BYTES_MAX} bytes.`);
    }
    const wanted = name === LAST_VALUES ? lastValuesSettings(settings) : settings;
    const { partitions = 1, ...own } = wanted;
    checkPartitions(partitions);
    checkSettings({ ...DEFAULT_SETTINGS, ...own });
    this.#checkRemote({ ...DEFAULT_SETTINGS, ...own });
    const stream = new StreamEntry(name, uuid(this.#random), this.#clock.nowMs(), settingsOf(own));
    this.#open(stream, this.#newLogs(name, partitions));
    this.#enter(stream);
    this.#store(stream);
    this.#tell('created', stream);
    return stream;
  }

  change(stream: Stream, settings: Partial<StreamSettings>): void {
    const entry = this.#entryOf(stream);
    if (settings.durability !== undefined && settings.durability !== entry.settings.durability) {
      throw new BrokerError('invalid-argument', 'the durability of a stream cannot be changed.');
    }
    const changed = { ...entry.settings, ...settings };
    if (entry.name === LAST_VALUES) checkLastValues(changed);
    checkSettings(changed);
    if (!entry.settings.remote || isCompacted(changed)) this.#checkRemote(changed);
    entry.settings = changed;
    for (const partition of entry.partitions) partition.log.upkeep = this.#upkeepOf(partition);
    this.#store(entry);
    this.#tell('changed', entry);
  }

  /** Grows a stream to `total` partitions. @throws BrokerError `invalid-argument` */
  addPartitions(stream: Stream, total: number): void {
    const entry = this.#entryOf(stream);
    if (entry.name === LAST_VALUES) lastValuesSettings({ partitions: total });
    checkPartitions(total);
    if (total <= entry.partitions.length) {
      throw new BrokerError('invalid-argument', `it has ${entry.partitions.length} already.`);
    }
    this.#open(entry, this.#newLogs(entry.name, total - entry.partitions.length));
    this.version++;
    this.#store(entry);
    this.#tell('changed', entry);
  }

  /** Removes a stream and its records, for all protocols. */
  remove(stream: Stream): void {
    const entry = this.#entryOf(stream);
    if (entry.name === LAST_VALUES) {
      throw new BrokerError('precondition-failed', `'${entry.name}' belongs to the server.`);
    }
    this.#byName.delete(entry.name);
    this.#byId.removed(entry);
    this.#bySafePrefix.removed(entry);
    this.version++;
    this.#definitions.remove(KIND, entry.name);
    this.#tell('removed', entry);
    for (const partition of entry.partitions) {
      partition.seal();
      partition.log.remove();
    }
  }

  /** Resolves when everything done to streams so far would survive a power cut. */
  durable(): Promise<void> {
    return this.#definitions.durable();
  }

  watch(watcher: StreamWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #checkRemote(settings: StreamSettings): void {
    if (!settings.remote) return;
    const no = (why: string): BrokerError => new BrokerError('invalid-argument', `remote: ${why}.`);
    if (!this.remoteStore) throw no('no object store is configured (storage.remote-bucket)');
    if (settings.durability === 'memory') throw no('a stream in memory stays there');
    if (isCompacted(settings)) throw no('a compacted stream stays on the local disk');
  }

  #entryOf(stream: Stream): StreamEntry {
    const entry = this.#byName.get(stream.name);
    if (entry !== stream) throw new BrokerError('unknown-stream', `'${stream.name}'`);
    return entry;
  }

  #newLogs(name: string, count: number): number[] {
    const slot = slotOfName(name);
    return Array.from({ length: count }, () => newLogId(slot, this.#engine, this.#random));
  }

  #open(stream: StreamEntry, logs: readonly number[]): void {
    const { length } = stream.partitions;
    const opened = logs.map((id, index) => {
      const log = this.#engine.open(id, stream.settings.durability);
      const partition = new Partition(stream, length + index, log, this.#host, this);
      // Most logs need nothing of their own, and share one object that says so.
      if (isCompacted(stream.settings) || stream.settings.remote) {
        log.upkeep = this.#upkeepOf(partition);
      }
      return partition;
    });
    // Of exact size: an array that grew by `push` has room for sixteen more.
    stream.partitions = stream.partitions.concat(opened);
  }

  #upkeepOf(partition: Partition): Upkeep {
    const { settings } = partition.stream;
    if (!isCompacted(settings)) return settings.remote ? REMOTE_UPKEEP : NO_UPKEEP;
    const neededFrom = (): number => this.neededFrom(partition);
    const compaction = new KeyCompaction(partition, neededFrom, this.#host.openedBytesMax);
    return { ...NO_UPKEEP, compaction };
  }

  #enter(stream: StreamEntry): void {
    this.#byName.set(stream.name, stream);
    this.#byId.added(stream);
    this.#bySafePrefix.added(stream);
    this.version++;
  }

  #store(stream: StreamEntry): void {
    const settings: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(stream.settings)) {
      if (value !== DEFAULT_SETTINGS[name as keyof StreamSettings]) settings[name] = value;
    }
    const stored = {
      id: stream.id,
      logs: stream.partitions.map((partition) => partition.log.id),
      createdAtMs: stream.createdAtMs,
      settings,
    };
    this.#definitions.put(KIND, stream.name, stored as unknown as Json);
  }

  #tell(event: StreamEvent, stream: Stream): void {
    for (const watcher of [...this.#watchers]) watcher(event, stream);
  }
}

/** Most streams have the defaults, and then share them. */
function settingsOf(own: Partial<StreamSettings>): StreamSettings {
  for (const _ in own) return { ...DEFAULT_SETTINGS, ...own };
  return DEFAULT_SETTINGS;
}

function checkPartitions(count: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= PARTITIONS_MAX) return;
  throw new BrokerError('invalid-argument', `partitions: 1 to ${PARTITIONS_MAX}.`);
}

function checkSettings(settings: StreamSettings): void {
  const fault = settingsFault(settings);
  if (fault !== null) throw new BrokerError('invalid-argument', `${fault}.`);
}

/** A name in the safe alphabet: itself, or its safe characters with a hash of the whole. */
function safeNameOf(name: string): string {
  if (isSafe(name)) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_CHARS);
  return `${safePrefixOf(name)}-${hash}`;
}

function isSafe(name: string): boolean {
  return SAFE_NAME.test(name) && name !== '.' && name !== '..';
}

function safePrefixOf(name: string): string {
  return name.replace(/[^a-zA-Z0-9._-]/g, '_').slice(0, SAFE_PREFIX_CHARS);
}
