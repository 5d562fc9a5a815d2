import assert from 'node:assert/strict';
import { it } from 'node:test';
import { keptBytes } from './kept-bytes.ts';

it('bytes that stay are a piece of nothing larger', () => {
  const chunk = Buffer.from('a name and very much more');
  const kept = keptBytes(chunk.subarray(2, 6));
  chunk.fill(0);
  assert.equal(kept.toString(), 'name');
  assert.equal(kept.buffer.byteLength, 4);
  assert.equal(keptBytes(kept), kept);
  assert.equal(keptBytes(new Uint8Array([1, 2])).length, 2);
});
