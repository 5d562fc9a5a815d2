import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '#kit';
import { writeInt64 } from '../int64.ts';
import { isSealed, repairBit } from '../recovery/repair.ts';
import { dataBatch, factsOf, seededRandom } from '../storage.fixture.ts';
import {
  decodeHeader,
  ENTRY_ALIGN,
  encodeHeader,
  encodeTrailer,
  entryBytes,
  entryFault,
  HEADER_BYTES,
  TRAILER_BYTES,
} from './entry-codec.ts';
import { BATCH, CONTROL, ROW_BYTES, readBatch, writeControl, writeRow } from './row-codec.ts';

const LOG = 3 * 2 ** 40 + 7;

/** A whole entry with a data batch, a state batch and a control row. */
function sampleEntry(): Buffer {
  const data = dataBatch('hello', 40);
  writeInt64(data, BATCH.baseOffset, 12);
  data.writeInt32BE(0, BATCH.leaderEpoch);
  const state = Buffer.from('some state');
  const rows = Buffer.alloc(3 * ROW_BYTES);
  const producer = { producerId: 5, producerEpoch: 2, baseSequence: 9, attributes: 4 };
  writeRow(rows, 0, LOG, 12, 0, data, factsOf({ count: 3, ...producer }), 1_700_000_000_000);
  const stateFacts = factsOf({ kind: 'state', count: 2, maxTimestampMs: -1 });
  writeRow(rows, ROW_BYTES, 9, 0, data.length, state, stateFacts, 1_700_000_000_001);
  writeControl(rows, 2 * ROW_BYTES, 9, CONTROL.trim, 1);
  const bodyBytes = data.length + state.length;
  const bytes = Buffer.alloc(entryBytes(3, bodyBytes));
  const header = encodeHeader({
    flags: 0,
    writer: 1,
    generation: 4,
    rowCount: 3,
    sequence: 2 ** 33 + 1,
    timeMs: 1_700_000_000_002,
    entryBytes: bytes.length,
    indexCrc: crc32c(rows),
    bodyBytes,
  });
  const at = HEADER_BYTES + rows.length;
  header.copy(bytes, 0);
  rows.copy(bytes, HEADER_BYTES);
  data.copy(bytes, at);
  state.copy(bytes, at + data.length);
  encodeTrailer(header).copy(bytes, bytes.length - TRAILER_BYTES);
  return bytes;
}

test('an entry is a whole number of sectors and reads back as it was written', () => {
  const bytes = sampleEntry();
  assert.equal(bytes.length % ENTRY_ALIGN, 0);
  assert.equal(entryFault(bytes), null);
  const header = decodeHeader(bytes);
  assert.equal(header?.sequence, 2 ** 33 + 1);
  assert.equal(header?.generation, 4);
  const rows = bytes.subarray(HEADER_BYTES, HEADER_BYTES + 3 * ROW_BYTES);
  const first = readBatch(rows, 0, Buffer.alloc(0));
  assert.equal(first.baseOffset, 12);
  assert.equal(first.appendTimeMs, 1_700_000_000_000);
  const { producerId, producerEpoch, baseSequence, attributes, count } = first;
  assert.deepEqual([producerId, producerEpoch, baseSequence, attributes, count], [5, 2, 9, 4, 3]);
  const second = readBatch(rows, ROW_BYTES, Buffer.alloc(0));
  assert.deepEqual([second.kind, second.maxTimestampMs, second.producerId], ['state', -1, -1]);
});

test('an entry at a byte offset inside a larger buffer reads alike', () => {
  const bytes = sampleEntry();
  const shifted = Buffer.concat([Buffer.alloc(13, 7), bytes]).subarray(13);
  assert.equal(entryFault(shifted), null);
});

test('every truncation of an entry is detected R34', () => {
  const bytes = sampleEntry();
  for (let length = 0; length < bytes.length; length++) {
    assert.notEqual(entryFault(bytes.subarray(0, length)), null, `cut to ${length}`);
  }
});

test('every flipped bit of an entry is detected R34', () => {
  const bytes = sampleEntry();
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      bytes[at]! ^= 1 << bit;
      assert.notEqual(entryFault(bytes), null, `byte ${at} bit ${bit}`);
      bytes[at]! ^= 1 << bit;
    }
  }
});

test('random bytes are never taken for an entry, and never throw', () => {
  const random = seededRandom(4);
  const bytes = sampleEntry();
  for (let run = 0; run < 500; run++) {
    const noise = run % 2 === 0 ? random.bytes(600) : Buffer.from(bytes);
    for (let hit = 0; hit < 3; hit++) noise[Math.floor(random.next() * noise.length)]! ^= 0x5a;
    if (noise.equals(bytes)) continue;
    assert.notEqual(entryFault(noise), null);
  }
});

test('one flipped bit of an index record is found and put right', () => {
  const rows = sampleEntry().subarray(HEADER_BYTES, HEADER_BYTES + ROW_BYTES);
  const original = Buffer.from(rows);
  for (let at = 0; at < rows.length; at++) {
    rows[at]! ^= 1 << (at % 8);
    assert.equal(isSealed(rows), false);
    assert.equal(repairBit(rows), true);
    assert.deepEqual(rows, original);
  }
  rows.fill(0x77, 20, 40);
  const broken = Buffer.from(rows);
  assert.equal(repairBit(rows), false);
  assert.deepEqual(rows, broken);
});

test('times beyond the safe integers are clamped, not refused', () => {
  const rows = Buffer.alloc(ROW_BYTES);
  const facts = factsOf({ maxTimestampMs: 2 ** 63 });
  writeRow(rows, 0, 1, 0, 0, dataBatch('x'), facts, 0);
  assert.equal(readBatch(rows, 0, Buffer.alloc(0)).maxTimestampMs, Number.MAX_SAFE_INTEGER);
});
