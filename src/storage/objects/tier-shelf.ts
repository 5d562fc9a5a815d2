/**
 * The local side of a tiered store: which objects there are, which lie whole on the local disk, in
 * the order of their last use, what is to be deleted in the bucket; and the bound of the cache. It
 * writes nothing to the bucket.
 */
import { crc32c, type Log, type Random } from '#kit';
import { isSystemError } from '../files/files.ts';
import type { ObjectStore } from './object-store.ts';
import { type Doomed, encodeGone, encodeSeal, GONE_PREFIX, tailName } from './tier-codec.ts';
import type { TierEntry } from './tier-entry.ts';
import type { TierInstruments } from './tier-instruments.ts';
import type { LoadedTier } from './tier-load.ts';

export interface ShelfParts {
  readonly local: ObjectStore;
  readonly cacheBytes: number;
  readonly random: Random;
  readonly log: Log;
  readonly instruments: TierInstruments;
}

export class TierShelf {
  /** Lists of what is to be deleted in the bucket, by the local object that holds them. */
  readonly gone = new Map<string, readonly Doomed[]>();
  /** Those that wait for their upload, in the order of their arrival. */
  readonly waiting = new Set<TierEntry>();
  readonly local: ObjectStore;
  bytes = 0;
  localBytes = 0;
  waitingBytes = 0;

  readonly #parts: ShelfParts;
  /** Least recently used first. */
  readonly #entries = new Map<string, TierEntry>();
  #evicting: Promise<void> | null = null;

  constructor(parts: ShelfParts) {
    this.#parts = parts;
    this.local = parts.local;
  }

  /** Takes over what was found, and ends what a crash had interrupted. */
  async start({ entries, gone, replaced, leftovers }: LoadedTier): Promise<void> {
    for (const [file, doomed] of gone) this.gone.set(file, doomed);
    for (const entry of entries) this.add(entry);
    await this.doom(replaced);
    await this.local.deleteMany(leftovers);
    await this.evict();
  }

  get count(): number {
    return this.#entries.size;
  }

  all(): readonly TierEntry[] {
    return [...this.#entries.values()];
  }

  of(name: string): TierEntry | undefined {
    return this.#entries.get(name);
  }

  add(entry: TierEntry): void {
    this.#entries.set(entry.name, entry);
    this.bytes += entry.bytes;
    if (entry.local) this.localBytes += entry.bytes;
    if (entry.waits) this.waiting.add(entry);
    if (entry.waits) this.waitingBytes += entry.bytes;
    this.#show();
  }

  /** The object is deleted, or its name belongs to another one from now on. */
  drop(entry: TierEntry): void {
    if (entry.gone) return;
    this.stopWaiting(entry);
    entry.gone = true;
    this.bytes -= entry.bytes;
    if (entry.local) this.localBytes -= entry.bytes;
    if (this.#entries.get(entry.name) === entry) this.#entries.delete(entry.name);
    this.#show();
  }

  touch(entry: TierEntry): void {
    if (entry.gone) return;
    this.#entries.delete(entry.name);
    this.#entries.set(entry.name, entry);
  }

  stopWaiting(entry: TierEntry): void {
    if (this.waiting.delete(entry)) this.waitingBytes -= entry.bytes;
  }

  /** It came back from the bucket. */
  returned(entry: TierEntry): void {
    entry.local = true;
    this.localBytes += entry.bytes;
    this.#parts.instruments.returns.add();
    this.touch(entry);
    this.#show();
  }

  /** The bucket has it: its tail is written as the sign of that. */
  async settle(entry: TierEntry): Promise<void> {
    const { name, seal, remoteName } = entry;
    const tail = await this.local.get(name, entry.tailAt, seal.tailBytes);
    await this.local.put(tailName(remoteName), async (write) => {
      await write([encodeSeal({ ...seal, tailCrc: crc32c(tail) }), tail]);
      return 0;
    });
    if (entry.gone) {
      await this.local.deleteMany([tailName(remoteName)]);
      return;
    }
    entry.uploaded = true;
    this.stopWaiting(entry);
    this.#show();
  }

  /** Writes down what is to be deleted in the bucket. */
  async doom(doomed: readonly Doomed[]): Promise<void> {
    if (doomed.length === 0) return;
    const file = `${GONE_PREFIX}${this.#parts.random.bytes(16).toString('hex')}`;
    await this.local.put(file, (write) => write(encodeGone(doomed)).then(() => 0));
    this.gone.set(file, doomed);
  }

  /** What was to be deleted is deleted. */
  async forgive(file: string): Promise<void> {
    this.#parts.instruments.deletes.add(this.gone.get(file)?.length ?? 0);
    this.gone.delete(file);
    await this.local.deleteMany([file]);
  }

  /** Lets uploaded objects go, those that were not used for longest first. Never rejects. */
  evict(cacheBytes = this.#parts.cacheBytes): Promise<void> {
    if (this.localBytes <= cacheBytes) return this.evicted();
    const job = this.evicted()
      .then(() => this.#evictNow(cacheBytes))
      .finally(() => {
        if (this.#evicting === job) this.#evicting = null;
      });
    this.#evicting = job;
    return job;
  }

  /** Resolves when those that are leaving have left. */
  evicted(): Promise<void> {
    return this.#evicting ?? Promise.resolve();
  }

  async #evictNow(cacheBytes: number): Promise<void> {
    const leaving: string[] = [];
    for (const entry of this.#entries.values()) {
      if (this.localBytes <= cacheBytes) break;
      if (!entry.evictable) continue;
      entry.local = false;
      entry.fetchedBytes = 0;
      this.localBytes -= entry.bytes;
      leaving.push(entry.name);
    }
    this.#show();
    try {
      await this.local.deleteMany(leaving);
      this.#parts.instruments.evictions.add(leaving.length);
    } catch (error) {
      // Its bytes stay until the next start; nobody misses anything.
      if (!isSystemError(error)) throw error;
      this.#parts.log.error('an object could not leave the local disk', { reason: String(error) });
    }
  }

  #show(): void {
    const { localBytes, remoteBytes, waitingBytes } = this.#parts.instruments;
    localBytes.set(this.localBytes);
    remoteBytes.set(this.bytes - this.waitingBytes);
    waitingBytes.set(this.waitingBytes);
  }
}
