import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '#kit';
import { BATCH_AT } from './batch-layout.ts';
import { CODEC_NUMBERS, recompressed } from './recompress.ts';
import { CODECS, packBatch } from './record-batch.fixture.ts';
import { recordFault } from './record-check.ts';

const OPENED_MAX = 1 << 20;
const RECORDS = [
  { key: 'k', value: 'v'.repeat(100_000), timeMs: 1000, headers: [['h', 'x']] as const },
  { key: null, value: null, timeMs: 7_000_000_000 },
];

test('a batch changes its compression and nothing else, from every codec to every codec K22', () => {
  const shape = { producerId: 7, producerEpoch: 3, baseSequence: 9, attributes: 0x10 };
  const plain = packBatch(RECORDS, shape);
  for (const from of CODECS) {
    for (const [to, number] of Object.entries(CODEC_NUMBERS)) {
      const sent = packBatch(RECORDS, { ...shape, codec: from });
      const made = recompressed(sent, number, OPENED_MAX);
      const what = `${from} to ${to}`;
      assert.equal(made.readInt16BE(BATCH_AT.attributes), 0x10 | number, what);
      assert.equal(made.readInt32BE(BATCH_AT.length), made.length - BATCH_AT.epoch, what);
      const checksum = crc32c(made.subarray(BATCH_AT.attributes));
      assert.equal(made.readUInt32BE(BATCH_AT.crc), checksum, what);
      const header = [BATCH_AT.lastDelta, BATCH_AT.count + 4] as const;
      assert.deepEqual(made.subarray(...header), sent.subarray(...header), what);
      assert.equal(recordFault(made, OPENED_MAX), null, what);
      assert.deepEqual(recompressed(made, 0, OPENED_MAX), plain, what);
    }
  }
});

test('a batch that has the compression already is not touched K20', () => {
  const sent = packBatch(RECORDS, { codec: 'zstd' });
  assert.equal(recompressed(sent, CODEC_NUMBERS.zstd, OPENED_MAX), sent);
});

test('a batch that would open to more than is allowed is refused R39', () => {
  const sent = packBatch(RECORDS, { codec: 'gzip' });
  assert.throws(() => recompressed(sent, CODEC_NUMBERS.lz4, 1000), { code: 'message-too-large' });
});
