/** The offline check: finds a flipped bit in any byte that counts; a repair loses nothing more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerError, Metrics, silentLog } from '#kit';
import { size as sampled } from '../../../test/clients/tier.ts';
import { openEngine } from '../engine.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { openDirectoryStore } from '../objects/directory-store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { TestBucket } from '../objects/tier.fixture.ts';
import { REMOTE_PREFIX } from '../objects/tier-codec.ts';
import { openTieredStore, type TieredStore } from '../objects/tiered-store.ts';
import {
  dataBatch,
  factsOf,
  SMALL_LIMITS,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';
import { checkOnline } from './check-online.ts';
import { checkStorage, isSound, type StorageCheck } from './check-storage.ts';

const [PLAIN, REMOTE] = [11, 12];
const RECORDS = 60;

interface Stored {
  readonly time: VirtualTime;
  readonly disk: VirtualFiles;
  readonly bucket: TestBucket;
}

async function openOn({ time, disk, bucket }: Stored) {
  const parts = {
    ...{ clock: time, timers: time, random: seededRandom(3), log: silentLog },
    metrics: new Metrics(),
  };
  const kept: { store: TieredStore | null } = { store: null };
  const engine = await time.until(
    openEngine({
      ...parts,
      directory: 'data',
      files: disk.mount(),
      limits: { ...SMALL_LIMITS, walFileBytes: 32_768, entryBytesMax: 16_384 },
      objects: async (local: ObjectStore) => {
        kept.store = await openTieredStore({
          ...{ ...parts, local, remote: bucket, remotePrefix: REMOTE_PREFIX },
          limits: { cacheBytes: 40_000, tailBytesMin: 8_192 },
        });
        return kept.store;
      },
    }),
    60_000,
  );
  return { engine, store: kept.store! };
}

/** Two logs over write-ahead files and segments; those of one also in a bucket, some only there. */
async function storedDisk(): Promise<Stored> {
  const time = new VirtualTime();
  const disk = new VirtualFiles({ random: seededRandom(7) });
  const far = new VirtualFiles({ random: seededRandom(8) });
  const bucket = new TestBucket(await openDirectoryStore(far, 'bucket', 8));
  const stored = { time, disk, bucket };
  const { engine, store } = await openOn(stored);
  for (const id of [PLAIN, REMOTE]) {
    engine.open(id, 'fsync').upkeep = { remote: id === REMOTE, compaction: null };
  }
  for (let n = 0; n < RECORDS; n++) {
    for (const id of [PLAIN, REMOTE]) {
      engine.open(id, 'fsync').append(dataBatch(`${id}/${n}`, 1_500), factsOf());
    }
    await time.advance(n % 10 === 0 ? 20 : 2);
  }
  await time.advance(60_000);
  assert.equal(store.status().waitingObjects, 0);
  await time.until(engine.close(), 60_000);
  return stored;
}

function check({ time }: Stored, disk: VirtualFiles, repair = false): Promise<StorageCheck> {
  const parts = { clock: time, timers: time, random: seededRandom(5) };
  return time.until(checkStorage({ ...parts, directory: 'data', files: disk.mount(), repair }));
}

/** What is served of a log, and which offsets are refused. */
async function survey({ time, disk, bucket }: Stored, id: number) {
  const { engine } = await openOn({ time, disk, bucket });
  const log = engine.open(id, 'fsync');
  const texts: string[] = [];
  const damaged: number[] = [];
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    try {
      const batches = await time.until(Promise.resolve(log.read(offset, 1)), 60_000);
      texts.push(textOf(batches[0]!));
      offset = batches[0]!.baseOffset + 1;
    } catch (error) {
      assert.ok(error instanceof BrokerError && error.code === 'damaged', String(error));
      for (const { to } = error.details as { to: number }; offset < to; offset++) {
        damaged.push(offset);
      }
    }
  }
  await time.until(engine.close(), 60_000);
  return { texts, damaged };
}

test('a sound disk has no problem, and the check changes nothing', async () => {
  const stored = await storedDisk();
  const { disk } = stored;
  const before = new Map(disk.paths.map((path) => [path, disk.bytesOf(path)]));
  const found = await check(stored, disk);
  assert.deepEqual([found.problems, found.lost, found.tornBytes], [[], [], 0]);
  assert.ok(isSound(found) && found.bytes > 30_000 && found.entries > 0);
  for (const kind of ['wal-', 'seg-', 'tier-', 'remote-tail-', 'checkpoint-', 'clean']) {
    assert.ok(
      disk.paths.some((path) => path.startsWith(`data/${kind}`)),
      kind,
    );
  }
  assert.deepEqual(new Map(disk.paths.map((path) => [path, disk.bytesOf(path)])), before);
  for (const id of [PLAIN, REMOTE]) {
    const { texts, damaged } = await survey(stored, id);
    assert.deepEqual([texts.length, damaged], [RECORDS, []]);
  }
});

test('a flipped bit in any byte of any file is found R34', async () => {
  const stored = await storedDisk();
  const { disk } = stored;
  const live = await liveBytes(stored);
  let [found, tried] = [0, 0];
  for (const path of disk.paths) {
    const bytes = disk.sizeOf(path);
    const stride = bytes > 2_000 ? sampled(1_009, 211) : sampled(31, 7);
    for (let byte = 0; byte < bytes; byte += stride) {
      if (!live(path, byte)) continue;
      disk.flip(path, byte, byte % 8);
      const result = await check(stored, disk);
      tried++;
      assert.ok(!isSound(result), `byte ${byte} of ${path}`);
      const [name] = path.split('/').slice(1);
      if (result.problems.some(({ file }) => file === name)) found++;
      disk.flip(path, byte, byte % 8);
    }
  }
  assert.equal(found, tried, 'each is told with its file');
  assert.ok(tried > sampled(100, 500), `${tried} bytes`);
});

/** Of write-ahead files only what a start would read counts; the rest is old or was never used. */
async function liveBytes({ disk }: Stored): Promise<(path: string, byte: number) => boolean> {
  const ends = new Map<string, number>();
  for (const path of disk.paths.filter((each) => each.includes('/wal-'))) {
    const bytes = disk.bytesOf(path);
    let end = 0;
    // Only files that were not reorganised begin with an entry of their own generation.
    const generation = Number(/\d+/.exec(path)![0]);
    while (end < bytes.length && bytes.readUInt32BE(end) === 0x524d5145) {
      if (bytes.readUInt32BE(end + 16) !== generation) break;
      end += bytes.readUInt32BE(end + 40);
    }
    ends.set(path, end);
  }
  const last = [...ends.keys()].sort().at(-1);
  return (path, byte) => (!path.includes('/wal-') ? true : path === last && byte < ends.get(path)!);
}

test('a repair sets aside, puts right what it can, and the rest is served R34', async () => {
  const stored = await storedDisk();
  const whole = new Map<number, string[]>();
  for (const id of [PLAIN, REMOTE]) whole.set(id, (await survey(stored, id)).texts);
  const live = await liveBytes(stored);
  let [mended, gaps] = [0, 0];
  for (const path of stored.disk.paths) {
    const total = stored.disk.sizeOf(path);
    for (let byte = 0; byte < total; byte += Math.max(97, Math.floor(total / sampled(2, 40)))) {
      if (!live(path, byte)) continue;
      const disk = stored.disk.clone();
      const name = path.slice('data/'.length);
      disk.flip(path, byte, 1);
      const bytesBefore = disk.bytesOf(path);
      const before = await check(stored, disk);
      const repaired = await check(stored, disk, true);
      assert.ok(isSound(repaired), `byte ${byte} of ${path}: ${JSON.stringify(repaired)}`);
      assert.ok(repaired.setAside.length > 0);
      const [problem] = before.problems.filter(({ file }) => file === name);
      const copy = disk.bytesOf(`data/${repaired.setAside[0]!}`);
      const { position, bytes } = problem!;
      assert.deepEqual(copy, bytesBefore.subarray(position, position + bytes));
      const again = await check(stored, disk);
      assert.ok(isSound(again), 'what was set aside is known');
      for (const id of [PLAIN, REMOTE]) {
        const { texts, damaged } = await survey({ ...stored, disk }, id);
        const missing = whole.get(id)!.filter((text) => !texts.includes(text));
        assert.equal(missing.length, damaged.length, `byte ${byte} of ${path}`);
        assert.ok(damaged.length <= 1, `byte ${byte} of ${path} cost ${damaged.length}`);
        if (damaged.length > 0) gaps++;
      }
      if (again.problems.length === 0) mended++;
    }
  }
  assert.ok(mended > sampled(3, 50) && gaps > sampled(3, 50), `${mended} mended, ${gaps} gaps`);
});

test('larger damage is told with its logs and offsets, and costs no other log R34', async () => {
  const stored = await storedDisk();
  const { disk } = stored;
  const path = disk.paths.find((each) => each.includes('/seg-'))!;
  for (let byte = 1_700; byte < 3_900; byte++) disk.flip(path, byte, byte % 8);
  const found = await check(stored, disk);
  const ranges = found.problems.filter(({ logId }) => logId === PLAIN);
  assert.ok(ranges.length >= 2);
  for (const { from, to, what } of ranges) assert.ok(from < to && what === 'body');
  const repaired = await check(stored, disk, true);
  assert.ok(isSound(repaired));
  const { texts, damaged } = await survey(stored, PLAIN);
  assert.deepEqual(
    damaged,
    ranges.map(({ from }) => from),
  );
  assert.equal(texts.length, RECORDS - damaged.length);
  assert.equal((await survey(stored, REMOTE)).texts.length, RECORDS);
});

test('a segment that is gone, and a directory that is in use, are told', async () => {
  const stored = await storedDisk();
  const { disk } = stored;
  const path = disk.paths.find((each) => each.includes('/seg-'))!;
  await disk.remove(path);
  const found = await check(stored, disk);
  assert.ok(!isSound(found));
  assert.ok(found.lost.some(({ logId, from, to }) => logId === PLAIN && from < to));
  assert.ok(found.lost.some(({ file }) => file.endsWith(path.slice(5))));
  assert.ok(isSound(await check(stored, disk, true)));
  assert.ok(isSound(await check(stored, disk)), 'known from then on');
  const { engine } = await openOn(stored);
  await assert.rejects(check(stored, disk), { code: 'precondition-failed' });
  await stored.time.until(engine.close(), 60_000);
});

test('a disk is checked while an engine writes, reorganises and removes on it R34', async () => {
  const stored = await storedDisk();
  const { time, disk } = stored;
  const { engine } = await openOn(stored);
  const log = engine.open(PLAIN, 'fsync');
  const online = async () => {
    let passed = 0;
    const found = checkOnline(disk.mount(), 'data', {
      async passed() {
        // Between any two steps of the check the engine goes on.
        log.append(dataBatch(`more ${passed++}`, 1_500), factsOf());
        if (passed % 7 === 0) log.trim(log.highWatermark - 30);
        await time.advance(40);
      },
    });
    const problems = await time.until(found, 60_000);
    assert.ok(passed > 10);
    return problems;
  };
  for (let round = 0; round < 5; round++) assert.deepEqual(await online(), []);
  const paths = disk.paths.filter((path) => /data\/(seg|tier)-/.test(path));
  const path = paths.at(-1)!;
  disk.flip(path, 300, 2);
  const problems = await online();
  assert.deepEqual(
    problems.map(({ file, what }) => [file, what]),
    [[path.slice(5), 'body']],
  );
  await time.until(engine.close(), 60_000);
});
