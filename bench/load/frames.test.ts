/** The parts of the generators that count: a wrong count is a wrong figure. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfirmCounter } from './amqp-client.ts';
import { crc32c } from './crc32c.ts';
import { recordBatch } from './kafka-client.ts';
import { PacketScanner, publishPacket } from './mqtt-client.ts';
import { numbered } from './payload.ts';
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
