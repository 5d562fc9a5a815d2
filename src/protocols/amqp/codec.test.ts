import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import {
  type FieldLetter,
  readTable,
  type Table,
  type TableEntry,
  writeTable,
} from './field-table.ts';
import { FRAME, FrameReader } from './frame-reader.ts';
import {
  type Fields,
  METHODS,
  type MethodName,
  methodNamed,
  readMethod,
  writeMethod,
} from './methods.ts';
import { Output, shortText, written } from './output.ts';
import { type Properties, parseProperties, propertyBytes } from './properties.ts';
import { WireReader } from './wire-reader.ts';

const text = Buffer.from;

/** One value of every type letter, with tables and arrays inside each other. */
const EVERY_TYPE: Table = [
  { name: 't', type: 't', value: true },
  { name: 'b', type: 'b', value: -128 },
  { name: 'B', type: 'B', value: 255 },
  { name: 's', type: 's', value: -32768 },
  { name: 'u', type: 'u', value: 65535 },
  { name: 'I', type: 'I', value: -2147483648 },
  { name: 'i', type: 'i', value: 4294967295 },
  { name: 'l', type: 'l', value: -9007199254740993n },
  { name: 'f', type: 'f', value: 0.5 },
  { name: 'd', type: 'd', value: Math.PI },
  { name: 'D', type: 'D', value: { scale: 2, digits: -314 } },
  { name: 'S', type: 'S', value: text('grün') },
  {
    name: 'A',
    type: 'A',
    value: [
      { type: 'S', value: text('a') },
      { type: 'V', value: null },
    ],
  },
  { name: 'T', type: 'T', value: 18446744073709551615n },
  { name: 'F', type: 'F', value: [{ name: 'in', type: 'A', value: [{ type: 'F', value: [] }] }] },
  { name: 'V', type: 'V', value: null },
  { name: 'x', type: 'x', value: Buffer.of(0, 255) },
];

const SAMPLES = {
  octet: 7,
  short: 65534,
  long: 4294967294,
  longlong: 2 ** 53 - 1,
  shortstr: 'näme',
  longstr: text('long'),
  table: EVERY_TYPE,
} as const;

function sample(name: MethodName, flip: number): Fields<MethodName> {
  const values: Record<string, unknown> = {};
  let bit = flip;
  for (const [field, kind] of Object.entries(METHODS[name].fields)) {
    values[field] = kind === 'bit' ? bit++ % 2 === 0 : SAMPLES[kind];
  }
  return values as unknown as Fields<MethodName>;
}

function payloadOf(name: MethodName, fields: Fields<MethodName>): Buffer {
  return written((output) => methodNamed(name).write(output, fields));
}

function decode(name: MethodName, bytes: Buffer): Fields<MethodName> {
  const reader = new WireReader().over(bytes, 0, bytes.length);
  return readMethod(reader, methodNamed(name).id).fields as Fields<MethodName>;
}

/** True when reading ended in a value or in a ProtocolError; anything else is thrown on. */
function survives(read: () => unknown): boolean {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  return true;
}

test('every method is read back as it was written, with either value of each bit A2', () => {
  for (const name of Object.keys(METHODS) as MethodName[]) {
    for (const flip of [0, 1]) {
      const fields = sample(name, flip);
      assert.deepEqual({ ...decode(name, payloadOf(name, fields)) }, fields, name);
    }
  }
});

test('class and method ids are those of the specification and RabbitMQ', () => {
  const ids = {
    'connection.start': [10, 10],
    'connection.update-secret-ok': [10, 71],
    'channel.close-ok': [20, 41],
    'access.request-ok': [30, 11],
    'exchange.unbind-ok': [40, 51],
    'queue.unbind-ok': [50, 51],
    'basic.recover-async': [60, 100],
    'basic.nack': [60, 120],
    'confirm.select-ok': [85, 11],
    'tx.rollback-ok': [90, 31],
  } as const;
  for (const [name, [classId, methodId]] of Object.entries(ids)) {
    assert.equal(methodNamed(name as MethodName).id, classId * 65536 + methodId, name);
  }
});

test('a queue.declare has the bytes that the specification gives it', () => {
  const bytes = payloadOf('queue.declare', {
    ticket: 0,
    queue: 'q',
    passive: false,
    durable: true,
    exclusive: false,
    autoDelete: true,
    noWait: false,
    arguments: [{ name: 'x', type: 'I', value: 1 }],
  });
  assert.equal(bytes.toString('hex'), '000001710a00000007017849' + '00000001');
});

test('field tables keep every type letter, sign and order A3', () => {
  const bytes = written((output) => writeTable(output, EVERY_TYPE));
  assert.deepEqual(readTable(new WireReader().over(bytes, 0, bytes.length), 'table'), EVERY_TYPE);
});

test('a table nested without end is refused and does not exhaust the stack A3', () => {
  let inner = Buffer.alloc(0);
  for (let depth = 0; depth < 200; depth++) {
    const head = Buffer.alloc(7);
    head.writeUInt8(1, 0);
    head.write('nF', 1);
    head.writeUInt32BE(inner.length, 3);
    inner = Buffer.concat([head, inner]);
  }
  const size = Buffer.alloc(4);
  size.writeUInt32BE(inner.length);
  const bytes = Buffer.concat([size, inner]);
  const reader = new WireReader().over(bytes, 0, bytes.length);
  assert.throws(() => readTable(reader, 'table'), /nested too deeply/);
});

test('a short string with broken UTF-8 is read without a crash A3', () => {
  const bytes = Buffer.of(2, 0xc3, 0x28);
  assert.equal(new WireReader().over(bytes, 0, 3).shortstr('name'), '\ufffd(');
});

const ALL_PROPERTIES: Properties = {
  contentType: 'text/plain',
  contentEncoding: 'gzip',
  headers: EVERY_TYPE,
  deliveryMode: 2,
  priority: 9,
  correlationId: Buffer.of(0xff, 0),
  replyTo: 'reply',
  expiration: '1000',
  messageId: 'id',
  timestamp: 1_700_000_000,
  type: 'kind',
  userId: 'guest',
  appId: 'app',
  clusterId: 'c',
};

test('all fourteen properties, and each one alone, survive a round trip A29', () => {
  assert.deepEqual(parseProperties(propertyBytes(ALL_PROPERTIES)), ALL_PROPERTIES);
  for (const name of Object.keys(ALL_PROPERTIES) as (keyof Properties)[]) {
    const one = { [name]: ALL_PROPERTIES[name] };
    assert.deepEqual(parseProperties(propertyBytes(one)), one);
  }
  assert.deepEqual(propertyBytes({}), Buffer.of(0, 0));
});

test('a second word of property flags is read, and refused when it names a property A29', () => {
  assert.deepEqual(parseProperties(Buffer.of(0, 1, 0, 0)), {});
  assert.throws(() => parseProperties(Buffer.of(0, 1, 0x80, 0)), ProtocolError);
});

interface Seen {
  readonly type: number;
  readonly channel: number;
  readonly payload: string;
}

function frames(frameMax = 131072): { reader: FrameReader; seen: Seen[] } {
  const seen: Seen[] = [];
  const reader = new FrameReader(frameMax, (type, channel, buffer, at, end) => {
    seen.push({ type, channel, payload: buffer.toString('latin1', at, end) });
  });
  return { reader, seen };
}

function stream(): Buffer {
  const chunks: Buffer[] = [];
  const output = new Output((chunk) => chunks.push(chunk));
  writeMethod(output, 1, 'basic.publish', sample('basic.publish', 0) as Fields<'basic.publish'>);
  output.frame(FRAME.header, 1, text('header'), 0, 6);
  output.frame(FRAME.body, 1, Buffer.alloc(9000, 'b'), 0, 9000);
  output.frame(FRAME.heartbeat, 0, Buffer.alloc(0), 0, 0);
  output.frame(FRAME.body, 65535, text('end'), 1, 3);
  output.flush();
  return Buffer.concat(chunks);
}

test('frames are the same at every split point, and cut one by one A2', () => {
  const bytes = stream();
  const whole = frames();
  whole.reader.push(bytes);
  assert.equal(whole.seen.length, 5);
  assert.deepEqual(whole.seen[4], { type: FRAME.body, channel: 65535, payload: 'nd' });
  for (let cut = 0; cut <= bytes.length; cut += cut < 300 || cut > 8900 ? 1 : 97) {
    const { reader, seen } = frames();
    reader.push(bytes.subarray(0, cut));
    assert.ok(seen.length < 5 || cut === bytes.length, 'a prefix is not complete');
    reader.push(bytes.subarray(cut));
    assert.deepEqual(seen, whole.seen);
  }
  const single = frames();
  for (let at = 0; at < bytes.length; at++) single.reader.push(bytes.subarray(at, at + 1));
  assert.deepEqual(single.seen, whole.seen);
});

test('a reader that is held keeps what comes and goes on in order', () => {
  const bytes = stream();
  const seen: number[] = [];
  const reader = new FrameReader(131072, (type) => {
    seen.push(type);
    reader.hold();
  });
  reader.push(bytes);
  reader.push(bytes);
  assert.deepEqual(seen, [1]);
  while (reader.waitingBytes > 0) reader.release();
  assert.deepEqual(seen, [1, 2, 3, 8, 3, 1, 2, 3, 8, 3]);
});

test('a wrong end octet, frame type or size ends in a frame error 501 A2', () => {
  const bad = [
    Buffer.of(1, 0, 0, 0, 0, 0, 0, 0xcd),
    Buffer.of(4, 0, 0, 0, 0, 0, 0, 0xce),
    Buffer.of(1, 0, 0, 0, 0, 0x10, 1, 0xce),
  ];
  for (const bytes of bad) {
    const is501 = (error: unknown) => error instanceof ProtocolError && error.wireCode === 501;
    assert.throws(() => frames(4096).reader.push(bytes), is501);
  }
  const fits = frames(4096);
  fits.reader.push(written((output) => output.frame(3, 1, Buffer.alloc(4096), 0, 4096)));
  assert.equal(fits.seen.length, 1);
});

test('every truncation and corruption of a method ends in a value or a ProtocolError', () => {
  const names: MethodName[] = [
    'connection.start',
    'queue.declare',
    'basic.consume',
    'basic.deliver',
  ];
  for (const name of names) {
    const bytes = payloadOf(name, sample(name, 0));
    for (let size = 0; size < bytes.length; size++) {
      assert.throws(() => decode(name, bytes.subarray(0, size)), ProtocolError);
    }
    for (let at = 0; at < bytes.length; at++) {
      for (const change of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
        const bent = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
        bent[at] = change;
        assert.ok(survives(() => decode(name, bent)));
      }
    }
  }
});

/** A small generator with a fixed seed, so that a failure can be run again. */
function randomNumbers(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

test('random bytes never crash the readers of methods, properties and frames', () => {
  const next = randomNumbers(20261121);
  const names = Object.keys(METHODS) as MethodName[];
  const letters = 'tbBsuIildfDSATFVx\0\x01\x02' as const;
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.alloc(Math.floor(next() * 40));
    for (let at = 0; at < bytes.length; at++) {
      const pick = next();
      bytes[at] =
        pick < 0.5
          ? Math.floor(next() * 4)
          : pick < 0.7
            ? letters.charCodeAt(Math.floor(next() * letters.length))
            : Math.floor(next() * 256);
    }
    assert.ok(survives(() => decode(names[round % names.length]!, bytes)));
    assert.ok(survives(() => parseProperties(bytes)));
    assert.ok(survives(() => frames().reader.push(bytes)));
  }
});

test('unknown methods are command-invalid, bytes after the last field a syntax error A14', () => {
  const code = (error: unknown) => (error as ProtocolError).wireCode;
  const reader = new WireReader().over(Buffer.of(1), 0, 1);
  assert.throws(
    () => readMethod(reader, 999 * 65536),
    (error) => code(error) === 503,
  );
  assert.throws(
    () => decode('tx.select', Buffer.of(1)),
    (error) => code(error) === 502,
  );
});

test('long texts are cut for a short string at the border of a character', () => {
  assert.equal(shortText('a'.repeat(300)), 'a'.repeat(255));
  assert.equal(shortText('ä'.repeat(200)), 'ä'.repeat(127));
  assert.equal(shortText(`a${'ä'.repeat(200)}`), `a${'ä'.repeat(127)}`);
  assert.equal(shortText('😀'.repeat(80)), '😀'.repeat(63));
});

test('an entry of an unknown type names its letter', () => {
  const entry: TableEntry = { name: 'a', type: 'Z' as FieldLetter, value: null };
  const bytes = Buffer.from([0, 0, 0, 3, 1, 0x61, entry.type.charCodeAt(0)]);
  const reader = new WireReader().over(bytes, 0, bytes.length);
  assert.throws(() => readTable(reader, 'headers'), /headers at byte 6: unknown field type "Z"/);
});
