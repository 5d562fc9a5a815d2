/** What is found in the directory of a segment when bits of it flipped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, silentLog } from '#kit';
import { makeInstruments } from '../commit/instruments.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { openDirectoryStore } from '../objects/directory-store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { DamageReports } from '../recovery/damage.ts';
import { seededRandom } from '../storage.fixture.ts';
import { writeTestSegment } from './segment.fixture.ts';
import type { Segment } from './segment.ts';
import { PAGE_ROWS, RUN_BYTES } from './segment-codec.ts';
import { SegmentStore } from './segment-store.ts';
import type { SegmentWriter } from './segment-writer.ts';

/** Two full pages and some. */
const LOGS = 2 * PAGE_ROWS + 11;
const idOf = (index: number): number => 100 + 10 * index;
const startOf = (index: number): number => 7 * index;

/** A segment that says of each log where it starts. */
async function directoryOf() {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const objects = await openDirectoryStore(disk, 'data', 4);
  const segment = await writeTestSegment(objects, 1, async (writer) => {
    for (let index = 0; index < LOGS; index++) {
      await writer.endRun(idOf(index), startOf(index), false);
    }
  });
  const { directoryAt } = segment.facts;
  return {
    objects,
    flip: (row: number, bit: number) =>
      disk.flip(segment.path, directoryAt + row * RUN_BYTES + (bit >> 3), bit & 7),
    /** Asks as after a start: nothing is in memory. */
    fresh() {
      const instruments = makeInstruments(new Metrics());
      const damage = new DamageReports(silentLog, instruments);
      const store = new SegmentStore({ objects, damage, blocksMax: 4, pagesMax: 4 });
      const find = async (log: number) =>
        (await store.directory.find(segment, log))?.logStart ?? null;
      return { find, damaged: instruments.damaged, repaired: instruments.repaired };
    },
  };
}

test('each log is found in its page, and none between them', async () => {
  const { objects, fresh } = await directoryOf();
  const { find, damaged } = fresh();
  for (let index = 0; index < LOGS; index++) {
    assert.equal(await find(idOf(index)), startOf(index));
    assert.equal(await find(idOf(index) - 1), null);
    assert.equal(await find(idOf(index) + 1), null);
  }
  assert.equal(damaged.value, 0);
  await objects.close();
});

test('one flipped bit of a directory page changes no answer, whichever it is', async () => {
  const { objects, flip, fresh } = await directoryOf();
  const random = seededRandom(5);
  for (let row = 0; row < LOGS; row++) {
    const bit = Math.floor(random.next() * RUN_BYTES * 8);
    flip(row, bit);
    const { find, damaged, repaired } = fresh();
    for (let index = 0; index < LOGS; index++) {
      assert.equal(await find(idOf(index)), startOf(index), `row ${row}, bit ${bit}`);
      assert.equal(await find(idOf(index) + 1), null, `row ${row}, bit ${bit}`);
    }
    assert.equal(damaged.value, 0);
    assert.equal(repaired.value, 1);
    flip(row, bit);
  }
  await objects.close();
});

test('a directory row beyond repair hides its own log, is told, and misleads nobody', async () => {
  const { objects, flip, fresh } = await directoryOf();
  for (let row = 0; row < LOGS; row++) {
    // The number of the log looks larger or smaller than it is.
    for (const bit of [3, 40, 62]) flip(row, bit);
    const { find, damaged } = fresh();
    for (let index = 0; index < LOGS; index++) {
      const wanted = index === row ? null : startOf(index);
      assert.equal(await find(idOf(index)), wanted, `row ${row}`);
      assert.equal(await find(idOf(index) + 1), null, `row ${row}`);
    }
    assert.equal(damaged.value, 1);
    for (const bit of [3, 40, 62]) flip(row, bit);
  }
  await objects.close();
});

test('neighbours of a page are read with it while there is room, and no more is kept than may be', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const objects = await openDirectoryStore(disk, 'data', 4);
  let reads = 0;
  const counted: ObjectStore = {
    put: (name, fill) => objects.put(name, fill),
    get(name, from, length) {
      reads++;
      return objects.get(name, from, length);
    },
    list: (prefix) => objects.list(prefix),
    deleteMany: (names) => objects.deleteMany(names),
    close: () => objects.close(),
  };
  const damage = new DamageReports(silentLog, makeInstruments(new Metrics()));
  // Three pages of each segment: two segments fit, three do not.
  const store = new SegmentStore({ objects: counted, damage, blocksMax: 4, pagesMax: 6 });
  const segments: Segment[] = [];
  for (const id of [1, 2, 3]) {
    const fill = async (writer: SegmentWriter) => {
      for (let index = 0; index < LOGS; index++) await writer.endRun(idOf(index), id, false);
    };
    segments.push(await writeTestSegment(objects, id, fill));
  }
  const readsOf = async (...order: number[]): Promise<number> => {
    const before = reads;
    for (const at of order) {
      for (const index of [0, PAGE_ROWS, LOGS - 1]) {
        const run = await store.directory.find(segments[at]!, idOf(index));
        assert.equal(run?.logStart, at + 1);
      }
    }
    return reads - before;
  };
  assert.equal(await readsOf(0, 1), 2);
  assert.equal(await readsOf(1, 0, 1, 0), 0);
  assert.equal(await readsOf(2), 3, 'one page after the other: there is no room for neighbours');
  assert.equal(await readsOf(0, 2), 0);
  assert.equal(await readsOf(1), 3, 'its pages had to give way');
  store.directory.forget(segments[2]!);
  assert.equal(await readsOf(1), 0);
  assert.equal(await readsOf(0), 1, 'there is room again');
  await objects.close();
});
