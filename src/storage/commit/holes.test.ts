import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, silentLog } from '#kit';
import { VirtualFiles } from '../files/virtual-files.ts';
import { openDirectoryStore } from '../objects/directory-store.ts';
import { DamageReports } from '../recovery/damage.ts';
import { Reader } from '../segments/reader.ts';
import type { RunIndex } from '../segments/run-index.ts';
import { runOf, writeTestSegment } from '../segments/segment.fixture.ts';
import type { LogRun } from '../segments/segment.ts';
import { SegmentStore } from '../segments/segment-store.ts';
import { Shard, type ShardHome } from '../shard.ts';
import { dataBatch, factsOf, seededRandom, textOf } from '../storage.fixture.ts';
import { makeInstruments } from './instruments.ts';
import { RecentRows } from './recent-rows.ts';
import {
  baseOf,
  countOf,
  isHole,
  joinHoles,
  markHole,
  ROW_BYTES,
  readFacts,
  writeRow,
} from './row-codec.ts';
import type { Wal } from './wal.ts';

const LOG = 7;

/** A row of `count` offsets and its body; a hole when `text` is null. */
function rowOf(base: number, count: number, text: string | null, producerId = -1) {
  const body = dataBatch(text ?? 'gone');
  body.writeBigInt64BE(BigInt(base), 0);
  body.writeInt32BE(0, 12);
  const row = Buffer.alloc(ROW_BYTES);
  const facts = factsOf({ count, producerId, maxTimestampMs: 100 + base, baseSequence: 3 });
  writeRow(row, 0, LOG, base, 0, body, facts, 500 + base);
  if (text === null) markHole(row, 0, producerId >= 0);
  return { row, body: text === null ? Buffer.alloc(0) : body };
}

/** One segment with one run of these batches. */
async function storeWith(batches: readonly { row: Buffer; body: Buffer }[]) {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const objects = await openDirectoryStore(disk, 'data', 4);
  const damage = new DamageReports(silentLog, makeInstruments(new Metrics()));
  const store = new SegmentStore({ objects, damage, blocksMax: 4, pagesMax: 4 });
  const segment = await writeTestSegment(objects, 1, async (writer) => {
    for (const { row, body } of batches) await writer.add(row, 0, body);
    await writer.endRun(LOG, 0, false);
  });
  return { store, objects, run: await runOf(store, segment, LOG) };
}

const MIXED = [
  rowOf(0, 5, null),
  rowOf(5, 2, 'five'),
  rowOf(7, 3, null),
  rowOf(10, 1, 'ten'),
  rowOf(11, 4, null),
];

test('a read that begins in a hole gives the next batch, and steps over later holes K40', async () => {
  const { store, objects, run } = await storeWith(MIXED);
  const read = async (offset: number, bytesMax = 10_000) => {
    const batches = await store.read(run, offset, bytesMax, 15);
    return batches.map((batch) => [batch.baseOffset, batch.count, textOf(batch)]);
  };
  const [five, ten] = [
    [5, 2, 'five'],
    [10, 1, 'ten'],
  ];
  for (const offset of [0, 3, 4, 5, 6]) assert.deepEqual(await read(offset), [five, ten]);
  for (const offset of [7, 8, 9, 10]) assert.deepEqual(await read(offset), [ten]);
  assert.deepEqual(await read(0, 1), [five], 'the bound counts bodies only');
  assert.deepEqual(await read(11), [], 'only a hole is left of the run');
  await objects.close();
});

test('where a run ends in a hole the read goes on in the next run K40', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const objects = await openDirectoryStore(disk, 'data', 4);
  const instruments = makeInstruments(new Metrics());
  const damage = new DamageReports(silentLog, instruments);
  const store = new SegmentStore({ objects, damage, blocksMax: 4, pagesMax: 4 });
  const runs: LogRun[] = [];
  for (const [id, batches] of [
    [1, [rowOf(0, 2, 'zero'), rowOf(2, 3, null)]],
    [2, [rowOf(5, 1, null)]],
    [3, [rowOf(6, 2, 'six')]],
  ] as const) {
    const segment = await writeTestSegment(objects, id, async (writer) => {
      for (const { row, body } of batches) await writer.add(row, 0, body);
      await writer.endRun(LOG, 0, false);
    });
    runs.push(await runOf(store, segment, LOG));
  }
  const rows = new RecentRows(1_000);
  const index = { of: () => runs } as unknown as RunIndex;
  const parts = { rows, wal: null as unknown as Wal, store, runs: index, damage, instruments };
  const reader = new Reader(parts);
  const log = new Shard(LOG, 'fsync', null as unknown as ShardHome);
  log.endOffset = log.highWatermark = 8;
  for (const offset of [2, 3, 4, 5, 6]) {
    const batches = await reader.read(log, offset, 1);
    assert.deepEqual(batches.map(textOf), ['six'], `from ${offset}`);
  }
  await objects.close();
});

test('searches by time and by size do not stop at a hole K40', async () => {
  const { store, objects, run } = await storeWith(MIXED);
  assert.equal(await store.findByTime(run, -5, 0), 5);
  assert.equal(await store.findByTime(run, 106, 0), 10);
  assert.equal(await store.findByTime(run, 111, 0), -1);
  const { length } = dataBatch('ten');
  assert.equal(await store.offsetForBytes(run, length), 7, 'the hole before it costs nothing');
  assert.equal(await store.offsetForBytes(run, length - 1), 11);
  await objects.close();
});

test('a run without rows for some offsets is damaged, also behind a hole', async () => {
  const { store, objects, run } = await storeWith([
    rowOf(0, 5, null),
    rowOf(8, 2, 'eight'),
    rowOf(10, 3, null),
    rowOf(15, 1, 'fifteen'),
  ]);
  await assert.rejects(store.read(run, 2, 100, 16), {
    code: 'damaged',
    details: { from: 5, to: 8 },
  });
  const before = await store.read(run, 8, 100, 16);
  assert.deepEqual(before.map(textOf), ['eight']);
  await assert.rejects(store.read(run, 10, 100, 16), { code: 'damaged' });
  await objects.close();
});

test('neighbouring holes become one; one that remembers a producer stays on its own K28', () => {
  const target = Buffer.from(rowOf(0, 5, null).row);
  assert.equal(joinHoles(target, 0, rowOf(6, 1, null).row, 0), false, 'not next to it');
  assert.equal(joinHoles(target, 0, rowOf(5, 2, 'here').row, 0), false, 'no hole');
  assert.equal(joinHoles(target, 0, rowOf(5, 2, null, 44).row, 0), false, 'of a producer');
  assert.equal(joinHoles(target, 0, rowOf(5, 2, null).row, 0), true);
  assert.deepEqual([baseOf(target, 0), countOf(target, 0), isHole(target, 0)], [0, 7, true]);
  const huge = Buffer.from(rowOf(7, 0xffff_fffe, null).row);
  assert.equal(joinHoles(target, 0, huge, 0), false, 'more than a row can count');
  const facts = readFacts(rowOf(5, 2, null, 44).row, 0);
  assert.deepEqual([facts.producerId, facts.baseSequence, facts.count], [44, 3, 2]);
});
