import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME, FrameReader } from './frame-reader.ts';
import { Output } from './output.ts';

const BODY = 100;

/** Frames whose bodies are their numbers, repeated. */
function frames(count: number): Buffer {
  const chunks: Buffer[] = [];
  const output = new Output((chunk) => chunks.push(chunk));
  for (let n = 0; n < count; n++) {
    output.frame(FRAME.body, 1, Buffer.alloc(BODY, n), 0, BODY);
  }
  output.flush();
  return Buffer.concat(chunks);
}

/** Reads chunks. @returns numbers of the frames, and the memory that each was read from */
function read(chunks: readonly Buffer[]): { numbers: number[]; memory: ArrayBufferLike[] } {
  const numbers: number[] = [];
  const memory: ArrayBufferLike[] = [];
  const reader = new FrameReader(4096, (_type, _channel, buffer, at, end) => {
    assert.equal(end - at, BODY);
    assert.ok(buffer.subarray(at, end).equals(Buffer.alloc(BODY, buffer[at]!)));
    numbers.push(buffer[at]!);
    memory.push(buffer.buffer);
  });
  for (const chunk of chunks) reader.push(chunk);
  assert.equal(reader.waitingBytes, 0);
  return { numbers, memory };
}

test('of chunks that cut frames only the frames that are cut are copied A2', () => {
  const bytes = frames(30);
  const cuts = [0, 1000, 1003, 2000, bytes.length];
  const chunks = cuts.slice(1).map((to, index) => {
    const chunk = Buffer.allocUnsafeSlow(to - cuts[index]!);
    bytes.copy(chunk, 0, cuts[index], to);
    return chunk;
  });
  const { numbers, memory } = read(chunks);
  assert.deepEqual(
    numbers,
    Array.from({ length: 30 }, (_, n) => n),
  );
  const own = new Set<ArrayBufferLike>(chunks.map(({ buffer }) => buffer));
  assert.equal(memory.filter((buffer) => !own.has(buffer)).length, 2);
});

test('frames come whole whatever the size of the chunks A2', () => {
  const bytes = frames(12);
  for (let size = 1; size <= 250; size++) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    assert.deepEqual(
      read(chunks).numbers,
      Array.from({ length: 12 }, (_, n) => n),
    );
  }
});
