import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, realClock, realTimers, silentLog } from '#kit';
import type { Files } from '../files/files.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { seededRandom } from '../storage.fixture.ts';
import { openDirectoryStore } from './directory-store.ts';
import { objectStoreContract } from './object-store.contract.ts';
import { putBytes, TestBucket, type TierRig, tierRig, wholeOf } from './tier.fixture.ts';
import { openTieredStore, type TieredStore } from './tiered-store.ts';

const A = seededRandom(11).bytes(1_000);
const B = seededRandom(12).bytes(700);

for (const cacheBytes of [0, 1_000_000]) {
  objectStoreContract(`two tiers, ${cacheBytes} bytes of cache K49`, () => {
    const disk = new VirtualFiles({ random: seededRandom(1) });
    const far = new VirtualFiles({ random: seededRandom(2) });
    const random = seededRandom(3);
    const open = async () =>
      openTieredStore({
        local: await openDirectoryStore(disk.mount(), 'data', 4),
        remote: new TestBucket(await openDirectoryStore(far, 'bucket', 4)),
        remotePrefix: '',
        ...{ clock: realClock, timers: realTimers, random, log: silentLog },
        metrics: new Metrics(),
        limits: { cacheBytes, blockBytes: 16, tailBytesMin: 2 },
      });
    return { open, crash: () => disk.crash(), end: () => {} };
  });
}

/** Lets the errands run until nothing is left to do. */
async function quiet(rig: TierRig, store: TieredStore): Promise<void> {
  for (let round = 0; round < 200; round++) {
    await rig.time.advance(10);
    const { state, waitingObjects, waitingDeletes } = store.status();
    if (state !== 'away' && waitingObjects === 0 && waitingDeletes === 0) break;
  }
  await rig.time.settle();
}

test('an object is written here, uploaded behind our back, and leaves but for its tail K49', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  const store = await rig.open();
  await putBytes(store, 'tier-a', A);
  await putBytes(store, 'seg-b', B);
  assert.deepEqual(await wholeOf(store, 'tier-a'), A);
  await quiet(rig, store);
  assert.deepEqual(await rig.inBucket(), ['tier-a']);
  const here = rig.disk.paths.filter((path) => path.startsWith('data/'));
  assert.equal(here.length, 2, `${here}`);
  assert.ok(here.some((path) => path.startsWith('data/remote-tail-tier-a.')));
  assert.ok(rig.disk.usedBytes < 64 + 20 + B.length + 1);
  const before = rig.bucket.calls.get;
  assert.deepEqual(await store.get('tier-a', 985, 15), A.subarray(985));
  assert.deepEqual(await store.get('tier-a', 980, 999), A.subarray(980));
  assert.equal(rig.bucket.calls.get, before, 'the tail costs no request');
  assert.deepEqual(await wholeOf(store, 'tier-a'), A);
  assert.deepEqual(await store.get('tier-a', 970, 20), A.subarray(970, 990));
  assert.deepEqual(await store.list(''), [
    { name: 'seg-b', bytes: 700 },
    { name: 'tier-a', bytes: 1_000 },
  ]);
  await store.close();
});

test('the cache holds what was used last, and nothing leaves before it is uploaded K49', async () => {
  const rig = await tierRig({ cacheBytes: 3_000 });
  rig.bucket.away = true;
  const store = await rig.open();
  for (let n = 0; n < 6; n++) await putBytes(store, `tier-${n}`, A);
  await rig.time.advance(5_000);
  const whole = () =>
    rig.disk.paths.filter((path) => path.startsWith('data/tier-')).map((p) => p.slice(-1));
  assert.deepEqual(
    whole(),
    ['0', '1', '2', '3', '4', '5'],
    'nothing left while the bucket was away',
  );
  assert.equal(store.status().state, 'away');
  assert.equal(store.status().waitingBytes, 6_000);
  rig.bucket.away = false;
  await rig.time.advance(120_000);
  await quiet(rig, store);
  assert.equal(store.status().state, 'ok');
  assert.equal(store.status().waitingBytes, 0);
  assert.deepEqual(whole(), ['3', '4', '5']);
  assert.equal(store.status().localBytes, 3_000);
  await store.get('tier-3', 0, 1);
  await putBytes(store, 'tier-6', A);
  await quiet(rig, store);
  assert.deepEqual(whole(), ['3', '5', '6']);
  for (let n = 0; n < 7; n++) assert.deepEqual(await wholeOf(store, `tier-${n}`), A);
  await store.close();
});

test('while the bucket is away reads of what left fail at once and may be repeated K49', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  const store = await rig.open();
  await putBytes(store, 'tier-a', A);
  await quiet(rig, store);
  rig.bucket.away = true;
  await assert.rejects(store.get('tier-a', 0, 10), { code: 'remote-unavailable', retriable: true });
  const asked = rig.bucket.calls.get;
  await assert.rejects(store.get('tier-a', 0, 10), { code: 'remote-unavailable' });
  assert.equal(rig.bucket.calls.get, asked, 'a bucket that is known to be away is not asked');
  assert.deepEqual(await store.get('tier-a', 990, 10), A.subarray(990), 'the tail lies here');
  await putBytes(store, 'tier-b', B);
  assert.deepEqual(await wholeOf(store, 'tier-b'), B, 'writes go on');
  await store.deleteMany(['tier-a']);
  assert.deepEqual(
    (await store.list('')).map(({ name }) => name),
    ['tier-b'],
  );
  assert.equal(store.status().waitingDeletes, 1);
  rig.bucket.away = false;
  await rig.time.advance(120_000);
  await quiet(rig, store);
  assert.deepEqual(
    await rig.inBucket(),
    ['tier-b'],
    'the delete was done when the bucket was back',
  );
  assert.deepEqual(await wholeOf(store, 'tier-b'), B);
  await store.close();
});

test('deletes that wait outlive a restart, and so does what waits for its upload K49', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  const store = await rig.open();
  await putBytes(store, 'tier-a', A);
  await quiet(rig, store);
  rig.bucket.away = true;
  await store.deleteMany(['tier-a']);
  await putBytes(store, 'tier-b', B);
  await rig.time.advance(10);
  rig.disk.crash();
  rig.time.kill();
  rig.bucket.away = false;
  const again = await rig.open();
  await quiet(rig, again);
  assert.deepEqual(await rig.inBucket(), ['tier-b']);
  assert.deepEqual(await wholeOf(again, 'tier-b'), B);
  assert.deepEqual(
    rig.disk.paths.filter((path) => path.includes('gone')),
    [],
  );
  await again.close();
});

test('what was uploaded before a crash is found in the bucket, not uploaded again K49', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  const store = await rig.open();
  // The disk dies when the tail is written: the upload is done, and nobody wrote it down.
  rig.disk.fault = (_call, path) => {
    if (path.includes('remote-tail-')) rig.disk.crash();
  };
  await putBytes(store, 'tier-a', A);
  await rig.time.advance(100);
  rig.disk.fault = null;
  rig.time.kill();
  assert.equal(rig.bucket.calls.put, 1);
  const again = await rig.open();
  await quiet(rig, again);
  assert.equal(rig.bucket.calls.put, 1);
  assert.deepEqual(await wholeOf(again, 'tier-a'), A);
  assert.equal(again.status().localBytes, 0);
  await again.close();
});

test('a bucket with many objects is compared page by page, and uploads do not wait for it K49', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  const store = await rig.open();
  for (const name of ['a', 'b', 'c', 'd', 'e']) await putBytes(store, `tier-${name}`, A);
  await quiet(rig, store);
  await store.close();
  const [lost] = await rig.bucket.inner.list('tier-c');
  await rig.bucket.inner.deleteMany([lost!.name]);
  const put = rig.bucket.inner.put.bind(rig.bucket.inner);
  for (let index = 0; index < 20; index++) {
    await putBytes({ ...rig.bucket.inner, put }, `foreign-${index}`, B);
  }
  const pages: number[] = [];
  rig.bucket.before = (verb) => {
    if (verb === 'list') pages.push(rig.bucket.calls.put);
  };
  const again = await rig.open();
  await putBytes(again, 'tier-f', B);
  await quiet(rig, again);
  await rig.time.advance(100);
  const { missingObjects, strayObjects } = again.status();
  assert.deepEqual([missingObjects, strayObjects], [1, 20]);
  // 25 objects with the new one, in pages of three, and the end; the upload did not wait for it.
  assert.equal(pages.length, 10);
  assert.ok(pages[0] === 5 && pages.at(-1) === 6, pages.join());
  await again.close();
});

/** Dies before the call with this number, of those that change the disk. */
function dyingFiles(disk: VirtualFiles, last: number): { files: Files; died: () => boolean } {
  const files = disk.mount();
  let [calls, dead] = [0, false];
  const before = (): void => {
    if (++calls !== last) return;
    dead = true;
    disk.crash();
  };
  const wrap = <Call extends (...given: never[]) => unknown>(call: Call): Call =>
    ((...given: never[]) => {
      before();
      return call(...given);
    }) as Call;
  return {
    died: () => dead,
    files: {
      ...files,
      open: async (path, create) => {
        if (create) before();
        const file = await files.open(path, create);
        file.write = wrap(file.write.bind(file));
        file.sync = wrap(file.sync.bind(file));
        return file;
      },
      rename: wrap(files.rename),
      remove: wrap(files.remove),
    },
  };
}

test('a crash at any step loses nothing and leaves no orphan, here or in the bucket K49 R34', async () => {
  let last = 0;
  let steps = 0;
  for (let died = true; died; steps++) {
    last++;
    const rig = await tierRig({ cacheBytes: 800 }, last);
    const dying = dyingFiles(rig.disk, last);
    const kept = new Map<string, Buffer>();
    let [deleting, putting] = ['', ''];
    const life = async () => {
      const store = await rig.open({ files: dying.files });
      for (const [name, bytes] of [
        ['tier-a', A],
        ['tier-b', B],
        ['tier-c', A],
      ] as const) {
        putting = name;
        await putBytes(store, name, bytes);
        kept.set(name, bytes);
        await rig.time.advance(50);
      }
      putting = '';
      for (const name of ['tier-a', 'tier-c']) {
        deleting = name;
        kept.delete(name);
        await store.deleteMany([name]);
        deleting = '';
        await rig.time.advance(50);
      }
      await store.close();
    };
    await Promise.race([life(), untilStuck(rig)]);
    died = dying.died();
    rig.disk.crash();
    rig.time.kill();
    const store = await rig.open();
    await quiet(rig, store);
    const names = (await store.list('')).map(({ name }) => name);
    const doubtful = [putting, deleting].filter((name) => name !== '' && names.includes(name));
    for (const [name, bytes] of kept) {
      assert.deepEqual(await wholeOf(store, name), bytes, `${name} after death at ${last}`);
    }
    const expected = [...new Set([...kept.keys(), ...doubtful])].sort();
    assert.deepEqual(names, expected, `death at ${last}`);
    assert.deepEqual(await rig.inBucket(), expected, `the bucket after death at ${last}`);
    for (const path of rig.disk.paths) assert.doesNotMatch(path, /gone|part$/, `death at ${last}`);
    assert.ok(store.status().localBytes <= 800);
    await store.close();
  }
  assert.ok(steps > 40, `${steps} steps were tried`);
});

/** Resolves when a dead process makes no step any more. */
async function untilStuck(rig: TierRig): Promise<void> {
  const { epoch } = rig.disk;
  while (rig.disk.epoch === epoch) await new Promise((resolve) => setImmediate(resolve));
  await rig.time.settle();
}

test('a sequential reader is read ahead of, and readers of one range share its request K49', async () => {
  const rig = await tierRig({
    ...{ cacheBytes: 0, blockBytes: 1_000, fetchBytesMax: 8_000, aheadBytesMax: 16_000 },
    ...{ readBytes: 50_000, copyBytes: 10_000 },
  });
  const store = await rig.open();
  const large = seededRandom(5).bytes(200_000);
  await putBytes(store, 'tier-a', large, 100);
  await quiet(rig, store);
  const both = await Promise.all([store.get('tier-a', 0, 900), store.get('tier-a', 100, 900)]);
  assert.deepEqual(both, [large.subarray(0, 900), large.subarray(100, 1_000)]);
  const same = rig.bucket.ranges.filter(({ from }) => from === 0);
  assert.equal(same.length, 1, 'one request for both');
  for (let at = 1_000; at < 199_000; at += 1_000) {
    assert.deepEqual(await store.get('tier-a', at, 1_000), large.subarray(at, at + 1_000));
  }
  assert.ok(rig.bucket.calls.get < 80, `${rig.bucket.calls.get} requests for 200 reads`);
  const fetched = rig.bucket.ranges.reduce((sum, { length }) => sum + length, 0);
  assert.ok(fetched < 210_000, `${fetched} bytes were fetched`);
  await store.close();
});

test('an object that is read again and again comes back to the disk K49', async () => {
  const rig = await tierRig({ cacheBytes: 8_000, readBytes: 100 });
  const store = await rig.open();
  await putBytes(store, 'tier-old', A);
  for (let n = 0; n < 8; n++) await putBytes(store, `tier-${n}`, A);
  await quiet(rig, store);
  const here = () => rig.disk.paths.includes('data/tier-old');
  assert.equal(here(), false);
  for (let round = 0; round < 3; round++) assert.deepEqual(await wholeOf(store, 'tier-old'), A);
  await quiet(rig, store);
  assert.equal(here(), true);
  assert.ok(store.status().localBytes <= 8_000);
  const asked = rig.bucket.calls.get;
  assert.deepEqual(await wholeOf(store, 'tier-old'), A);
  assert.equal(rig.bucket.calls.get, asked);
  await store.close();
});

test('a damaged object is not uploaded as if it were whole, and one in the bucket mends a tail K49 R34', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  rig.bucket.away = true;
  const store = await rig.open();
  await putBytes(store, 'tier-a', A);
  await rig.time.settle();
  rig.disk.flip('data/tier-a', 500, 3);
  rig.bucket.away = false;
  await rig.time.advance(120_000);
  assert.deepEqual(await rig.inBucket(), []);
  await putBytes(store, 'tier-b', B);
  await quiet(rig, store);
  assert.deepEqual(await rig.inBucket(), ['tier-b']);
  await store.close();
  const tail = rig.disk.paths.find((path) => path.includes('remote-tail-tier-b'))!;
  for (let byte = 0; byte < rig.disk.sizeOf(tail); byte += 3) {
    rig.disk.flip(tail, byte, byte % 8);
    const again = await rig.open();
    assert.deepEqual(await wholeOf(again, 'tier-b'), B, `byte ${byte} of the tail`);
    await again.close();
    rig.disk.flip(tail, byte, byte % 8);
  }
});

test('a bucket that lost objects, or is another one, is told and given nothing up for K49', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  const store = await rig.open();
  await putBytes(store, 'tier-a', A);
  await quiet(rig, store);
  const [lost] = await rig.bucket.inner.list('');
  await rig.bucket.inner.deleteMany([lost!.name]);
  await putBytes(
    { ...rig.bucket.inner, put: rig.bucket.inner.put.bind(rig.bucket.inner) },
    'other',
    B,
  );
  await assert.rejects(store.get('tier-a', 0, 10), { code: 'remote-unavailable' });
  assert.equal(store.status().state, 'ok', 'it answers, so it is not away');
  await store.close();
  const again = await rig.open();
  await rig.time.advance(10);
  assert.equal(again.status().missingObjects, 1);
  assert.equal(again.status().strayObjects, 1);
  assert.deepEqual(
    (await again.list('')).map(({ name }) => name),
    ['tier-a'],
  );
  await again.close();
});

test('without a bucket everything stays here, and what left is a clear error K49', async () => {
  const rig = await tierRig({ cacheBytes: 0 });
  const store = await rig.open();
  await putBytes(store, 'tier-a', A);
  await quiet(rig, store);
  await store.close();
  const off = await rig.open({ remote: null });
  await putBytes(off, 'tier-b', B);
  assert.deepEqual(await wholeOf(off, 'tier-b'), B);
  assert.equal(off.status().state, 'off');
  await assert.rejects(off.get('tier-a', 0, 10), { code: 'remote-unavailable' });
  await off.close();
  const on = await rig.open();
  await quiet(rig, on);
  assert.deepEqual(await rig.inBucket(), ['tier-a', 'tier-b']);
  await on.close();
});

test('a full disk lets go of what the bucket has, so that the next try has room K49', async () => {
  const rig = await tierRig({ cacheBytes: 1_000_000 });
  const store = await rig.open();
  for (let n = 0; n < 5; n++) await putBytes(store, `tier-${n}`, A);
  await quiet(rig, store);
  rig.disk.capacityBytes = rig.disk.usedBytes + 500;
  await assert.rejects(putBytes(store, 'tier-x', A), { code: 'ENOSPC' });
  await putBytes(store, 'tier-x', A);
  for (let n = 0; n < 5; n++) assert.deepEqual(await wholeOf(store, `tier-${n}`), A);
  assert.deepEqual(await wholeOf(store, 'tier-x'), A);
  await store.close();
});
