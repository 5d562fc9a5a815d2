import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import { sample, seeded } from './codec.fixture.ts';
import { Api } from './codec.ts';
import { compileReader, compileWriter } from './compile.ts';
import { MESSAGES } from './messages/index.ts';
import { Reader } from './reader.ts';
import type { MessagePair, Rows } from './rows.ts';
import { Writer } from './writer.ts';

type Side = 'request' | 'response';

function* everyMessage(): Iterable<{ pair: MessagePair; side: Side; version: number }> {
  for (const pair of MESSAGES) {
    for (let version = pair.versions[0]; version <= pair.versions[1]; version++) {
      yield { pair, side: 'request', version };
      yield { pair, side: 'response', version };
    }
  }
}

function encode(api: Api, side: Side, version: number, message: object): Buffer {
  const writer = new Writer();
  api[side].write(writer, version, message as never);
  return Buffer.concat(writer.take());
}

/** Runs a decode that may fail in one way only. */
function decodes(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

test('every message of every version reads back what was written K7', () => {
  const random = seeded(1);
  for (const { pair, side, version } of everyMessage()) {
    const api = new Api(pair);
    for (let round = 0; round < 20; round++) {
      const message = sample(pair[side], version, random);
      const bytes = encode(api, side, version, message);
      const reader = new Reader(bytes);
      const back = api[side].read(reader, version) as object;
      assert.equal(reader.at, bytes.length, `${pair.name} ${side} ${version} is read to its end`);
      assert.partialDeepStrictEqual(back, message, `${pair.name} ${side} ${version}`);
      assert.deepEqual(encode(api, side, version, back), bytes);
    }
  }
});

test('a message inside a larger buffer reads the same', () => {
  const random = seeded(2);
  for (const { pair, side, version } of everyMessage()) {
    const api = new Api(pair);
    const bytes = encode(api, side, version, sample(pair[side], version, random));
    const shifted = Buffer.concat([Buffer.alloc(7, 0xff), bytes, Buffer.alloc(5, 0xff)]);
    const inside = new Reader(shifted, 7, 7 + bytes.length);
    assert.deepEqual(api[side].read(inside, version), api[side].read(new Reader(bytes), version));
  }
});

test('every truncation of a request ends in a ProtocolError K8', () => {
  const random = seeded(3);
  for (const { pair, version } of everyMessage()) {
    const api = new Api(pair);
    const bytes = encode(api, 'request', version, sample(pair.request, version, random));
    for (let end = 0; end < Math.min(bytes.length, 300); end++) {
      const reader = new Reader(bytes.subarray(0, end));
      assert.equal(
        decodes(() => api.readRequest(reader, version)),
        false,
        `${pair.name} ${version} cut at ${end} of ${bytes.length}`,
      );
    }
  }
});

test('every one-byte corruption of a request ends in a value or a ProtocolError K8', () => {
  const random = seeded(4);
  for (const { pair, version } of everyMessage()) {
    const api = new Api(pair);
    const bytes = encode(api, 'request', version, sample(pair.request, version, random));
    for (let at = 0; at < Math.min(bytes.length, 120); at++) {
      for (const value of [0x00, 0x7f, 0x80, 0xff, bytes[at]! ^ 0x01]) {
        const broken = Buffer.from(bytes);
        broken[at] = value;
        decodes(() => api.readRequest(new Reader(broken), version));
      }
    }
  }
});

test('random bytes end in a value or a ProtocolError K8', () => {
  const random = seeded(5);
  for (const { pair, version } of everyMessage()) {
    const api = new Api(pair);
    for (let round = 0; round < 50; round++) {
      const size = Math.floor(random() * 80);
      const bytes = Buffer.from(Array.from({ length: size }, () => Math.floor(random() * 256)));
      decodes(() => api.readRequest(new Reader(bytes), version));
    }
  }
});

test('an array cannot announce more elements than its bytes could hold K8', () => {
  const rows = [{ name: 'names', type: 'array', of: 'string' }] as const satisfies Rows;
  const announced = Buffer.alloc(20);
  announced.writeInt32BE(0x7fffffff);
  assert.throws(() => compileReader(rows, 0, false)(new Reader(announced)), {
    name: 'ProtocolError',
    field: 'names',
  });
  const compact = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1]);
  assert.throws(() => compileReader(rows, 0, true)(new Reader(compact)), ProtocolError);
});

test('a tag count beyond the bytes that are left is refused K8', () => {
  const rows = [] as const satisfies Rows;
  const bytes = Buffer.from([0xff, 0xff, 0x7f, 0, 0]);
  assert.throws(() => compileReader(rows, 0, true)(new Reader(bytes)), ProtocolError);
});

test('unknown tagged fields are skipped at every level K7', () => {
  const rows = [
    { name: 'inner', type: 'array', of: [{ name: 'value', type: 'int8' }] },
  ] as const satisfies Rows;
  // One element: value 5, one unknown tag (9, 2 bytes); then one unknown tag (300, 1 byte) outside.
  const bytes = Buffer.from([2, 5, 1, 9, 2, 0xaa, 0xbb, 1, 0xac, 0x02, 1, 0xcc]);
  const reader = new Reader(bytes);
  assert.deepEqual(compileReader(rows, 0, true)(reader), { inner: [{ value: 5 }] });
  assert.equal(reader.at, bytes.length);
});

test('a known tagged field must fill its size exactly K7', () => {
  const rows = [{ name: 'value', type: 'int16', tag: 0, default: 7 }] as const satisfies Rows;
  const read = compileReader(rows, 0, true);
  assert.deepEqual(read(new Reader(Buffer.from([1, 0, 2, 1, 2]))), { value: 0x0102 });
  assert.deepEqual(read(new Reader(Buffer.from([0]))), { value: 7 });
  assert.throws(() => read(new Reader(Buffer.from([1, 0, 3, 1, 2, 3]))), ProtocolError);
});

test('a tagged field is written only when it differs from its default K7', () => {
  const rows = [
    { name: 'second', type: 'int32', tag: 1, default: -1 },
    { name: 'first', type: 'string', tag: 0, default: '' },
  ] as const satisfies Rows;
  const write = compileWriter(rows, 0, true);
  const bytes = (message: object): number[] => {
    const writer = new Writer();
    write(writer, message);
    return [...Buffer.concat(writer.take())];
  };
  assert.deepEqual(bytes({}), [0]);
  assert.deepEqual(bytes({ second: -1, first: '' }), [0]);
  assert.deepEqual(bytes({ second: 2, first: 'a' }), [2, 0, 2, 2, 0x61, 1, 4, 0, 0, 0, 2]);
});

test('numbers beyond 2^53 become the nearest safe ones', () => {
  const rows = [{ name: 'offset', type: 'int64' }] as const satisfies Rows;
  const read = compileReader(rows, 0, false);
  const of = (hex: string): number => read(new Reader(Buffer.from(hex, 'hex'))).offset;
  assert.equal(of('7fffffffffffffff'), Number.MAX_SAFE_INTEGER);
  assert.equal(of('8000000000000000'), Number.MIN_SAFE_INTEGER);
  assert.equal(of('ffffffffffffffff'), -1);
  assert.equal(of('0000000100000000'), 4294967296);
});

test('strings that are not UTF-8, too long or null where they may not are refused', () => {
  const read = compileReader([{ name: 's', type: 'string' }] as const, 0, true);
  const of = (...bytes: number[]): string => read(new Reader(Buffer.from([...bytes, 0]))).s;
  assert.equal(of(4, 0xef, 0xbf, 0xbd), '\ufffd');
  assert.throws(() => of(3, 0xc3, 0x28), ProtocolError);
  assert.throws(() => of(0), ProtocolError);
  const long = Buffer.concat([
    Buffer.from([0x81, 0x80, 0x02]),
    Buffer.alloc(32768, 0x61),
    Buffer.of(0),
  ]);
  assert.throws(() => read(new Reader(long)), ProtocolError);
});

test('records go out as the chunks that were given, between the bytes around them', () => {
  const rows = [
    { name: 'records', type: 'records', nullable: 0 },
    { name: 'after', type: 'int8' },
  ] as const satisfies Rows;
  const writer = new Writer();
  const batch = Buffer.alloc(4096, 7);
  compileWriter(rows, 0, false)(writer, { records: [batch, batch], after: 3 });
  const chunks = writer.take();
  assert.equal(chunks[1], batch);
  assert.equal(chunks[2], batch);
  const all = Buffer.concat(chunks);
  assert.equal(all.readInt32BE(0), 8192);
  assert.equal(all.length, 4 + 8192 + 1);
  assert.equal(all.at(-1), 3);
});

test('a writer begins a new block in the middle of a frame and still patches its size', () => {
  const writer = new Writer(16);
  for (let round = 0; round < 50; round++) {
    const mark = writer.open();
    for (let index = 0; index < round; index++) writer.int32(index);
    writer.string('x'.repeat(round));
    writer.close(mark);
  }
  const all = Buffer.concat(writer.take());
  let at = 0;
  for (let round = 0; round < 50; round++) {
    assert.equal(all.readInt32BE(at), round * 5 + 2);
    at += 4 + round * 5 + 2;
  }
  assert.equal(at, all.length);
});
