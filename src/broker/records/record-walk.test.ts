import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BrokerError, crc32c, ProtocolError } from '#kit';
import { BATCH_AT, LOG_APPEND_TIME } from './batch-layout.ts';
import { CODECS, type ProducedRecord, packBatch } from './record-batch.fixture.ts';
import { readRecords, type StoredRecord } from './record-batch.ts';
import { RecordWalk } from './record-walk.ts';

const BYTES_MAX = 1 << 20;
const BASE = 1_000;

const record: fc.Arbitrary<ProducedRecord> = fc.record({
  key: fc.option(fc.string({ maxLength: 20 })),
  value: fc.option(fc.string({ maxLength: 60 })),
  timeMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 })), {
    maxLength: 2,
  }),
});
const cases = fc.record({
  records: fc.array(fc.tuple(record, fc.boolean()), { minLength: 1, maxLength: 30 }),
  codec: fc.constantFrom(...CODECS),
  isLogTime: fc.boolean(),
});

/** Takes out the keyed records whose index is wanted; what was seen on the way. */
async function sift(batch: Buffer, isUnwanted: (offset: number) => boolean, bytesMax = BYTES_MAX) {
  let turns = 0;
  const turn = async (): Promise<void> => void turns++;
  const walk = await RecordWalk.open(batch, BASE, bytesMax, turn);
  const seen: [number, string, boolean][] = [];
  while (walk.next()) {
    seen.push([walk.offset, walk.key.toString(), walk.isTombstone]);
    if (isUnwanted(walk.offset)) walk.drop();
  }
  return { seen, result: await walk.result(turn), turns };
}

const shown = (found: readonly StoredRecord[]) =>
  found.map(({ offset, timeMs, key, value, headers }) => {
    const texts = headers.map(({ name, value: content }) => [name, String(content)]);
    return [offset, timeMs, String(key), String(value), texts];
  });

describe('taking records out of a batch', () => {
  it('leaves each other record as it was, at its offset and time, in every codec K40 K22', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ records, codec, isLogTime }) => {
        const attributes = isLogTime ? LOG_APPEND_TIME : 0;
        const produced = records.map(([one]) => one);
        const shape = { codec, attributes, baseOffset: BASE, producerId: 7, baseSequence: 3 };
        const batch = packBatch(produced, { ...shape, producerEpoch: 2 });
        const before = readRecords(batch, BASE, BYTES_MAX);
        const goes = (offset: number): boolean => records[offset - BASE]![1];
        const { seen, result } = await sift(batch, goes);
        const keyed = before.filter(({ key }) => key !== null);
        assert.deepEqual(
          seen,
          keyed.map(({ offset, key, value }) => [offset, String(key), value === null]),
        );
        const kept = before.filter(({ offset, key }) => key === null || !goes(offset));
        if (kept.length === 0) return assert.equal(result, null);
        assert.ok(result !== null);
        assert.deepEqual(shown(readRecords(result, BASE, BYTES_MAX)), shown(kept));
        checkHeader(batch, result, kept, isLogTime);
      }),
      { numRuns: 300 },
    );
  });

  it('gives back the same bytes when nothing goes', async () => {
    const batch = packBatch([{ key: 'a', value: '1', timeMs: 5 }], { codec: 'gzip' });
    assert.equal((await sift(batch, () => false)).result, batch);
  });

  it('bytes that are no records are an error, never a crash or a hang', async () => {
    const batch = packBatch(
      [
        { key: 'a', value: '1', timeMs: 5 },
        { key: 'b', value: null, timeMs: 9 },
      ],
      { baseOffset: BASE },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(255), fc.nat(), async (at, byte, cut) => {
        const broken = Buffer.from(batch.subarray(0, batch.length - (cut % 4)));
        // Codec bits stay: this is about records.
        const from = BATCH_AT.lastDelta;
        broken[from + (at % (broken.length - from))] = byte;
        try {
          await sift(broken, (offset) => offset === BASE);
        } catch (error) {
          if (!(error instanceof ProtocolError || error instanceof BrokerError)) throw error;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('a batch of megabytes is taken apart in pieces, with the same records left K40', async () => {
    const bytesMax = 8 << 20;
    const produced = Array.from({ length: 12_000 }, (_, index) => {
      // Half of it cannot be compressed, so that the packed form is large as well.
      const noise = Buffer.from(Float64Array.of(Math.sin(index), Math.cos(index)).buffer);
      const value = `${noise.toString('hex').repeat(4)}${'.'.repeat(120)}`;
      return { key: `k${index % 500}`, value, timeMs: 1_000 + index };
    });
    for (const codec of CODECS) {
      const batch = packBatch(produced, { codec, baseOffset: BASE });
      const { result, turns } = await sift(batch, (offset) => offset % 3 !== 0, bytesMax);
      const kept = readRecords(batch, BASE, bytesMax).filter(({ offset }) => offset % 3 === 0);
      assert.deepEqual(shown(readRecords(result!, BASE, bytesMax)), shown(kept), codec);
      assert.ok(turns >= 10, `${codec}: others had ${turns} turns`);
    }
  });

  it('a batch that would open to more than allowed is refused K23', async () => {
    const value = 'x'.repeat(BYTES_MAX + 1);
    for (const codec of CODECS.slice(1)) {
      const batch = packBatch([{ key: 'a', value, timeMs: 5 }], { codec });
      const refusal = { code: 'message-too-large' };
      assert.throws(() => new RecordWalk(batch, 0, BYTES_MAX), refusal);
      await assert.rejects(async () => sift(batch, () => true), refusal);
    }
  });
});

function checkHeader(
  before: Buffer,
  after: Buffer,
  kept: readonly StoredRecord[],
  isLogTime: boolean,
): void {
  const [length, count] = [after.readInt32BE(BATCH_AT.length), after.readInt32BE(BATCH_AT.count)];
  assert.deepEqual([length, count], [after.length - BATCH_AT.epoch, kept.length]);
  assert.equal(after.readUInt32BE(BATCH_AT.crc), crc32c(after.subarray(BATCH_AT.attributes)));
  const same = (from: number, to: number): void => {
    assert.deepEqual(after.subarray(from, to), before.subarray(from, to));
  };
  same(0, BATCH_AT.length);
  same(BATCH_AT.epoch, BATCH_AT.crc);
  same(BATCH_AT.attributes, BATCH_AT.baseTime);
  same(BATCH_AT.producer, BATCH_AT.count);
  if (isLogTime) {
    same(BATCH_AT.baseTime, BATCH_AT.producer);
    return;
  }
  assert.equal(Number(after.readBigInt64BE(BATCH_AT.baseTime)), kept[0]!.timeMs);
  const latest = Math.max(...kept.map(({ timeMs }) => timeMs));
  assert.equal(Number(after.readBigInt64BE(BATCH_AT.maxTime)), latest);
}
