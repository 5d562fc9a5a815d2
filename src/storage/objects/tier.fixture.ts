/** A tiered store on a virtual disk, with a bucket on another one that can go away and count. */
import { BrokerError, Metrics, silentLog } from '#kit';
import type { Files } from '../files/files.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { seededRandom, VirtualTime } from '../storage.fixture.ts';
import { openDirectoryStore } from './directory-store.ts';
import type { FillObject, ObjectStore } from './object-store.ts';
import { REMOTE_PREFIX } from './tier-codec.ts';
import type { TierLimits } from './tier-limits.ts';
import { openTieredStore, type RemoteStore, type TieredStore } from './tiered-store.ts';

/** A bucket: a directory, behind a network that may be cut. */
export class TestBucket implements RemoteStore {
  away = false;
  /** Called before each request with its verb; what it throws is the answer. */
  before: ((verb: 'put' | 'get' | 'list' | 'delete', name: string) => void) | null = null;
  readonly calls = { put: 0, get: 0, list: 0, delete: 0 };
  /** Ranges that were read. */
  readonly ranges: { from: number; length: number }[] = [];
  readonly inner: ObjectStore;

  constructor(inner: ObjectStore) {
    this.inner = inner;
  }

  async put(name: string, fill: FillObject): Promise<void> {
    this.#enter('put', name);
    await this.inner.put(name, async (write) => {
      return fill(async (chunks) => {
        this.#enter('put', name);
        await write(chunks);
      });
    });
    this.#enter('put', name);
    this.calls.put++;
  }

  async get(name: string, from: number, length: number): Promise<Buffer> {
    this.#enter('get', name);
    this.calls.get++;
    this.ranges.push({ from, length });
    const bytes = await this.inner.get(name, from, length);
    this.#enter('get', name);
    return bytes;
  }

  async list(prefix: string) {
    this.#enter('list', prefix);
    this.calls.list++;
    return this.inner.list(prefix);
  }

  /** Pages of three. */
  async listAfter(name: string) {
    this.#enter('list', '');
    this.calls.list++;
    const found = await this.inner.list('');
    return found.filter((object) => object.name > name).slice(0, 3);
  }

  async deleteMany(names: readonly string[]): Promise<void> {
    this.#enter('delete', names.join());
    this.calls.delete++;
    await this.inner.deleteMany(names);
  }

  async close(): Promise<void> {}

  #enter(verb: 'put' | 'get' | 'list' | 'delete', name: string): void {
    this.before?.(verb, name);
    if (!this.away) return;
    throw new BrokerError('remote-unavailable', 'cut', {}, new Error('no route'));
  }
}

export interface TierRig {
  readonly time: VirtualTime;
  readonly disk: VirtualFiles;
  readonly bucket: TestBucket;
  /** The store as a process finds it that starts now. */
  open(over?: { files?: Files; remote?: RemoteStore | null }): Promise<TieredStore>;
  /** The names in the bucket, without their ids. */
  inBucket(): Promise<string[]>;
}

export async function tierRig(limits: Partial<TierLimits> = {}, seed = 1): Promise<TierRig> {
  const time = new VirtualTime();
  const random = seededRandom(seed);
  const disk = new VirtualFiles({ random });
  const bucketDisk = new VirtualFiles({ random: seededRandom(seed + 1_000) });
  const bucket = new TestBucket(await openDirectoryStore(bucketDisk, 'bucket', 16));
  return {
    time,
    disk,
    bucket,
    async open({ files = disk.mount(), remote = bucket } = {}) {
      return openTieredStore({
        local: await openDirectoryStore(files, 'data', 16),
        remote,
        remotePrefix: REMOTE_PREFIX,
        clock: time,
        timers: time,
        random,
        log: silentLog,
        metrics: new Metrics(),
        limits: {
          ...{ blockBytes: 64, fetchBytesMax: 256, copyBytes: 100, tailBytesMin: 0 },
          ...limits,
        },
      });
    },
    async inBucket() {
      const found = await bucket.inner.list('');
      return found.map(({ name }) => name.replace(/\.[0-9a-f]{32}$/, ''));
    },
  };
}

/** Puts `bytes` in two pieces; the last `tail` of them stay quick to read. */
export function putBytes(
  store: ObjectStore,
  name: string,
  bytes: Buffer,
  tail = 20,
): Promise<void> {
  return store.put(name, async (write) => {
    await write([bytes.subarray(0, bytes.length >> 1)]);
    await write([bytes.subarray(bytes.length >> 1)]);
    return tail;
  });
}

export async function wholeOf(store: ObjectStore, name: string): Promise<Buffer> {
  return store.get(name, 0, 1_000_000);
}
