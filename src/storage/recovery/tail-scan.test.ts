/** What a start after a kill looks through, to tell an end from damage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENTRY_ALIGN, encodeHeader } from '../commit/entry-codec.ts';
import { WalFile } from '../commit/wal-file.ts';
import { findHeader, makeWindow, ScannedFile } from '../commit/wal-scan.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import {
  appended,
  dataBatch,
  openTestEngine,
  readAll,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';

const MIB = 2 ** 20;
const GENERATION = 5;

function header(sequence: number, generation = GENERATION): Buffer {
  const numbers = { flags: 0, writer: 1, rowCount: 0, timeMs: 1, indexCrc: 0, bodyBytes: 0 };
  return encodeHeader({ ...numbers, generation, sequence, entryBytes: ENTRY_ALIGN });
}

async function fileWith(size: number, headers: readonly (readonly [number, Buffer])[]) {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const file = await disk.open('data/wal', true);
  await file.write([Buffer.alloc(size, 'R')], 0);
  for (const [position, bytes] of headers) await file.write([bytes], position);
  const wal = new WalFile(GENERATION, 'data/wal', file, size, size);
  return new ScannedFile(wal, makeWindow());
}

test('a header is found wherever it lies behind the place where entries seem to end', async () => {
  const size = 3 * MIB + 7 * ENTRY_ALIGN;
  for (const from of [0, ENTRY_ALIGN, MIB - ENTRY_ALIGN, 2 * MIB]) {
    for (const at of [0, ENTRY_ALIGN, MIB, MIB + ENTRY_ALIGN, size - from - ENTRY_ALIGN]) {
      if (from + at >= size) continue;
      const file = await fileWith(size, [[from + at, header(9)]]);
      assert.equal(await findHeader(file, from, 8), from + at, `${from} + ${at}`);
      assert.equal(await findHeader(file, from, 9), -1, 'what is known already does not count');
    }
  }
});

test('of several headers the first one counts that is of this file and new', async () => {
  const others: [number, Buffer][] = [
    [ENTRY_ALIGN, header(9, GENERATION - 1)],
    [MIB, header(3)],
    [2 * MIB + ENTRY_ALIGN, header(9)],
    [2 * MIB + 2 * ENTRY_ALIGN, header(10)],
  ];
  const file = await fileWith(3 * MIB, others);
  assert.equal(await findHeader(file, 0, 8), 2 * MIB + ENTRY_ALIGN);
  assert.equal(await findHeader(file, 3 * MIB, 8), -1);
});

test('starts after kills look once through what was never written, however often that happens', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const limits = { walFileBytes: 4 * MIB, reorganiseDelayMs: 60_000 };
  const wanted: string[] = [];
  for (let life = 0; life < 6; life++) {
    const time = new VirtualTime();
    const readsBefore = disk.calls.read;
    const engine = await time.until(openTestEngine({ files: disk, time, limits }));
    const reads = disk.calls.read - readsBefore;
    // Two for each file with an entry, and one for each MiB of the two that have none behind it.
    assert.ok(reads <= 13 + 2 * life, `${reads} reads in life ${life}`);
    const log = engine.open(1, 'fsync');
    wanted.push(`life ${life}`);
    await time.until(appended(log, dataBatch(wanted.at(-1)!)));
    // The next file is there by then, and the mark after the last entry.
    await time.advance(2_000);
    const found = await time.until(readAll(log));
    assert.deepEqual(found.map(textOf), wanted);
    disk.kill();
    time.kill();
  }
});
