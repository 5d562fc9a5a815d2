import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { seededRandom, temporaryDirectory } from '../storage.fixture.ts';
import { filesContract } from './files.contract.ts';
import { realFiles } from './real-files.ts';
import { SECTOR_BYTES, VirtualFiles } from './virtual-files.ts';

filesContract('real files', () => {
  const { path, remove } = temporaryDirectory();
  return { files: realFiles, directory: `${path}/one/two`, end: remove };
});

filesContract('virtual files', () => {
  const files = new VirtualFiles({ random: seededRandom(1) });
  return { files, directory: 'disk', end: () => {} };
});

test('the lock of a process that was killed is taken over, that of a living one is not', async () => {
  const { path, remove } = temporaryDirectory();
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  try {
    await once(other, 'spawn');
    const stat = readFileSync(`/proc/${other.pid}/stat`, 'latin1');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    writeFileSync(`${path}/lock`, `${other.pid} ${started}\n`);
    await assert.rejects(realFiles.lock(`${path}/lock`), { code: 'precondition-failed' });
    other.kill('SIGKILL');
    await once(other, 'exit');
    const unlock = await realFiles.lock(`${path}/lock`);
    await unlock();
    // The same number, given to another process later, is no owner.
    writeFileSync(`${path}/lock`, `${process.ppid} 1\n`);
    const again = await realFiles.lock(`${path}/lock`);
    await again();
  } finally {
    other.kill('SIGKILL');
    remove();
  }
});

test('a virtual crash keeps what was synced, and of the rest only whole sectors R31', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new VirtualFiles({ random: seededRandom(seed) });
    const file = await disk.open('f', true);
    await file.writeThrough([Buffer.alloc(4 * SECTOR_BYTES, 1)], 0);
    await file.write([Buffer.alloc(2 * SECTOR_BYTES, 2)], SECTOR_BYTES);
    await file.write([Buffer.alloc(SECTOR_BYTES, 3)], 2 * SECTOR_BYTES);
    disk.crash();
    const bytes = disk.bytesOf('f');
    assert.equal(bytes.length, 4 * SECTOR_BYTES);
    for (let sector = 0; sector < 4; sector++) {
      const part = bytes.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
      assert.ok(part.every((byte) => byte === part[0]));
      const allowed = [[1], [1, 2], [1, 2, 3], [1]][sector]!;
      assert.ok(allowed.includes(part[0]!));
    }
  }
});

test('a virtual disk fills up, fails when told, and dies with its process', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const mount = disk.mount();
  const file = await mount.open('f', true);
  disk.capacityBytes = 10;
  await file.write([Buffer.alloc(10)], 0);
  await assert.rejects(file.write([Buffer.alloc(1)], 10), { code: 'ENOSPC' });
  disk.fault = (call) => {
    if (call === 'sync') throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  await assert.rejects(file.sync(), { code: 'EIO' });
  disk.fault = null;
  let answered = false;
  disk.kill();
  void file.write([Buffer.alloc(1)], 0).then(() => {
    answered = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answered, false);
  assert.equal(disk.sizeOf('f'), 10);
});
