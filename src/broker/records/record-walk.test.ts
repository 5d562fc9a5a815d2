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
function sift(batch: Buffer, isUnwanted: (offset: number) => boolean) {
  const walk = new RecordWalk(batch, BASE, BYTES_MAX);
  const seen: [number, string, boolean][] = [];
  while (walk.next()) {
    seen.push([walk.offset, walk.key.toString(), walk.isTombstone]);
    if (isUnwanted(walk.offset)) walk.drop();
  }
  return { seen, result: walk.result() };
}

const shown = (found: readonly StoredRecord[]) =>
  found.map(({ offset, timeMs, key, value, headers }) => {
    const texts = headers.map(({ name, value: content }) => [name, String(content)]);
    return [offset, timeMs, String(key), String(value), texts];
  });

describe('taking records out of a batch', () => {
  it('leaves each other record as it was, at its offset and time, in every codec K40 K22', () => {
    fc.assert(
      fc.property(cases, ({ records, codec, isLogTime }) => {
        const attributes = isLogTime ? LOG_APPEND_TIME : 0;
        const produced = records.map(([one]) => one);
        const shape = { codec, attributes, baseOffset: BASE, producerId: 7, baseSequence: 3 };
        const batch = packBatch(produced, { ...shape, producerEpoch: 2 });
        const before = readRecords(batch, BASE, BYTES_MAX);
        const goes = (offset: number): boolean => records[offset - BASE]![1];
        const { seen, result } = sift(batch, goes);
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

  it('gives back the same bytes when nothing goes', () => {
    const batch = packBatch([{ key: 'a', value: '1', timeMs: 5 }], { codec: 'gzip' });
    assert.equal(sift(batch, () => false).result, batch);
  });

  it('bytes that are no records are an error, never a crash or a hang', () => {
    const batch = packBatch(
      [
        { key: 'a', value: '1', timeMs: 5 },
        { key: 'b', value: null, timeMs: 9 },
      ],
      { baseOffset: BASE },
    );
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), fc.nat(), (at, byte, cut) => {
        const broken = Buffer.from(batch.subarray(0, batch.length - (cut % 4)));
        // Codec bits stay: this is about records.
        const from = BATCH_AT.lastDelta;
        broken[from + (at % (broken.length - from))] = byte;
        try {
          sift(broken, (offset) => offset === BASE);
        } catch (error) {
          if (!(error instanceof ProtocolError || error instanceof BrokerError)) throw error;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('a batch that would open to more than allowed is refused K23', () => {
    const value = 'x'.repeat(BYTES_MAX + 1);
    for (const codec of CODECS.slice(1)) {
      const batch = packBatch([{ key: 'a', value, timeMs: 5 }], { codec });
      assert.throws(() => new RecordWalk(batch, 0, BYTES_MAX), { code: 'message-too-large' });
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
