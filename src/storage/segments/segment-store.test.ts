import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, silentLog } from '#kit';
import { makeInstruments } from '../commit/instruments.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { openDirectoryStore } from '../objects/directory-store.ts';
import { DamageReports } from '../recovery/damage.ts';
import { seededRandom } from '../storage.fixture.ts';
import { writeTestSegment } from './segment.fixture.ts';
import { SegmentStore } from './segment-store.ts';

test('a segment is removed when the reads that are under way have ended, not before', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const objects = await openDirectoryStore(disk, 'data', 4);
  const damage = new DamageReports(silentLog, makeInstruments(new Metrics()));
  const store = new SegmentStore({ objects, damage, blocksMax: 4, pagesMax: 4 });
  const segment = await writeTestSegment(objects, 1, async () => {});
  await objects.put(segment.objectName, (write) => write([Buffer.from('body')]).then(() => 0));

  const gate = Promise.withResolvers<void>();
  const reads = [2, 1].map((from) =>
    store.use(segment, async (source) => {
      await source.read(0, from);
      await gate.promise;
      return (await source.read(from, 4)).toString();
    }),
  );
  const removal = store.remove([segment]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(disk.paths, [segment.path]);
  gate.resolve();
  assert.deepEqual(await Promise.all(reads), ['dy', 'ody']);
  await removal;
  assert.deepEqual(disk.paths, []);
  const late = store.use(segment, (source) => source.read(0, 1));
  await assert.rejects(late, { code: 'storage-failed' });
  await objects.close();
});
