import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Files } from '../files/files.ts';
import { realFiles } from '../files/real-files.ts';
import { SECTOR_BYTES, VirtualFiles } from '../files/virtual-files.ts';
import { seededRandom, temporaryDirectory } from '../storage.fixture.ts';
import { openDirectoryStore } from './directory-store.ts';
import { objectStoreContract } from './object-store.contract.ts';

const OPEN_MAX = 4;

objectStoreContract('directory on real files', () => {
  const { path, remove } = temporaryDirectory();
  const open = () => openDirectoryStore(realFiles, `${path}/objects`, OPEN_MAX);
  return { open, crash: () => {}, end: remove };
});

objectStoreContract('directory on virtual files', () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const open = () => openDirectoryStore(disk.mount(), 'objects', OPEN_MAX);
  return { open, crash: () => disk.crash(), end: () => {} };
});

/** Dies at the call with this number; counts on without end when the number is never reached. */
function dyingAt(disk: VirtualFiles, last: number): { files: Files; died: () => boolean } {
  const files = disk.mount();
  let [calls, dead] = [0, false];
  const before = (): void => {
    if (++calls !== last) return;
    dead = true;
    disk.crash();
  };
  return {
    died: () => dead,
    files: {
      ...files,
      open: async (path, create) => {
        before();
        const file = await files.open(path, create);
        const { write, sync } = file;
        file.write = (chunks, position) => {
          before();
          return write.call(file, chunks, position);
        };
        file.sync = () => {
          before();
          return sync.call(file);
        };
        return file;
      },
      rename: (from, to) => {
        before();
        return files.rename(from, to);
      },
    },
  };
}

test('a crash before any call of a put leaves the old object or the new one, whole', async () => {
  const [old, fresh] = [Buffer.alloc(3 * SECTOR_BYTES, 1), Buffer.alloc(5 * SECTOR_BYTES, 2)];
  let last = 0;
  for (let died = true; died; ) {
    last++;
    const disk = new VirtualFiles({ random: seededRandom(last) });
    const first = await openDirectoryStore(disk.mount(), 'objects', OPEN_MAX);
    await first.put('a', (write) => write([old]).then(() => 0));
    const dying = dyingAt(disk, last);
    const second = await openDirectoryStore(dying.files, 'objects', OPEN_MAX);
    void second.put('a', async (write) => {
      for (let at = 0; at < fresh.length; at += SECTOR_BYTES) {
        await write([fresh.subarray(at, at + SECTOR_BYTES)]);
      }
      return 0;
    });
    // Without delays of its own the virtual disk is done when the turn ends.
    await new Promise((resolve) => setImmediate(resolve));
    died = dying.died();
    disk.crash();
    const third = await openDirectoryStore(disk.mount(), 'objects', OPEN_MAX);
    const found = await third.get('a', 0, 10 * SECTOR_BYTES);
    assert.deepEqual(found, died ? old : fresh, `died at call ${last}`);
    assert.deepEqual(disk.paths, ['objects/a']);
  }
  assert.equal(last, 9, 'open, five writes, sync, rename, and once none');
});

test('no more files stay open than allowed, and those in use stay open', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  let [open, most, opened] = [0, 0, 0];
  const files = disk.mount();
  const counted: Files = {
    ...files,
    open: async (path, create) => {
      const file = await files.open(path, create);
      const { close } = file;
      opened++;
      most = Math.max(most, ++open);
      file.close = () => {
        open--;
        return close.call(file);
      };
      return file;
    },
  };
  const store = await openDirectoryStore(counted, 'objects', OPEN_MAX);
  for (let n = 0; n < 10; n++) {
    await store.put(`${n}`, (write) => write([Buffer.from(`${n}`)]).then(() => 0));
  }
  for (let n = 0; n < 10; n++) await store.get(`${n}`, 0, 1);
  assert.equal(open, OPEN_MAX);
  assert.ok(most <= OPEN_MAX + 1);
  const before = opened;
  for (let round = 0; round < 5; round++) {
    for (let n = 6; n < 10; n++) await store.get(`${n}`, 0, 1);
  }
  assert.equal(opened, before, 'what is open is used again');
  const names = Array.from({ length: 10 }, (_, index) => `${index}`);
  const found = await Promise.all(names.map((name) => store.get(name, 0, 1)));
  assert.deepEqual(found.map(String), names);
  assert.equal(open, OPEN_MAX);
  await store.deleteMany(names.slice(5));
  await store.close();
  assert.equal(open, 0);
});

test('an object goes when the reads of it have ended, and nobody begins another', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const files = disk.mount();
  const held = Promise.withResolvers<void>();
  const slow: Files = {
    ...files,
    open: async (path, create) => {
      const file = await files.open(path, create);
      const { read } = file;
      file.read = async (target, position) => {
        await held.promise;
        return read.call(file, target, position);
      };
      return file;
    },
  };
  const store = await openDirectoryStore(slow, 'objects', OPEN_MAX);
  await store.put('a', (write) => write([Buffer.from('whole')]).then(() => 0));
  const reading = store.get('a', 0, 5);
  const removing = store.deleteMany(['a']);
  await assert.rejects(store.get('a', 0, 5), { code: 'ENOENT' });
  assert.deepEqual(disk.paths, ['objects/a']);
  held.resolve();
  assert.equal(String(await reading), 'whole');
  await removing;
  assert.deepEqual(disk.paths, []);
  await store.put('a', (write) => write([Buffer.from('new')]).then(() => 0));
  assert.equal(String(await store.get('a', 0, 3)), 'new');
  await store.close();
});
