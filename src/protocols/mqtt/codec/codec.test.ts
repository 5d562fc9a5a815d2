import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '#kit';
import { bytesOf, decodeAll, FIXTURES } from './codec.fixture.ts';
import type { Version } from './index.ts';

for (const fixture of FIXTURES) {
  test(`${fixture.name}: bytes and object are each other's form M10`, () => {
    assert.deepEqual(decodeAll([bytesOf(fixture)], fixture.version), [fixture.value]);
    assert.equal(fixture.encode().toString('hex'), bytesOf(fixture).toString('hex'));
  });

  test(`${fixture.name}: every split point gives the same packet M7`, () => {
    const bytes = bytesOf(fixture);
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      assert.deepEqual(
        decodeAll(chunks.slice(0, 1), fixture.version).length,
        at < bytes.length ? 0 : 1,
      );
      assert.deepEqual(decodeAll(chunks, fixture.version), [fixture.value]);
    }
    const single = [...bytes].map((byte) => Buffer.of(byte));
    assert.deepEqual(decodeAll(single, fixture.version), [fixture.value]);
  });

  test(`${fixture.name}: every truncation and one-byte corruption ends in a value or a ProtocolError`, () => {
    const bytes = bytesOf(fixture);
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xc0, 0xed, 0xff, bytes[at]! ^ 1]) {
        const corrupt = Buffer.from(bytes);
        corrupt[at] = value;
        survives(corrupt, fixture.version);
      }
      const cut = Buffer.from(bytes.subarray(0, at));
      if (cut.length > 1) cut[1] = Math.max(0, cut.length - 2);
      survives(cut, fixture.version);
    }
  });
}

function survives(bytes: Buffer, version: Version): void {
  try {
    decodeAll([bytes], version);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.equal(typeof error.wireCode, 'number');
  }
}

test('all packets in one chunk that starts inside a larger buffer decode alike M7', () => {
  for (const version of [4, 5] as const) {
    const own = FIXTURES.filter((fixture) => fixture.version === version);
    const all = Buffer.concat(own.map(bytesOf));
    const holder = Buffer.alloc(all.length + 64, 0xee);
    all.copy(holder, 13);
    const chunk = holder.subarray(13, 13 + all.length);
    const values = own.map((fixture) => fixture.value);
    assert.deepEqual(decodeAll([chunk], version), values);
    for (let at = 1; at < all.length; at += 3) {
      const chunks = [chunk.subarray(0, at), chunk.subarray(at)];
      assert.deepEqual(decodeAll(chunks, version), values);
    }
  }
});

test('any bytes in any chunks end in packets or a ProtocolError', () => {
  const anyChunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
  const versions = fc.constantFrom<Version>(3, 4, 5);
  const property = fc.property(anyChunks, versions, (chunks, version) => {
    try {
      decodeAll(
        chunks.map((chunk) => Buffer.from(chunk)),
        version,
      );
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  });
  fc.assert(property, { seed: 20_260_101, numRuns: 3000 });
});

test('any mutation of valid packets ends in packets or a ProtocolError', () => {
  const mutation = fc.record({
    fixture: fc.constantFrom(...FIXTURES),
    at: fc.nat(60),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 3 }),
  });
  const property = fc.property(mutation, ({ fixture, at, bytes }) => {
    const mutated = Buffer.from(bytesOf(fixture));
    mutated.set(bytes.subarray(0, Math.max(0, mutated.length - at)), Math.min(at, mutated.length));
    survives(mutated, fixture.version);
  });
  fc.assert(property, { seed: 20_260_102, numRuns: 3000 });
});
