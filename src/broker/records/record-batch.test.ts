import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { BrokerError, crc32c, ProtocolError } from '#kit';
import { Address } from '../addresses/address.ts';
import { decompress } from './compression.ts';
import { readEnvelope, readPlainHeaders } from './envelope.ts';
import { type Header, Message, shownHeaders } from './message.ts';
import { BatchBuilder, readRecords } from './record-batch.ts';

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const header = fc.record({
  name: fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom('_b.e', '_b.t.x', '_b.u.y', 'priority'),
  ),
  value: fc.option(bytes),
});
const message = fc
  .record({
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.array(header, { maxLength: 5 }),
    qos: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
    retain: fc.boolean(),
    text: fc.boolean(),
    dotted: fc.boolean(),
    contentType: fc.string({ maxLength: 8 }),
    replyTo: fc.string({ maxLength: 8 }),
    correlation: fc.option(bytes),
    messageId: fc.string({ maxLength: 8 }),
    expiresAtMs: fc.nat(),
    timestampMs: fc.integer({ min: -1 }),
    priority: fc.integer({ min: -1, max: 255 }),
    native: fc.option(bytes),
  })
  .map(({ dotted, ...fields }) =>
    Object.assign(new Message(new Address('a/b', dotted), null, 4), fields),
  );

const FIELDS = [
  'key',
  'value',
  'qos',
  'retain',
  'text',
  'contentType',
  'replyTo',
  'correlation',
  'messageId',
  'expiresAtMs',
  'timestampMs',
  'priority',
  'native',
  'origin',
] as const;

function plain(headers: readonly Header[]): unknown[] {
  return headers.map(({ name, value, type }) => [name, value?.toString('hex') ?? null, type ?? '']);
}

describe('record batches of the server', () => {
  it('give back every field of every message, user headers with any name included X8', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), (messages) => {
        const builder = new BatchBuilder(0);
        for (const one of messages) builder.add(one, 'home');
        const records = readRecords(builder.finish(), 100, 1 << 20);
        assert.equal(records.length, messages.length);
        records.forEach((record, index) => {
          const sent = messages[index]!;
          const read = new Message(new Address('home', false), record.value, 0);
          read.key = record.key;
          read.timestampMs = record.timeMs;
          assert.equal(record.offset, 100 + index);
          assert.ok(readEnvelope(read, record.headers) >= 0);
          for (const field of FIELDS) assert.deepEqual(read[field], sent[field], field);
          assert.deepEqual(plain(read.headers), plain(sent.headers));
          assert.equal(read.address.text, 'a/b');
          assert.equal(read.address.dotted, sent.address.dotted);
        });
      }),
    );
  });

  it('have the checksum and the counts that readers of the format check', () => {
    const builder = new BatchBuilder(0);
    const one = new Message(new Address('a', false), Buffer.from('x'), 1);
    one.timestampMs = 5;
    builder.add(one, 'a');
    const batch = builder.finish();
    assert.equal(batch.readInt32BE(8), batch.length - 12);
    assert.equal(batch[16], 2);
    assert.equal(batch.readUInt32BE(17), crc32c(batch.subarray(21)));
    assert.equal(batch.readInt32BE(23), 0);
    assert.equal(batch.readInt32BE(57), 1);
    assert.equal(batch.readBigInt64BE(43), -1n);
  });

  it('keep the route key apart from a key of the publisher', () => {
    const builder = new BatchBuilder(0);
    builder.add(new Message(new Address('a/b', false), null, 1), 'a', Buffer.from('a/b'));
    const record = readRecords(builder.finish(), 0, 1 << 20)[0]!;
    assert.equal(record.key?.toString(), 'a/b');
    const read = new Message(new Address('a', false), null, 1);
    read.key = record.key;
    readEnvelope(read, record.headers);
    assert.equal(read.key, null);
  });

  it('every truncation is refused or gives fewer records, never a wrong one', () => {
    const builder = new BatchBuilder(0);
    for (let index = 0; index < 3; index++) {
      builder.add(new Message(new Address('a', false), Buffer.from(`value ${index}`), 1), 'a');
    }
    const batch = builder.finish();
    for (let size = 0; size < batch.length; size++) {
      assert.throws(
        () => readRecords(Buffer.from(batch.subarray(0, size)), 0, 1 << 20),
        ProtocolError,
      );
    }
  });
});

describe("a producer's own headers", () => {
  it('of well-known names become fields, once each; _b.* is plain data', () => {
    const read = new Message(new Address('a', false), null, 2);
    readPlainHeaders(read, [
      { name: 'content-type', value: Buffer.from('text/plain') },
      { name: 'content-type', value: Buffer.from('again') },
      { name: '_b.e', value: Buffer.from('mine') },
      { name: 'priority', value: Buffer.from('7') },
    ]);
    assert.equal(read.contentType, 'text/plain');
    assert.equal(read.priority, 7);
    assert.deepEqual(
      read.headers.map((one) => one.name),
      ['content-type', '_b.e'],
    );
  });
});

describe('headers shown to text-only protocols', () => {
  it('never are invalid UTF-8: other bytes come as base64 with a hint X38', () => {
    const read = new Message(new Address('a', false), null, 2);
    read.headers = [
      { name: 'bin', value: Buffer.from([0xff, 0xfe]) },
      { name: 'nul', value: Buffer.from('a\0b') },
      { name: 'n', value: Buffer.from('5'), type: 'amqp:I' },
      { name: 'none', value: null },
    ];
    assert.deepEqual(
      shownHeaders(read).map(({ name, value }) => `${name}=${value}`),
      [
        'bin=//4=',
        '_b.t.bin=base64',
        'nul=YQBi',
        '_b.t.nul=base64',
        'n=5',
        '_b.t.n=amqp:I',
        'none=',
        '_b.t.none=null',
        '_b.null=1',
      ],
    );
  });
});

describe('opening compressed batches', () => {
  const text = Buffer.from('robust '.repeat(5000));
  const xerial = (block: Buffer): Buffer => {
    const head = Buffer.from('82534e4150505900000000010000000100000000', 'hex');
    head.writeInt32BE(block.length, 16);
    return Buffer.concat([head, block]);
  };
  const forms: [string, number, Buffer][] = [
    ['gzip', 1, gzipSync(text)],
    ['snappy', 2, compressSync(text)],
    ['snappy in blocks', 2, xerial(compressSync(text))],
    ['lz4', 3, compressFrameSync(text)],
    ['zstd', 4, zstdCompressSync(text)],
  ];
  for (const [name, codec, packed] of forms) {
    it(`reads ${name} and refuses what would become too large X29`, () => {
      assert.deepEqual(decompress(codec, packed, 1 << 20), text);
      assert.throws(
        () => decompress(codec, packed, 1000),
        (error) => {
          return error instanceof BrokerError && error.code === 'message-too-large';
        },
      );
    });

    it(`answers damaged ${name} with an error, whatever byte is wrong X29`, () => {
      for (let at = 0; at < packed.length; at += Math.ceil(packed.length / 40)) {
        const damaged = Buffer.from(packed);
        damaged[at]! ^= 0x55;
        try {
          decompress(codec, damaged, 1 << 20);
        } catch (error) {
          assert.ok(error instanceof BrokerError, String(error));
        }
        assert.throws(
          () => decompress(codec, Buffer.from(packed.subarray(0, at)), 1 << 20),
          BrokerError,
        );
      }
    });
  }
});
