import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualFiles } from '../files/virtual-files.ts';
import {
  appended,
  dataBatch,
  openTestEngine,
  seededRandom,
  VirtualTime,
} from '../storage.fixture.ts';

const MIB = 2 ** 20;
const LIMITS = {
  walFileBytes: 24 * MIB,
  entryBytesMax: 8 * MIB,
  inFlightBytesMax: 64 * MIB,
  entryBytesSoft: 8 * MIB,
  reorganiseDelayMs: 1e9,
};

async function openWithZeros() {
  const time = new VirtualTime();
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const engine = await time.until(openTestEngine({ files: disk, limits: LIMITS, time }));
  const filled = (): number[] => {
    const names = disk.paths.filter((path) => /wal-\d+\.log$/.test(path));
    return names.map((path) => disk.sizeOf(path) / MIB);
  };
  return { time, engine, filled };
}

test('zeros for files that nobody fills yet rest after each step', async () => {
  const { time, engine, filled } = await openWithZeros();
  await time.advance(200);
  const [first, ...others] = filled();
  assert.ok(first! >= 8 && first! < 16, `${first} MiB after 200 ms`);
  assert.deepEqual(others, [], 'one file at a time');
  await time.advance(2_000);
  assert.deepEqual(filled(), [24, 24]);
  await time.until(engine.close());
});

test('an entry that needs their space does not wait for the pauses of zeros', async () => {
  const { time, engine, filled } = await openWithZeros();
  const log = engine.open(1, 'fsync');
  const startedMs = time.monotonicMs();
  for (let n = 0; n < 8; n++) await time.until(appended(log, dataBatch('x', 7 * MIB)));
  assert.ok(time.monotonicMs() - startedMs < 200, `${time.monotonicMs() - startedMs} ms`);
  assert.ok(filled().length >= 3);
  await time.until(engine.close());
});

test('a stop does not wait for the pauses of zeros', async () => {
  const { time, engine } = await openWithZeros();
  const startedMs = time.monotonicMs();
  await time.until(engine.close());
  assert.ok(time.monotonicMs() - startedMs < 100, `${time.monotonicMs() - startedMs} ms`);
});
