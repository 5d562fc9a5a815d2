import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine, ShardLog } from '../log-engine.ts';
import { factsOf, openTestEngine, seededRandom, VirtualTime } from '../storage.fixture.ts';
import { jsonCompaction, keyedBatch, recordsOf } from './compaction.fixture.ts';

const LIMITS = {
  ...{ walFileBytes: 8_192, entryBytesMax: 4_096, segmentBytesMax: 16_384 },
  compactionPauseMs: 20,
};
const [COMPACTED, OTHER] = [2 ** 40 + 1, 2 ** 40 + 2];
const KEYS = 20;
const ROUNDS = 30;

/** The last value of each key, in the order in which the keys come. */
async function state(time: VirtualTime, log: ShardLog): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    const batches = await time.until(Promise.resolve(log.read(offset, 4_000)));
    for (const batch of batches) {
      assert.ok(batch.baseOffset >= offset, 'no batch lies before what was asked for');
      for (const [, key, value] of recordsOf(batch)) values.set(key!, value!);
      offset = batch.baseOffset + batch.count;
    }
  }
  return values;
}

test('a log that is due is compacted in the background, and its disk is freed K39 K40', async () => {
  const time = new VirtualTime();
  const disk = new VirtualFiles({ random: seededRandom(1), timers: time });
  const open = (): Promise<LogEngine> =>
    time.until(openTestEngine({ files: disk, time, limits: LIMITS }));
  let engine = await open();
  const log = engine.open(COMPACTED, 'fsync');
  log.upkeep = { remote: false, compaction: jsonCompaction({ minLagMs: 0, dirtyRatio: 0.5 }) };
  const other = engine.open(OTHER, 'fsync');
  for (let n = 0; n < ROUNDS * KEYS; n++) {
    log.append(keyedBatch([[0, `k${n % KEYS}`, `${n}`.padStart(200, '0')]]), factsOf());
    if (n % 5 === 0) other.append(keyedBatch([[0, 'other', `${n}`]]), factsOf());
    await time.advance(1);
  }
  const before = ROUNDS * KEYS * 200;
  other.trim(1);
  await time.advance(2_000);
  const expected = new Map<string, string>();
  for (let n = 0; n < ROUNDS * KEYS; n++) {
    expected.set(`k${n % KEYS}`, `${n}`.padStart(200, '0'));
  }
  assert.deepEqual(await state(time, log), expected);
  const { bytes, endOffset } = log.stat();
  assert.ok(bytes < before / 4, `${bytes} of ${before} bytes are left`);
  assert.equal(endOffset, ROUNDS * KEYS, 'offsets stay');
  assert.equal((await time.until(Promise.resolve(other.read(1, 1_000_000)))).length > 0, true);
  await time.until(engine.checkpoint());
  const all = engine.usage().dataBytes;
  assert.ok(all < before, `${all} bytes on disk`);

  for (const how of ['crash', 'lost'] as const) {
    disk.crash();
    time.kill();
    await time.settle();
    if (how === 'lost') for (const name of ['a', 'b']) await disk.remove(`data/checkpoint-${name}`);
    engine = await open();
    const again = engine.open(COMPACTED, 'fsync');
    assert.deepEqual(await state(time, again), expected, how);
    assert.equal(again.endOffset, ROUNDS * KEYS);
    await time.advance(500);
    assert.deepEqual(await state(time, again), expected, `${how}, later`);
  }
});
