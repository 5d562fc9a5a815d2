/** Write-ahead files that become segments: when, what it costs, and what becomes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '#kit';
import { checkStorage } from '../check/check-storage.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine } from '../log-engine.ts';
import {
  dataBatch,
  factsOf,
  openTestEngine,
  readAll,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';

const LIMITS = { walFileBytes: 65_536, entryBytesMax: 32_768, segmentBytesMax: 131_072 };
const LARGE = [2 ** 40 * 3 + 1, 2 ** 40 * 700 + 1];
const SMALL = Array.from({ length: 20 }, (_, index) => 2 ** 40 * (40 * index) + 7);

interface Place {
  readonly time: VirtualTime;
  readonly disk: VirtualFiles;
  readonly metrics: Metrics;
}

function place(): Place {
  const time = new VirtualTime();
  const disk = new VirtualFiles({ random: seededRandom(1), timers: time });
  return { time, disk, metrics: new Metrics() };
}

function opened({ time, disk, metrics }: Place): Promise<LogEngine> {
  return time.until(openTestEngine({ files: disk, time, metrics, limits: LIMITS }));
}

/** Rounds of one batch for each of these logs. */
async function write(
  { time }: Place,
  engine: LogEngine,
  ids: readonly number[],
  bytes: number,
  rounds: number,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const id of ids) {
      const log = engine.open(id, 'fsync');
      log.append(dataBatch(`${id}/${log.endOffset}`, bytes), factsOf());
    }
    await time.advance(2);
  }
  await time.until(engine.flushed());
  await time.advance(300);
}

async function verify({ time }: Place, engine: LogEngine, ids: readonly number[]): Promise<void> {
  for (const id of ids) {
    const log = engine.open(id, 'fsync');
    const texts = (await time.until(readAll(log))).map(textOf);
    const expected = Array.from(
      { length: log.highWatermark - log.startOffset },
      (_, index) => `${id}/${index + log.startOffset}`,
    );
    assert.deepEqual(texts, expected);
    const middle = Math.floor((log.startOffset + log.highWatermark) / 2);
    const [batch] = await time.until(Promise.resolve(log.read(middle, 1)));
    assert.equal(batch?.baseOffset, middle);
  }
}

const counted = ({ metrics }: Place, what: string): number =>
  metrics.counter(`robustmq_storage_${what}_bytes_total`, '').value;

const named = ({ disk }: Place, part: string): string[] =>
  disk.paths.filter((path) => path.includes(part));

test('large batches are not copied: what is written for a byte stays near one byte', async () => {
  const here = place();
  const engine = await opened(here);
  await write(here, engine, LARGE, 6_000, 100);
  assert.ok(named(here, 'raw-').length > 10);
  const appended = counted(here, 'append');
  assert.ok(counted(here, 'reorganised') < appended * 0.1, 'only indexes are written');
  assert.ok(counted(here, 'wal_written') < appended * 1.1);
  assert.ok(here.disk.usedBytes < appended * 1.1 + 4 * LIMITS.walFileBytes, 'and stay on the disk');
  await verify(here, engine, LARGE);
  await here.time.until(engine.close());
});

test('small batches of many logs are copied, and their files used again', async () => {
  const here = place();
  const engine = await opened(here);
  await write(here, engine, SMALL, 100, 150);
  assert.deepEqual(named(here, 'raw-'), []);
  assert.ok(counted(here, 'reorganised') > counted(here, 'append'));
  assert.ok(counted(here, 'wal_prepared') < 6 * LIMITS.walFileBytes);
  await verify(here, engine, SMALL);
  await here.time.until(engine.close());
});

test('small logs among large ones are copied out, the large ones stay', async () => {
  const here = place();
  let engine = await opened(here);
  for (let round = 0; round < 50; round++) {
    await write(here, engine, [SMALL[round % SMALL.length]!], 50, 1);
    await write(here, engine, LARGE, 6_000, 2);
  }
  assert.ok(named(here, 'raw-').length > 5);
  assert.ok(named(here, '/seg-').length > 0);
  await verify(here, engine, [...LARGE, ...SMALL]);
  await here.time.until(engine.close());
  engine = await opened(here);
  await verify(here, engine, [...LARGE, ...SMALL]);
  await here.time.until(engine.close());
});

test('an adopted file goes when nothing in it is needed, and its live part is kept', async () => {
  const here = place();
  const engine = await opened(here);
  await write(here, engine, LARGE, 6_000, 60);
  const [first, second] = LARGE.map((id) => engine.open(id, 'fsync'));
  first!.trim(first!.highWatermark - 1);
  await here.time.advance(500);
  await verify(here, engine, LARGE);
  second!.trim(second!.highWatermark - 1);
  await here.time.advance(500);
  await here.time.until(engine.checkpoint());
  await here.time.advance(500);
  assert.ok(engine.usage().dataBytes < 2 * LIMITS.walFileBytes, `${engine.usage().dataBytes}`);
  assert.ok(here.disk.usedBytes < 8 * LIMITS.walFileBytes, `${here.disk.usedBytes}`);
  await verify(here, engine, LARGE);
  await here.time.until(engine.close());
});

for (const lost of ['none', 'all checkpoints', 'an index'] as const) {
  test(`adopted files are found after a crash, lost: ${lost}`, async () => {
    const here = place();
    let engine = await opened(here);
    await write(here, engine, LARGE, 6_000, 40);
    here.disk.kill();
    here.time.kill();
    await here.time.settle();
    here.time.kill();
    if (lost !== 'none') {
      for (const name of named(here, 'checkpoint-')) await here.disk.remove(name);
    }
    // Without its trailer the newest one is what it was: a write-ahead file.
    const newest = named(here, 'raw-').at(-1)!;
    if (lost === 'an index') {
      const size = here.disk.sizeOf(newest);
      for (const bit of [0, 1, 2]) here.disk.flip(newest, size - 40 - bit, bit);
    }
    engine = await opened(here);
    await verify(here, engine, LARGE);
    for (const id of LARGE) assert.equal(engine.open(id, 'fsync').highWatermark, 40);
    await here.time.until(engine.close());
    const { disk, time } = here;
    const parts = { directory: 'data', files: disk, clock: time, timers: time };
    const check = checkStorage({ ...parts, random: seededRandom(1), repair: false });
    const { problems, lost: ranges } = await time.until(check, 60_000);
    assert.deepEqual([problems, ranges], [[], []]);
  });
}

test('a flipped bit in an adopted file is reported, and only its batch is lost', async () => {
  const here = place();
  let engine = await opened(here);
  await write(here, engine, LARGE, 6_000, 40);
  await here.time.until(engine.close());
  const [path] = named(here, 'raw-');
  here.disk.flip(path!, 3_000, 3);
  const { disk, time } = here;
  const parts = { directory: 'data', files: disk, clock: time, timers: time };
  const options = { ...parts, random: seededRandom(1) };
  const found = await time.until(checkStorage({ ...options, repair: true }), 60_000);
  assert.deepEqual(
    found.problems.map(({ kind }) => kind),
    ['gap'],
  );
  engine = await opened(here);
  const log = engine.open(LARGE[0]!, 'fsync');
  await assert.rejects(time.until(Promise.resolve(log.read(0, 1))), { code: 'damaged' });
  const [next] = await time.until(Promise.resolve(log.read(1, 1)));
  assert.equal(textOf(next!), `${LARGE[0]}/1`);
  await time.until(engine.close());
});
