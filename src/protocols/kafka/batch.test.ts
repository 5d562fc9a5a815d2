import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchFault, batchFields } from './batch.ts';
import { batchOf, seal } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';

const LATEST_MS = 1_800_000_000_000;

function codeOf(bytes: Buffer | null, version = 9): number {
  return batchFault(bytes, version, LATEST_MS)?.errorCode ?? KAFKA.NONE;
}

function changed(change: (batch: Buffer) => void): Buffer {
  const batch = batchOf(['one', 'two']);
  change(batch);
  return seal(batch);
}

test('a sound batch passes, and its fields are read without opening it K20', () => {
  const bytes = batchOf(['a', 'b', 'c'], { producerId: 7, producerEpoch: 2, baseSequence: 40 });
  assert.equal(codeOf(bytes), KAFKA.NONE);
  assert.deepEqual(batchFields(bytes), {
    count: 3,
    attributes: 0,
    maxTimestampMs: 1_700_000_000_000,
    producerId: 7,
    producerEpoch: 2,
    baseSequence: 40,
  });
});

test('every flipped bit behind the checksum is found K20', () => {
  for (let at = 21; at < batchOf(['one', 'two']).length; at++) {
    const bytes = batchOf(['one', 'two']);
    bytes[at]! ^= 0x10;
    assert.equal(codeOf(bytes), KAFKA.CORRUPT_MESSAGE, `byte ${at}`);
  }
});

test('message formats 0 and 1 are refused as too old K21', () => {
  for (const magic of [0, 1]) {
    const set = Buffer.alloc(40);
    set[16] = magic;
    assert.equal(codeOf(set), KAFKA.UNSUPPORTED_FOR_MESSAGE_FORMAT);
  }
  assert.equal(codeOf(changed((batch) => batch.writeInt8(3, 16))), KAFKA.CORRUPT_MESSAGE);
});

test('exactly one whole batch is accepted per partition K23', () => {
  const batch = batchOf(['x']);
  assert.equal(codeOf(null), KAFKA.INVALID_RECORD);
  assert.equal(codeOf(Buffer.alloc(0)), KAFKA.INVALID_RECORD);
  assert.equal(codeOf(Buffer.concat([batch, batch])), KAFKA.INVALID_RECORD);
  for (let end = 1; end < batch.length; end++) {
    assert.notEqual(codeOf(batch.subarray(0, end)), KAFKA.NONE, `cut at ${end}`);
  }
});

test('record count and last offset delta must agree and be possible K23', () => {
  assert.equal(codeOf(changed((batch) => batch.writeInt32BE(3, 57))), KAFKA.INVALID_RECORD);
  assert.equal(codeOf(changed((batch) => batch.writeInt32BE(5, 23))), KAFKA.INVALID_RECORD);
  const none = changed((batch) => {
    batch.writeInt32BE(0, 57);
    batch.writeInt32BE(-1, 23);
  });
  assert.equal(codeOf(none), KAFKA.INVALID_RECORD);
  const many = changed((batch) => {
    batch.writeInt32BE(1000, 57);
    batch.writeInt32BE(999, 23);
  });
  assert.equal(codeOf(many), KAFKA.INVALID_RECORD);
});

test('all codecs pass unopened, zstd from version 7 on, unknown ones never K22', () => {
  for (const codec of [0, 1, 2, 3, 4]) {
    assert.equal(codeOf(batchOf(['x'], { attributes: codec })), KAFKA.NONE, `codec ${codec}`);
  }
  assert.equal(codeOf(batchOf(['x'], { attributes: 4 }), 6), KAFKA.UNSUPPORTED_COMPRESSION_TYPE);
  assert.equal(codeOf(batchOf(['x'], { attributes: 5 })), KAFKA.UNSUPPORTED_COMPRESSION_TYPE);
});

test('attributes that belong to the server are refused, transactions need a producer id K23', () => {
  assert.equal(codeOf(batchOf(['x'], { attributes: 0x20 })), KAFKA.INVALID_RECORD);
  assert.equal(codeOf(batchOf(['x'], { attributes: 0x40 })), KAFKA.INVALID_RECORD);
  assert.equal(codeOf(batchOf(['x'], { attributes: 0x10 })), KAFKA.INVALID_RECORD);
  const producer = { producerId: 1, producerEpoch: 0, baseSequence: 0 };
  assert.equal(codeOf(batchOf(['x'], { attributes: 0x10, ...producer })), KAFKA.NONE);
  assert.equal(codeOf(batchOf(['x'], { attributes: 0x08 })), KAFKA.INVALID_TIMESTAMP);
});

test('a timestamp too far ahead is refused, no timestamp and an old one are not K25', () => {
  assert.equal(codeOf(batchOf(['x'], { timestampMs: LATEST_MS + 1 })), KAFKA.INVALID_TIMESTAMP);
  assert.equal(codeOf(batchOf(['x'], { timestampMs: LATEST_MS })), KAFKA.NONE);
  assert.equal(codeOf(batchOf(['x'], { timestampMs: -1 })), KAFKA.NONE);
  assert.equal(codeOf(batchOf(['x'], { timestampMs: -2 })), KAFKA.INVALID_TIMESTAMP);
});

test('a producer id needs an epoch and a sequence K28', () => {
  const partial = batchOf(['x'], { producerId: 1, producerEpoch: 0 });
  assert.equal(codeOf(partial), KAFKA.INVALID_RECORD);
});
