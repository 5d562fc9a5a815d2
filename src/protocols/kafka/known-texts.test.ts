import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import { seeded } from './codec.fixture.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

function read(text: Buffer): string {
  const size = Buffer.alloc(2);
  size.writeInt16BE(text.length);
  return new Reader(Buffer.concat([size, text])).string('text');
}

test('texts read as they were written, however often and in whatever order they come K8', () => {
  const random = seeded(5);
  const letters = 'ab.é日😀';
  for (let round = 0; round < 20_000; round++) {
    let text = '';
    for (let left = Math.floor(random() * 5); left > 0; left--) {
      text += [...letters][Math.floor(random() * 6)]!;
    }
    assert.equal(read(Buffer.from(text)), text);
  }
});

test('bytes that are not UTF-8 are refused each time, also after a text of their size K8', () => {
  const broken = Buffer.from([0x61, 0xff, 0x62]);
  for (let round = 0; round < 3; round++) {
    assert.throws(() => read(broken), ProtocolError);
    assert.equal(read(Buffer.from('abc')), 'abc');
  }
});

test('the bytes of a text may change after it was read', () => {
  const frame = Buffer.from('\0\u0003abc');
  const text = new Reader(frame).string('text');
  frame.write('xyz', 2);
  assert.equal(text, 'abc');
  assert.equal(new Reader(frame).string('text'), 'xyz');
});

test('texts of any length and alphabet are written as UTF-8 with their size', () => {
  for (const text of ['', 'topic', 'é', 'abcé', 'x'.repeat(64), 'x'.repeat(65), '日'.repeat(40)]) {
    const writer = new Writer(32);
    writer.int16(7);
    writer.string(text);
    writer.int32(-2);
    writer.int64(-(2 ** 33) - 5);
    const reader = new Reader(Buffer.concat(writer.take()));
    assert.equal(reader.int16('before'), 7);
    assert.equal(reader.string('text'), text);
    assert.equal(reader.int32('after'), -2);
    assert.equal(reader.int64('last'), -(2 ** 33) - 5);
    assert.equal(reader.at, reader.end);
  }
});
