import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { seededRandom } from '../seeded-random.rig.ts';
import { BATCH_AT } from './batch-layout.ts';
import { CODECS, packBatch } from './record-batch.fixture.ts';
import { readRecords } from './record-batch.ts';
import { recordFault } from './record-check.ts';

const OPENED_MAX = 1 << 20;
const RECORDS = [
  { key: 'k', value: 'v'.repeat(300), timeMs: 1000, headers: [['h', 'x']] as const },
  { key: null, value: null, timeMs: 7_000_000_000 },
  { key: '', value: '', timeMs: 1 },
];

describe('the records of a producer’s batch', () => {
  it('are well when they are, in every compression K23', () => {
    for (const codec of CODECS) {
      assert.equal(recordFault(packBatch(RECORDS, { codec }), OPENED_MAX), null, codec);
    }
  });

  it('must be as many as the header says, without bytes behind them K23', () => {
    const fewer = packBatch(RECORDS);
    fewer.writeInt32BE(2, BATCH_AT.count);
    assert.deepEqual(recordFault(fewer, OPENED_MAX)?.index, -1);
    const more = packBatch(RECORDS);
    more.writeInt32BE(4, BATCH_AT.count);
    assert.equal(recordFault(more, OPENED_MAX)?.index, 3);
  });

  it('have offsets that count up from 0 K23', () => {
    const batch = packBatch([RECORDS[1]!, RECORDS[1]!]);
    // Length, attributes, time, then the offset delta of the first record.
    batch[BATCH_AT.count + 4 + 3] = 2;
    const fault = recordFault(batch, OPENED_MAX)!;
    assert.deepEqual([fault.index, fault.message], [0, 'it has the offset delta 1']);
  });

  it('may not open to more than is allowed K23 R39', () => {
    const bomb = packBatch([{ key: null, value: 'x'.repeat(OPENED_MAX), timeMs: 1 }], {
      codec: 'gzip',
    });
    assert.throws(
      () => recordFault(bomb, OPENED_MAX / 2),
      (error) => error instanceof BrokerError && error.code === 'message-too-large',
    );
  });

  it('end in a fault or in records, whatever one byte becomes K23', () => {
    const random = seededRandom(7);
    const good = packBatch(RECORDS);
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(good);
      const at = BATCH_AT.count + 4 + random.below(bytes.length - BATCH_AT.count - 4);
      bytes[at] = random.below(256);
      if (recordFault(bytes, OPENED_MAX) !== null) continue;
      // What stays unseen lies inside a record: headers, or the bytes of key and value.
      try {
        const records = readRecords(bytes, 0, OPENED_MAX);
        assert.deepEqual(
          records.map(({ offset }) => offset),
          [0, 1, 2],
        );
      } catch (error) {
        assert.match(String(error), /header|ends at|value|key/);
      }
    }
  });
});
