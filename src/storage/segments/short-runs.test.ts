/** How many bytes a read of a run asks for, and in how many calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, silentLog } from '#kit';
import { makeInstruments } from '../commit/instruments.ts';
import { ROW_BYTES, writeRow } from '../commit/row-codec.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { openDirectoryStore } from '../objects/directory-store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { DamageReports } from '../recovery/damage.ts';
import { dataBatch, factsOf, seededRandom } from '../storage.fixture.ts';
import { runOf, writeTestSegment } from './segment.fixture.ts';
import { SegmentStore } from './segment-store.ts';

const LOG = 7;
const BODY = 16_384;
const HEADER = dataBatch('').length;

/** A run of so many batches of 16 KiB; `lengths` has what was asked of the disk since. */
async function runOfBatches(count: number) {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const objects = await openDirectoryStore(disk, 'data', 4);
  const lengths: number[] = [];
  const watched: ObjectStore = {
    put: (name, fill) => objects.put(name, fill),
    get: (name, from, length) => {
      lengths.push(length);
      return objects.get(name, from, length);
    },
    list: (prefix) => objects.list(prefix),
    deleteMany: (names) => objects.deleteMany(names),
    close: () => objects.close(),
  };
  const damage = new DamageReports(silentLog, makeInstruments(new Metrics()));
  const store = new SegmentStore({ objects: watched, damage, blocksMax: 4, pagesMax: 4 });
  const segment = await writeTestSegment(objects, 1, async (writer) => {
    for (let base = 0; base < count; base++) {
      const body = dataBatch(`${base}`, BODY - HEADER - `${base}`.length);
      body.writeBigInt64BE(BigInt(base), 0);
      body.writeInt32BE(0, 12);
      const row = Buffer.alloc(ROW_BYTES);
      writeRow(row, 0, LOG, base, 0, body, factsOf(), 500 + base);
      await writer.add(row, 0, body);
    }
    await writer.endRun(LOG, 0, false);
  });
  const run = await runOf(store, segment, LOG);
  lengths.length = 0;
  const read = async (offset: number, bytesMax: number): Promise<number[]> => {
    const batches = await store.read(run, offset, bytesMax, count);
    return batches.map(({ baseOffset }) => baseOffset);
  };
  return { read, lengths, objects };
}

const offsets = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

test('a run that is wanted as a whole comes with its rows in one call', async () => {
  for (const count of [1, 9, 60]) {
    const { read, lengths, objects } = await runOfBatches(count);
    assert.deepEqual(await read(0, 2 ** 20), offsets(0, count));
    assert.deepEqual(lengths, [count * (BODY + ROW_BYTES)]);
    await objects.close();
  }
});

test('of a run of which little is wanted only that is read, after its rows', async () => {
  const { read, lengths, objects } = await runOfBatches(60);
  assert.deepEqual(await read(50, 3 * BODY), [50, 51, 52]);
  assert.deepEqual(lengths, [60 * ROW_BYTES, 3 * BODY]);
  lengths.length = 0;
  assert.deepEqual(await read(53, 2 ** 20), offsets(53, 60), 'the rows are still known');
  assert.deepEqual(lengths, [7 * BODY]);
  await objects.close();
});

test('a few bodies more than are wanted are read rather than asking twice', async () => {
  const { read, lengths, objects } = await runOfBatches(12);
  assert.deepEqual(await read(2, 8 * BODY), offsets(2, 10));
  assert.deepEqual(lengths, [12 * (BODY + ROW_BYTES)]);
  lengths.length = 0;
  assert.deepEqual(await read(6, 2 ** 20), offsets(6, 12), 'six are too many');
  assert.deepEqual(lengths, [12 * ROW_BYTES, 6 * BODY]);
  await objects.close();
});
