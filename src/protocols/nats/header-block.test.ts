import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import { NO_RESPONDERS, readHeaderBlock, writeHeaderBlock } from './header-block.ts';

const read = (text: string) => {
  const { status, description, pairs } = readHeaderBlock(Buffer.from(text));
  return { status, description, pairs: pairs.map(({ name, value }) => [name, value.toString()]) };
};

test('names keep their case, repeated names stay, values lose outer white space only N10', () => {
  assert.deepEqual(
    read('NATS/1.0\r\nFoo: a\r\nfoo:b\r\nFoo:  c d \t\r\nEmpty:\r\nURL: http://x:1\r\n\r\n'),
    {
      status: '',
      description: '',
      pairs: [
        ['Foo', 'a'],
        ['foo', 'b'],
        ['Foo', 'c d'],
        ['Empty', ''],
        ['URL', 'http://x:1'],
      ],
    },
  );
});

test('an inline status and its description are read N10', () => {
  assert.deepEqual(read(NO_RESPONDERS.toString()), { status: '503', description: '', pairs: [] });
  assert.deepEqual(read('NATS/1.0 408 Request Timeout\r\nA: 1\r\n\r\n'), {
    status: '408',
    description: 'Request Timeout',
    pairs: [['A', '1']],
  });
});

test('a malformed block is a ProtocolError that names the byte N10', () => {
  for (const text of [
    '',
    'NATS/1.0',
    'NATS/1.0\r\n',
    'NATS/2.0\r\n\r\n',
    'HTTP/1.1\r\n\r\n',
    'NATS/1.0\r\nA\r\n\r\n',
    'NATS/1.0\r\n: x\r\n\r\n',
    'NATS/1.0\r\n folded: x\r\nA: 1',
    'NATS/1.0\r\nA: b\nc: d\r\n\r\n',
    'NATS/1.0\r\nA: b\rc\r\n\r\n',
    'NATS/1.0\nA: b\r\n\r\n',
  ]) {
    assert.throws(() => read(text), ProtocolError, JSON.stringify(text));
  }
});

test('what is written is read back in order N10', () => {
  const pairs = [
    ['a', '1'],
    ['A', ''],
    ['a', 'grün'],
  ] as const;
  assert.deepEqual(read(writeHeaderBlock(pairs).toString()).pairs, pairs);
});

test('every truncation and corruption of a block ends in a value or a ProtocolError N10', () => {
  const block = Buffer.from('NATS/1.0 503 No\r\nFoo: bar\r\nB:\r\n\r\n');
  for (let at = 0; at < block.length; at++) {
    assert.throws(() => readHeaderBlock(block.subarray(0, at)), ProtocolError);
    for (const value of [0, 10, 13, 32, 58, 0xff]) {
      const bad = Buffer.from(block);
      bad[at] = value;
      try {
        readHeaderBlock(bad);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }
  }
});
