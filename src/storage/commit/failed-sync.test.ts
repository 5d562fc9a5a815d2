/**
 * What a failed sync leaves in the system's cache is not on the disk, whatever a later sync says.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualFiles } from '../files/virtual-files.ts';
import {
  appended,
  dataBatch,
  openTestEngine,
  readAll,
  seededRandom,
  textOf,
} from '../storage.fixture.ts';

test('an entry whose sync failed is written again before it is served R31 R43', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  disk.survival = 0;
  const engine = await openTestEngine({ files: disk });
  await appended(engine.open(7, 'fsync'), dataBatch('first'));
  disk.fault = (call, path) => {
    if (call !== 'sync' || !path.includes('wal-')) return;
    disk.fault = null;
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  await assert.rejects(appended(engine.open(7, 'fsync'), dataBatch('second')));
  // The process ends, its machine goes on: the cache has the second entry, the disk has not.
  disk.kill();
  const again = await openTestEngine({ files: disk });
  const served = (await readAll(again.open(7, 'fsync'))).map(textOf);
  await appended(again.open(7, 'fsync'), dataBatch('third'));
  disk.crash();
  const last = await openTestEngine({ files: disk });
  assert.deepEqual(last.report.damaged, []);
  assert.deepEqual((await readAll(last.open(7, 'fsync'))).map(textOf), [...served, 'third']);
  await last.close();
});
