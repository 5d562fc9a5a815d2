/** The parts of the generators that count: a wrong count is a wrong figure. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfirmCounter } from './amqp-client.ts';
import { crc32c } from './crc32c.ts';
import { recordBatch } from './kafka-client.ts';
import { walkValues } from './kafka-records.ts';
import { PacketScanner, publishPacket } from './mqtt-client.ts';
import { inCycle, numbered } from './payload.ts';
import { ringOf } from './pump.ts';

test('confirmed delivery tags count once, single, multiple, and in any order', () => {
  const counter = new ConfirmCounter();
  assert.equal(counter.confirm(1, false), 1);
  assert.equal(counter.confirm(3, false), 1);
  assert.equal(counter.confirm(5, true), 3, 'tags 2, 4 and 5; 3 was counted before');
  assert.equal(counter.confirm(6, false), 1);
  assert.equal(counter.confirm(9, true), 3);
});

test('CRC-32C gives the check value of its catalogue entry', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
});

test('a record batch announces its length and its count', () => {
  const batch = recordBatch(3, (i) => numbered(i, 16));
  assert.equal(batch.readInt32BE(8), batch.length - 12);
  assert.equal(batch.readInt32BE(57), 3);
  assert.equal(batch.readInt32BE(17) >>> 0, crc32c(batch.subarray(21)));
});

test('packets are found at every split of the bytes', () => {
  const small = publishPacket('a', Buffer.alloc(4), 0);
  const large = publishPacket('a/b', Buffer.alloc(300), 7);
  const bytes = Buffer.concat([small, large, small]);
  for (let split = 0; split <= bytes.length; split++) {
    const found: number[] = [];
    const packet = (_first: number, _bytes: Buffer, start: number, end: number) => {
      found.push(end - start);
    };
    const scanner = new PacketScanner({ packet, drained() {} });
    const taken = scanner.scan(bytes, split);
    const rest = bytes.subarray(taken);
    assert.equal(scanner.scan(rest, rest.length), rest.length);
    assert.deepEqual(found, [7, 307, 7], `split at ${split}`);
  }
});

test('a ring refuses frames of different lengths', () => {
  assert.throws(() => ringOf(2, (i) => Buffer.alloc(1 + i)), /differ in length/);
});

test('values of fetched records are found from the asked offset on', () => {
  const batch = recordBatch(5, (i) => numbered(i, 200));
  const second = Buffer.from(batch);
  second.writeBigInt64BE(5n);
  const bytes = Buffer.concat([batch, second, batch.subarray(0, 40)]);
  const seen: number[] = [];
  const value = (from: Buffer, start: number, end: number) => {
    assert.deepEqual(from.subarray(start, end), numbered(from.readUInt32BE(start), 200));
    seen.push(from.readUInt32BE(start));
  };
  assert.equal(walkValues(bytes, 0, bytes.length, 3, value), 10);
  assert.deepEqual(seen, [3, 4, 0, 1, 2, 3, 4]);
});

test('payloads out of order are noticed', () => {
  const compare = inCycle(16, 2);
  const give = (n: number) => compare(numbered(n, 16), 0, 16);
  give(0);
  give(1);
  give(0);
  assert.throws(() => give(0), /payload 3 differs/);
});
