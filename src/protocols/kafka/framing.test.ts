import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import { seeded } from './codec.fixture.ts';
import { Framing } from './framing.ts';

function frameOf(body: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

function drain(framing: Framing): Buffer[] {
  const frames: Buffer[] = [];
  for (let frame = framing.next(); frame !== null; frame = framing.next()) frames.push(frame);
  return frames;
}

const BODIES = [Buffer.from('first'), Buffer.alloc(0), Buffer.alloc(300, 1), Buffer.from('last')];
const STREAM = Buffer.concat(BODIES.map(frameOf));

test('frames come out whole at every split point K1', () => {
  for (let split = 0; split <= STREAM.length; split++) {
    const framing = new Framing(1000);
    framing.push(STREAM.subarray(0, split));
    const before = drain(framing);
    framing.push(STREAM.subarray(split));
    assert.deepEqual([...before, ...drain(framing)], BODIES, `split at ${split}`);
  }
});

test('frames come out whole byte by byte, and in chunks pushed before they are asked for K1', () => {
  const slow = new Framing(1000);
  const frames: Buffer[] = [];
  for (const byte of STREAM) {
    slow.push(Buffer.of(byte));
    frames.push(...drain(slow));
  }
  assert.deepEqual(frames, BODIES);
  const random = seeded(9);
  for (let round = 0; round < 200; round++) {
    const framing = new Framing(1000);
    for (let at = 0; at < STREAM.length; ) {
      const size = 1 + Math.floor(random() * 40);
      framing.push(STREAM.subarray(at, at + size));
      at += size;
    }
    assert.deepEqual(drain(framing), BODIES);
  }
});

test('a frame of several mebibytes is gathered from many chunks', () => {
  const body = Buffer.alloc(5 << 20, 42);
  const framing = new Framing(8 << 20);
  const bytes = frameOf(body);
  for (let at = 0; at < bytes.length; at += 65_536) framing.push(bytes.subarray(at, at + 65_536));
  const frame = framing.next();
  assert.ok(frame?.equals(body));
  assert.equal(framing.next(), null);
});

test('frames of any sizes after each other are gathered whole, however they are cut K1', () => {
  const random = seeded(11);
  for (let round = 0; round < 20; round++) {
    const framing = new Framing(1 << 20);
    const bodies = Array.from({ length: 8 }, (_, index) => {
      return Buffer.alloc(Math.floor(random() ** 3 * 600_000), index);
    });
    const stream = Buffer.concat(bodies.map(frameOf));
    const frames: Buffer[] = [];
    for (let at = 0; at < stream.length; ) {
      const size = 1 + Math.floor(random() * 100_000);
      framing.push(stream.subarray(at, at + size));
      frames.push(...drain(framing));
      at += size;
    }
    assert.deepEqual(frames, bodies);
  }
});

test('a size above the limit or below zero is refused as soon as it is known K1', () => {
  for (const hex of ['000003e9', 'ffffffff', '7fffffff']) {
    const whole = new Framing(1000);
    whole.push(Buffer.from(hex, 'hex'));
    assert.throws(() => whole.next(), ProtocolError);
    const split = new Framing(1000);
    split.push(Buffer.from(hex.slice(0, 2), 'hex'));
    assert.equal(split.next(), null);
    split.push(Buffer.from(hex.slice(2), 'hex'));
    assert.throws(() => split.next(), ProtocolError);
  }
});
