/**
 * `ObjectStore` over two places: the local directory and a bucket. Objects of certain names are
 * written here first and are durable then; they go to the bucket behind everybody's back. What is
 * in the bucket may leave the local disk, which so becomes a cache of bounded size; the end of each
 * object stays. A bucket that is away stops only reads of what lies nowhere else.
 *
 * Order that keeps a crash harmless: whole object here, upload, then its tail as an object of its
 * own, which says that the upload is done, and only then may the whole one go. A delete is first
 * written down as one to be done in the bucket.
 */
import {
  BrokerError,
  type Clock,
  crc32c,
  type Log,
  type Metrics,
  type Random,
  type Timers,
} from '#kit';
import { isDiskFull, isSystemError } from '../files/files.ts';
import type { FillObject, ObjectStore, StoredObject } from './object-store.ts';
import { RemoteReads } from './remote-reads.ts';
import { encodeSeal, OWN_PREFIX, SEAL_BYTES, type Seal, tailName } from './tier-codec.ts';
import { Courier } from './tier-courier.ts';
import { TierEntry } from './tier-entry.ts';
import { noEntry, TierErrands } from './tier-errands.ts';
import { makeTierInstruments, type TierInstruments } from './tier-instruments.ts';
import { TIER_LIMITS, type TierLimits } from './tier-limits.ts';
import { loadTier } from './tier-load.ts';
import { TierShelf } from './tier-shelf.ts';

/** A bucket. `dropUnfinished` removes old parts of uploads that nobody ended. */
export interface RemoteStore extends ObjectStore {
  /** Some of the objects whose names come after this one, in order; none when there is none. */
  listAfter?(name: string): Promise<readonly StoredObject[]>;
  dropUnfinished?(): Promise<number>;
}

export interface TieredOptions {
  readonly local: ObjectStore;
  /** Null: nothing is uploaded, and what lies only in a bucket cannot be read. */
  readonly remote: RemoteStore | null;
  /** How the names of the objects begin that go to the bucket. */
  readonly remotePrefix: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Those that differ from `TIER_LIMITS`. */
  readonly limits?: Partial<TierLimits>;
  /** Called when the bucket answers again after an absence. */
  readonly onBack?: () => void;
}

export interface TierStatus {
  readonly state: 'off' | 'ok' | 'away';
  /** Since when the bucket is away, in ms since 1970; null when it is not. */
  readonly awaySinceMs: number | null;
  /** What it said, or did not. */
  readonly reason: string;
  readonly objects: number;
  readonly bytes: number;
  readonly localBytes: number;
  readonly cacheBytes: number;
  readonly waitingObjects: number;
  readonly waitingBytes: number;
  readonly waitingDeletes: number;
  /** Objects that should be in the bucket and are not. */
  readonly missingObjects: number;
  /** Objects under the prefix that this server knows nothing of. */
  readonly strayObjects: number;
}

export interface TieredStore extends ObjectStore {
  status(): TierStatus;
}

/** Looks at the local side only: the bucket may be away. Closes both sides when it is closed. */
export async function openTieredStore(options: TieredOptions): Promise<TieredStore> {
  const loaded = await loadTier(options.local, options.remotePrefix, options.log);
  const store = new Tiered(options);
  await store.shelf.start(loaded);
  store.wake();
  return store;
}

class Tiered implements TieredStore {
  readonly shelf: TierShelf;

  readonly #options: TieredOptions;
  readonly #limits: TierLimits;
  readonly #instruments: TierInstruments;
  readonly #reads: RemoteReads;
  /** Null without a bucket. */
  readonly #far: { remote: RemoteStore; courier: Courier; errands: TierErrands } | null;

  constructor(options: TieredOptions) {
    this.#options = options;
    this.#limits = { ...TIER_LIMITS, ...options.limits };
    const { remote, local, clock, timers, random, log } = options;
    const limits = this.#limits;
    const instruments = makeTierInstruments(options.metrics);
    this.#instruments = instruments;
    const { cacheBytes } = limits;
    this.shelf = new TierShelf({ local, cacheBytes, random, log, instruments });
    const { shelf } = this;
    this.#reads = new RemoteReads(limits, (entry, from, length) =>
      this.#fetch(entry, from, length),
    );
    this.#far = null;
    if (remote === null) return;
    const reads = this.#reads;
    const errands = new TierErrands({ shelf, remote, reads, limits, instruments, log });
    const courier = new Courier({
      ...{ limits, clock, timers, random, log },
      compare: () => errands.survey.begin(),
      next: () => errands.next(),
      onChange: (away) => {
        instruments.away.set(away ? 1 : 0);
        if (!away) options.onBack?.();
      },
    });
    this.#far = { remote, courier, errands };
  }

  /** There may be something to do. A store that has nothing for the bucket asks it nothing. */
  wake(): void {
    if (this.shelf.count + this.shelf.gone.size > 0) this.#far?.courier.wake();
  }

  async put(name: string, fill: FillObject): Promise<void> {
    const { local } = this.#options;
    if (!this.#isRemote(name)) return local.put(name, fill);
    let seal: Seal;
    try {
      seal = await this.#putSealed(name, fill);
    } catch (error) {
      // Everything that the bucket has as well makes room for the next try.
      if (isDiskFull(error)) await this.shelf.evict(0);
      throw error;
    }
    const old = this.shelf.of(name);
    if (old !== undefined) this.shelf.drop(old);
    const state = { local: true, uploaded: false, begun: false };
    this.shelf.add(new TierEntry(name, seal, state));
    if (old !== undefined) await this.#replaced(old);
    this.wake();
    await this.shelf.evict();
  }

  /** Segments that were write-ahead files never go far away. */
  get take(): ObjectStore['take'] {
    const { local } = this.#options;
    return local.take?.bind(local);
  }

  async get(name: string, from: number, length: number): Promise<Buffer> {
    const { local } = this.#options;
    if (!this.#isRemote(name)) return local.get(name, from, length);
    const entry = this.shelf.of(name);
    if (entry === undefined) throw noEntry(name);
    const wanted = Math.min(length, entry.bytes - from);
    if (wanted <= 0) return Buffer.alloc(0);
    if (entry.local) {
      this.shelf.touch(entry);
      try {
        const bytes = await local.get(name, from, wanted);
        this.#instruments.localReads.add();
        return bytes;
      } catch (error) {
        // It left meanwhile, or its place cannot be read and the bucket has it too.
        if (entry.gone || !entry.uploaded || !isSystemError(error)) throw error;
      }
    }
    return this.#getEvicted(entry, from, wanted);
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const { local } = this.#options;
    const found = (await local.list(prefix)).filter(
      ({ name }) => !name.startsWith(OWN_PREFIX) && !this.#isRemote(name),
    );
    for (const { name, bytes } of this.shelf.all()) {
      if (name.startsWith(prefix)) found.push({ name, bytes });
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async deleteMany(names: readonly string[]): Promise<void> {
    const { local } = this.#options;
    const here = names.filter((name) => !this.#isRemote(name));
    const entries = names.flatMap((name) => this.shelf.of(name) ?? []);
    await this.#doom(entries);
    for (const entry of entries) {
      if (entry.uploaded) here.push(tailName(entry.remoteName));
      if (entry.local) here.push(entry.name);
      this.shelf.drop(entry);
      this.#reads.forget(entry);
    }
    // Those that are just leaving are removed by who evicts them.
    await this.shelf.evicted();
    await local.deleteMany(here);
    this.#far?.courier.wake();
  }

  async close(): Promise<void> {
    // Requests under way end with an error now, and with them the errands.
    const ended = this.#far?.courier.close();
    await this.#far?.remote.close();
    await ended;
    await this.shelf.evicted();
    await this.#options.local.close();
  }

  status(): TierStatus {
    const { shelf } = this;
    const away = this.#far?.courier.away ?? null;
    let waitingDeletes = 0;
    for (const doomed of shelf.gone.values()) waitingDeletes += doomed.length;
    return {
      state: this.#far === null ? 'off' : away === null ? 'ok' : 'away',
      awaySinceMs: away?.sinceMs ?? null,
      reason: away?.reason ?? '',
      objects: shelf.count,
      bytes: shelf.bytes,
      localBytes: shelf.localBytes,
      cacheBytes: this.#limits.cacheBytes,
      waitingObjects: shelf.waiting.size,
      waitingBytes: shelf.waitingBytes,
      waitingDeletes,
      missingObjects: this.#far?.errands.survey.missing ?? 0,
      strayObjects: this.#far?.errands.survey.stray ?? 0,
    };
  }

  async #putSealed(name: string, fill: FillObject): Promise<Seal> {
    const id = this.#options.random.bytes(16).toString('hex');
    let [contentBytes, contentCrc, tailBytes] = [0, 0, 0];
    const seal = (): Seal => ({ id, contentBytes, contentCrc, tailBytes, tailCrc: 0 });
    await this.#options.local.put(name, async (write) => {
      tailBytes = await fill(async (chunks) => {
        for (const chunk of chunks) {
          contentBytes += chunk.length;
          contentCrc = crc32c(chunk, contentCrc);
        }
        await write(chunks);
      });
      const least = Math.min(contentBytes, this.#limits.tailBytesMin);
      tailBytes = Math.max(tailBytes, least);
      await write([encodeSeal(seal())]);
      return tailBytes;
    });
    return seal();
  }

  async #getEvicted(entry: TierEntry, from: number, length: number): Promise<Buffer> {
    const { tailAt } = entry;
    const far = Math.max(0, Math.min(length, tailAt - from));
    const near = length - far;
    const parts: Buffer[] = [];
    if (far > 0) parts.push(await this.#reads.read(entry, from, far));
    if (near > 0) parts.push(await this.#tail(entry, Math.max(from, tailAt), near));
    this.#instruments.remoteReads.add();
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async #tail(entry: TierEntry, from: number, length: number): Promise<Buffer> {
    const { local } = this.#options;
    const at = SEAL_BYTES + from - entry.tailAt;
    if (!entry.tailSpoiled) {
      try {
        return await local.get(tailName(entry.remoteName), at, length);
      } catch (error) {
        if (entry.gone || !isSystemError(error)) throw error;
      }
    }
    try {
      return await this.#fetch(entry, from, length);
    } catch (error) {
      // Damaged bytes are better than none: each record in there has a checksum of its own.
      if (!entry.tailSpoiled || !(error instanceof BrokerError)) throw error;
      return local.get(tailName(entry.remoteName), at, length);
    }
  }

  /** From the bucket; at once an error while it is known to be away. */
  async #fetch(entry: TierEntry, from: number, length: number): Promise<Buffer> {
    if (this.#far === null) throw unavailable('No bucket is configured.');
    const { remote, courier, errands } = this.#far;
    const { away } = courier;
    if (away !== null) throw unavailable(away.reason);
    try {
      const bytes = await remote.get(entry.remoteName, from, length);
      if (bytes.length !== length) throw lost(entry);
      courier.succeeded();
      this.#instruments.remoteReadBytes.add(bytes.length);
      entry.fetchedBytes += bytes.length;
      if (entry.fetchedBytes > entry.bytes) {
        errands.want(entry);
        courier.wake();
      }
      return bytes;
    } catch (error) {
      // That may be the wrong bucket as well: nothing is given up for it.
      if (isSystemError(error) && error.code === 'ENOENT') throw entry.gone ? error : lost(entry);
      const isAway = error instanceof BrokerError && error.code === 'remote-unavailable';
      if (isAway && error.cause !== undefined) courier.failed(error);
      throw error;
    }
  }

  #isRemote(name: string): boolean {
    return name.startsWith(this.#options.remotePrefix);
  }

  /** Writes down what the bucket may have of these. */
  #doom(entries: readonly TierEntry[]): Promise<void> {
    const begun = entries.filter((entry) => entry.begun);
    return this.shelf.doom(begun.map(({ name, seal }) => ({ name, id: seal.id })));
  }

  /** Its local bytes were written over. */
  async #replaced(old: TierEntry): Promise<void> {
    this.#reads.forget(old);
    await this.#doom([old]);
    if (old.uploaded) await this.#options.local.deleteMany([tailName(old.remoteName)]);
  }
}

function unavailable(reason: string): BrokerError {
  return new BrokerError('remote-unavailable', reason);
}

function lost(entry: TierEntry): BrokerError {
  return unavailable(`The bucket does not have all of ${entry.remoteName}.`);
}
