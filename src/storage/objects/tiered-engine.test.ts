/** The engine over two tiers: random work, a bucket that comes and goes, power cuts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerError, Metrics, silentLog } from '#kit';
import { size } from '../../../test/clients/tier.ts';
import { openEngine } from '../engine.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine } from '../log-engine.ts';
import {
  appended,
  dataBatch,
  SMALL_LIMITS,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';
import { openDirectoryStore } from './directory-store.ts';
import { TestBucket } from './tier.fixture.ts';
import { REMOTE_PREFIX } from './tier-codec.ts';
import { openTieredStore, type TieredStore } from './tiered-store.ts';

const LOG = 7;

class World {
  readonly time = new VirtualTime();
  readonly disk: VirtualFiles;
  readonly bucket: TestBucket;
  /** What was acknowledged, by offset, and where the log begins. */
  readonly texts = new Map<number, string>();
  start = 0;
  engine!: LogEngine;
  store!: TieredStore;

  constructor(seed: number, bucket: TestBucket) {
    this.disk = new VirtualFiles({ random: seededRandom(seed) });
    this.bucket = bucket;
  }

  async open(): Promise<void> {
    const { time, disk, bucket } = this;
    const parts = {
      ...{ clock: time, timers: time, random: seededRandom(disk.epoch + 9), log: silentLog },
      metrics: new Metrics(),
    };
    this.engine = await time.until(
      openEngine({
        ...{ ...parts, directory: 'data', files: disk.mount() },
        limits: { ...SMALL_LIMITS, walFileBytes: 16_384, entryBytesMax: 8_192 },
        objects: async (local) => {
          this.store = await openTieredStore({
            ...{ ...parts, local, remote: bucket, remotePrefix: REMOTE_PREFIX },
            limits: {
              ...{ cacheBytes: 10_000, tailBytesMin: 8_192, blockBytes: 2_048 },
              ...{ readBytes: 20_000, retryMs: 100, retryMsMax: 1_000 },
            },
          });
          return this.store;
        },
      }),
      60_000,
    );
    this.log.upkeep = { remote: true, compaction: null };
  }

  get log() {
    return this.engine.open(LOG, 'fsync');
  }

  async append(text: string): Promise<void> {
    const offset = await this.time.until(appended(this.log, dataBatch(text, 900)), 60_000);
    this.texts.set(offset, text);
  }

  /** Every record is there and right, or away with the bucket; none is damaged or another one. */
  async verify(): Promise<void> {
    const { log } = this;
    assert.ok(log.startOffset <= this.start);
    let offset = this.start;
    while (offset < log.highWatermark) {
      try {
        const batches = await this.time.until(Promise.resolve(log.read(offset, 20_000)), 60_000);
        for (const batch of batches) {
          const known = this.texts.get(batch.baseOffset);
          if (known !== undefined) assert.equal(textOf(batch), known);
        }
        offset = batches.at(-1)!.baseOffset + 1;
      } catch (error) {
        assert.ok(error instanceof BrokerError && error.code === 'remote-unavailable', `${error}`);
        assert.ok(this.bucket.away || this.store.status().state === 'away', `${error}`);
        return;
      }
    }
    assert.ok(log.highWatermark > Math.max(-1, ...this.texts.keys()));
  }
}

async function live(seed: number): Promise<TestBucket['calls']> {
  const random = seededRandom(seed);
  const pick = (most: number): number => Math.floor(random.next() * most);
  const far = new VirtualFiles({ random: seededRandom(seed + 1) });
  const world = new World(seed, new TestBucket(await openDirectoryStore(far, 'bucket', 8)));
  await world.open();
  for (let step = 0; step < 60; step++) {
    const what = pick(10);
    if (what < 5) {
      for (let n = 0; n < 12; n++) await world.append(`${step}.${n}`);
      await world.time.advance(pick(2_000));
    } else if (what === 5) world.bucket.away = !world.bucket.away;
    else if (what === 6) {
      world.start += pick(Math.max(1, (world.log.highWatermark - world.start) / 2));
      world.log.trim(world.start);
      await world.time.advance(1_000);
    } else if (what === 7) {
      if (pick(2) === 0) world.disk.crash();
      else await world.time.until(world.engine.close(), 60_000);
      world.time.kill();
      world.disk.kill();
      await world.open();
    } else await world.verify();
  }
  world.bucket.away = false;
  await world.time.advance(20_000);
  await world.verify();
  const { waitingObjects, waitingDeletes, missingObjects, strayObjects } = world.store.status();
  assert.deepEqual([waitingObjects, waitingDeletes, missingObjects, strayObjects], [0, 0, 0, 0]);
  // With its records gone, nothing of the log stays in the bucket.
  await world.append('last');
  world.start = world.log.highWatermark;
  world.log.trim(world.start);
  await world.time.advance(60_000);
  assert.equal((await world.bucket.inner.list('')).length, world.store.status().objects);
  await world.time.until(world.engine.close(), 60_000);
  return world.bucket.calls;
}

test('records over two tiers outlive crashes and a bucket that comes and goes K49 R30', async () => {
  const total = { put: 0, get: 0, delete: 0 };
  for (let seed = 1; seed <= size(4, 60); seed++) {
    const calls = await live(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    total.put += calls.put;
    total.get += calls.get;
    total.delete += calls.delete;
  }
  const { put, get, delete: deleted } = total;
  assert.ok(put > 20 && get > 20 && deleted > 5, JSON.stringify(total));
});
