import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEY_BYTES, KeyOffsets } from './key-offsets.ts';

const MIB = 2 ** 20;

test('each key has its last offset, short and long keys, empty ones and prefixes of others K40', () => {
  const table = new KeyOffsets(10_000, MIB, 12345);
  const known = new Map<string, number>();
  const keyOf = (n: number): Buffer => Buffer.alloc(n % 40, `${n % 3000} `);
  for (let offset = 0; offset < 20_000; offset++) {
    table.put(keyOf(offset), offset);
    known.set(keyOf(offset).toString(), offset);
  }
  for (const [key, offset] of known) assert.equal(table.get(Buffer.from(key)), offset);
  assert.equal(table.get(Buffer.from('never put')), -1);
  assert.equal(table.get(Buffer.from('never put, and longer than that')), -1);
});

test('zero bytes at the end of a key count K40', () => {
  const table = new KeyOffsets(10, MIB, 1);
  const keys = [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(2), Buffer.alloc(15)];
  keys.push(Buffer.alloc(16), Buffer.alloc(17));
  for (const [offset, key] of keys.entries()) table.put(key, offset);
  for (const [offset, key] of keys.entries()) assert.equal(table.get(key), offset);
});

test('a table takes no more than its bytes, and says how much room is left K40', () => {
  const table = new KeyOffsets(1e9, MIB, 7);
  const { room } = table;
  assert.ok(room * KEY_BYTES <= MIB && room * KEY_BYTES > MIB / 4, `${room} keys`);
  for (let n = 0; n < room; n++) table.put(Buffer.from(`key ${n}`), n);
  assert.equal(table.room, 0);
  table.put(Buffer.from('key 3'), 1e12);
  assert.equal(table.room, 0, 'a known key takes no room');
  assert.equal(table.get(Buffer.from('key 3')), 1e12);
  assert.equal(table.get(Buffer.from('key x')), -1);
});
