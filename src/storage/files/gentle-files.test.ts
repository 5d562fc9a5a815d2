import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, VirtualTime } from '../storage.fixture.ts';
import { filesContract } from './files.contract.ts';
import { GentleFiles } from './gentle-files.ts';
import { VirtualFiles } from './virtual-files.ts';

const LARGE_BYTES = 5 * 2 ** 20 + 1;

async function withLarge() {
  const time = new VirtualTime();
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const files = new GentleFiles(disk, time);
  const file = await files.open('large', true);
  await file.write([Buffer.alloc(LARGE_BYTES)], 0);
  await file.close();
  const steps: number[] = [];
  disk.watch = (call, _path, at) => {
    if (call === 'truncate') steps.push(at);
  };
  return { time, disk, files, steps };
}

filesContract('gentle files', () => {
  const files = new GentleFiles(new VirtualFiles({ random: seededRandom(1) }), new VirtualTime());
  files.gentle = true;
  return { files, directory: 'disk', end: () => {} };
});

test('a large file loses its name at once and its bytes in steps with pauses', async () => {
  const { time, disk, files, steps } = await withLarge();
  files.gentle = true;
  let done = false;
  const removed = files.remove('large').then(() => {
    done = true;
  });
  await time.settle();
  assert.deepEqual(disk.paths, []);
  assert.equal(steps.length, 1);
  assert.equal(done, false);
  await time.until(removed);
  assert.deepEqual(
    steps,
    [4, 3, 2, 1, 0].map((mib) => mib * 2 ** 20 + 1),
  );
});

test('what is not gentle removes at once, and from then on nothing rests', async () => {
  const { time, disk, files, steps } = await withLarge();
  await files.remove('large');
  assert.deepEqual([disk.paths, steps], [[], []]);
  await files.remove('never there');
  const again = await withLarge();
  again.files.gentle = true;
  const removed = again.files.remove('large');
  await again.time.settle();
  again.files.gentle = false;
  await again.time.advance(5);
  await removed;
  assert.equal(again.steps.length, 5);
  await time.settle();
});
