import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jsonCompaction, SegmentedLog, type TestRecord } from './compaction.fixture.ts';
import { KEY_BYTES } from './key-offsets.ts';

const one = (key: string | null, value: string | null) => ({ records: [[0, key, value]] as const });
const many = (...pairs: [string | null, string | null][]) => ({
  records: pairs.map(([key, value], delta): TestRecord => [delta, key, value]),
});

describe('compaction of a log', () => {
  it('keeps the last record of each key at its offset, and leaves holes K40', async () => {
    const log = await SegmentedLog.open();
    await log.addSegment([one('a', '1'), one('b', '1'), one('a', '2'), one('a', '3')]);
    await log.addSegment([one('c', '1'), one('b', '2'), one('end', '1')]);
    const result = await log.compact();
    assert.equal(result?.recordsDropped, 3);
    assert.deepEqual(await log.shown(), ['0-3', '3 a=3', '4 c=1', '5 b=2', '6 end=1']);
    assert.ok(result.bytesAfter < result.bytesBefore);
    assert.ok(log.paced >= result.bytesBefore, 'every byte that is read is counted');
  });

  it('a batch of which some records are left keeps its range of offsets K40', async () => {
    const log = await SegmentedLog.open();
    await log.addSegment([many(['a', '1'], ['b', '1'], ['c', '1']), one('b', '2'), one('d', '1')]);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0 a=1', '2 c=1', '3 b=2', '4 d=1']);
    const [run] = log.runs;
    const [batch] = await log.store.read(run!, 1, 1, 5);
    assert.deepEqual([batch?.baseOffset, batch?.count], [0, 3]);
  });

  it('the last batch stays dirty, however old: something readable ends every log K40', async () => {
    const log = await SegmentedLog.open();
    await log.addSegment([one('a', '1'), one('a', '2')]);
    log.time.advance(10);
    assert.notEqual(await log.compact(), null);
    assert.deepEqual(await log.shown(), ['0 a=1', '1 a=2'], 'the head replaces nothing yet');
    assert.equal(await log.compact(), null, 'there is nothing more to compact');
    await log.addSegment([one('b', '1')]);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-1', '1 a=2', '2 b=1']);
  });

  it('what is younger than the lag is neither dropped nor does it replace anything K40', async () => {
    const log = await SegmentedLog.open();
    log.shard.upkeep = { remote: false, compaction: jsonCompaction({ minLagMs: 500 }) };
    await log.addSegment([one('a', '1'), one('a', '2'), one('b', '1')]);
    await log.time.advance(400);
    await log.addSegment([one('a', '3'), one('b', '2'), one('c', '1')]);
    assert.equal(await log.compact(), null);
    await log.time.advance(100);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-1', '1 a=2', '2 b=1', '3 a=3', '4 b=2', '5 c=1']);
    await log.time.advance(400);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-3', '3 a=3', '4 b=2', '5 c=1']);
  });

  it('nothing is compacted that somebody needs record by record X16 K40', async () => {
    const log = await SegmentedLog.open();
    let needed = 2;
    log.shard.upkeep = {
      remote: false,
      compaction: jsonCompaction({ neededFrom: () => needed }),
    };
    await log.addSegment([one('a', '1'), one('a', '2'), one('a', '3'), one('b', '1')]);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-1', '1 a=2', '2 a=3', '3 b=1']);
    needed = 4;
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-2', '2 a=3', '3 b=1']);
  });

  it('a tombstone replaces at once and stays for its time after the first compaction K40', async () => {
    const log = await SegmentedLog.open();
    await log.addSegment([one('a', '1'), one('a', null), many(['b', '1'], ['c', null])]);
    await log.time.advance(5_000);
    await log.addSegment([one('d', '1')]);
    await log.compact();
    const kept = ['0-1', '1 a=x', '2 b=1', '3 c=x', '4 d=1'];
    assert.deepEqual(await log.shown(), kept, 'its time begins now, not when it was written');
    const [dirt] = log.dirt();
    assert.equal(dirt?.horizon, Math.ceil((log.time.nowMs() + 1_000) / 1_000));
    await log.time.advance(500);
    assert.equal(await log.compact(), null);
    await log.time.advance(1_500);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-2', '2 b=1', '4 d=1']);
    assert.equal(log.dirt()[0]?.horizon, 0);
  });

  it('a record after the tombstone lives; the tombstone goes with it K40', async () => {
    const log = await SegmentedLog.open();
    await log.addSegment([one('a', '1'), one('a', null), one('a', '2'), one('z', '1')]);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-2', '2 a=2', '3 z=1']);
  });

  it('records without a key, control batches and what cannot be read stay K40', async () => {
    const log = await SegmentedLog.open();
    await log.addSegment([
      many([null, '1'], ['a', '1']),
      { ...one('a', 'marker'), facts: { attributes: 0x30 } },
      many(['a', '2'], ['unreadable', '1'], ['a', '3']),
      { ...one('a', '3'), isBroken: true },
      one('a', '4'),
      one('b', '1'),
    ]);
    await log.compact();
    const rest = ['3 a=2', '4 unreadable=1', '5 a=3', '6 damaged', '7 a=4', '8 b=1'];
    assert.deepEqual(await log.shown(), ['0 -=1', '2 a=marker', ...rest]);
    assert.equal(await log.compact(), null, 'they are not looked at again');
  });

  it('keys that fit into no table are compacted in several passes, with the same end K40', async () => {
    const log = await SegmentedLog.open({ compactionKeyBytes: 1024 * KEY_BYTES });
    const keyOf = (n: number): string => `k${(n * 7919) % 2_000}`;
    const batches = Array.from({ length: 60 }, (_, batch) =>
      many(
        ...Array.from({ length: 100 }, (_, n): [string, string] => {
          return [keyOf(batch * 100 + n), `${batch}`];
        }),
      ),
    );
    await log.addSegment(batches.slice(0, 20));
    await log.addSegment([...batches.slice(20), one('end', '1')]);
    let passes = 0;
    while ((await log.compact()) !== null) passes++;
    assert.ok(passes > 4 && passes < 12, `${passes} passes`);
    const wanted = Array.from({ length: 2_000 }, (_, n) => {
      return `${4_000 + n} ${keyOf(4_000 + n)}=${Math.floor((4_000 + n) / 100)}`;
    });
    assert.deepEqual(await log.shown(), ['0-4000', ...wanted, '6000 end=1']);
  });

  it('a batch that alone fits into no table is stepped over K40', async () => {
    const log = await SegmentedLog.open({ compactionKeyBytes: 1024 * KEY_BYTES });
    const large = Array.from({ length: 2_000 }, (_, n): [string, string] => [`k${n % 900}`, '1']);
    await log.addSegment([one('k5', '0'), many(...large), one('k5', '2'), one('end', '1')]);
    while ((await log.compact()) !== null);
    const shown = await log.shown();
    assert.equal(shown.length, 1 + 2_000 - 3 + 2, 'only what a known key replaced is gone');
    assert.deepEqual(
      shown.filter((line) => line.includes(' k5=')),
      ['2001 k5=2'],
    );
  });

  it('trimmed batches are left out K39', async () => {
    const log = await SegmentedLog.open();
    await log.addSegment([one('a', '1'), one('b', '1'), one('b', '2'), one('c', '1')]);
    log.shard.startOffset = 1;
    await log.compact();
    assert.deepEqual(await log.shown(), ['1-2', '2 b=2', '3 c=1']);
  });

  it('a hole remembers the sequences of a producer as long as repeats are recognised K28', async () => {
    const log = await SegmentedLog.open();
    const from = (baseSequence: number) => ({ producerId: 5, producerEpoch: 0, baseSequence });
    const batches = Array.from({ length: 7 }, (_, n) => ({ ...one('a', `${n}`), facts: from(n) }));
    await log.addSegment([...batches, one('a', 'last'), one('b', '1')]);
    await log.compact();
    const holes = ['0-2', '2-3', '3-4', '4-5', '5-6', '6-7'];
    assert.deepEqual(await log.shown(), [...holes, '7 a=last', '8 b=1']);
    log.shard.idempotence = null;
    await log.addSegment([one('c', '1')]);
    await log.compact();
    assert.deepEqual(await log.shown(), ['0-7', '7 a=last', '8 b=1', '9 c=1']);
  });
});
