import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import { ChunkPool } from './chunk-pool.ts';
import { OK, PING, PONG } from './frames.ts';
import { Outbox } from './outbox.ts';
import { FAULT, Parser } from './parser.ts';

/**
 * The contract of house.md section 4 for this codec: split points, truncations, corruption, fuzz.
 */

const LIMITS = { controlLineBytesMax: 4096, payloadBytesMax: 1 << 20 };
const GOLDEN = new URL('../../../test/golden/nats/', import.meta.url);

type Speaker = 'client' | 'server';

/** A frame as comparable text. */
function shown(parser: Parser): string {
  const words = [];
  for (let word = 0; word < parser.words; word++) words.push(parser.opaque(word));
  const body = parser.body.toString('latin1');
  return JSON.stringify([parser.verb.name, words, parser.headerSize, body]);
}

function readAll(parser: Parser, chunks: readonly Buffer[], frames: string[] = []): string[] {
  for (const chunk of chunks) {
    parser.push(chunk);
    while (parser.next()) frames.push(shown(parser));
  }
  return frames;
}

/** What came out before the stream became unreadable, and why. */
function readSafely(
  speaker: Speaker,
  chunks: readonly Buffer[],
): { frames: string[]; fault: string } {
  const frames: string[] = [];
  try {
    readAll(new Parser(speaker, LIMITS), chunks, frames);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    assert.notEqual(error.field, '');
    return { frames, fault: String(error.wireCode) };
  }
  return { frames, fault: '' };
}

const CLIENT = Buffer.from(
  [
    'CONNECT {"verbose":false,"name":"a b"}\r\n',
    'PING\r\n',
    'SUB foo.* 1\r\n',
    'sub\tfoo  workers \t 22\r\n',
    'PUB foo 5\r\nhello\r\n',
    'Pub foo.bar _INBOX.x.1 0\r\n\r\n',
    'HPUB h 23 26\r\nNATS/1.0\r\nA: 1\r\nB:2\r\n\r\nx\r\n\r\n',
    'HPUB h r 12 12\r\nNATS/1.0\r\n\r\n\r\n',
    'UNSUB 1 5\r\nunsub 22\r\n',
    "PONG\r\n+OK\r\n-ERR 'what'\r\n",
  ].join(''),
);
const SERVER = Buffer.from(
  [
    'INFO {"server_id":"x"} \r\n',
    '+OK\r\nPING\r\nPONG\r\n',
    'MSG foo 1 5\r\nhello\r\n',
    'MSG foo 1 reply 0\r\n\r\n',
    'HMSG foo 1 12 13\r\nNATS/1.0\r\n\r\nx\r\n',
    'HMSG foo 1 reply 12 13\r\nNATS/1.0\r\n\r\nx\r\n',
    "-ERR 'Slow Consumer'\r\n",
  ].join(''),
);

function streams(): [string, Speaker, Buffer][] {
  const golden = readdirSync(GOLDEN).filter((name) => name.endsWith('.bin'));
  return [
    ['all client verbs', 'client', CLIENT],
    ['all server verbs', 'server', SERVER],
    ...golden.map((name): [string, Speaker, Buffer] => [
      name,
      name.includes('server') ? 'server' : 'client',
      readFileSync(new URL(name, GOLDEN)),
    ]),
  ];
}

test('every verb is read with its words, sizes and body N8 N9', () => {
  const frames = readAll(new Parser('client', LIMITS), [CLIENT]).map((frame) => JSON.parse(frame));
  assert.deepEqual(frames, [
    ['CONNECT', ['{"verbose":false,"name":"a b"}'], 0, ''],
    ['PING', [], 0, ''],
    ['SUB', ['foo.*', '1'], 0, ''],
    ['SUB', ['foo', 'workers', '22'], 0, ''],
    ['PUB', ['foo', '5'], 0, 'hello'],
    ['PUB', ['foo.bar', '_INBOX.x.1', '0'], 0, ''],
    ['HPUB', ['h', '23', '26'], 23, 'NATS/1.0\r\nA: 1\r\nB:2\r\n\r\nx\r\n'],
    ['HPUB', ['h', 'r', '12', '12'], 12, 'NATS/1.0\r\n\r\n'],
    ['UNSUB', ['1', '5'], 0, ''],
    ['UNSUB', ['22'], 0, ''],
    ['PONG', [], 0, ''],
    ['+OK', [], 0, ''],
    ['-ERR', ["'what'"], 0, ''],
  ]);
  const messages = readAll(new Parser('server', LIMITS), [SERVER]).map((frame) =>
    JSON.parse(frame),
  );
  assert.deepEqual(messages[6], ['HMSG', ['foo', '1', '12', '13'], 12, 'NATS/1.0\r\n\r\nx']);
  assert.equal(messages.length, 9);
});

test('a stream reads alike whichever byte it is cut at, and byte by byte N8', () => {
  for (const [name, speaker, bytes] of streams()) {
    const whole = readAll(new Parser(speaker, LIMITS), [bytes]);
    assert.ok(whole.length > 0, name);
    const step = Math.max(1, Math.floor(bytes.length / 3000));
    for (let at = 0; at <= bytes.length; at += step) {
      const cut = [bytes.subarray(0, at), bytes.subarray(at)];
      assert.deepEqual(readAll(new Parser(speaker, LIMITS), cut), whole, `${name} cut at ${at}`);
    }
    const single = Array.from(bytes, (byte) => Buffer.of(byte));
    assert.deepEqual(readAll(new Parser(speaker, LIMITS), single), whole, name);
  }
});

test('a frame stays readable while later chunks are pushed N8', () => {
  const parser = new Parser('client', LIMITS);
  parser.push(Buffer.from('PUB a 3\r\nab'));
  assert.equal(parser.next(), false);
  parser.push(Buffer.from('c\r\nPUB b 1\r\nx\r\nPI'));
  assert.equal(parser.next(), true);
  parser.push(Buffer.from('NG\r\n'));
  assert.equal(shown(parser), JSON.stringify(['PUB', ['a', '3'], 0, 'abc']));
  assert.equal(parser.next(), true);
  assert.equal(shown(parser), JSON.stringify(['PUB', ['b', '1'], 0, 'x']));
  assert.equal(parser.next(), true);
  assert.equal(parser.verb.name, 'PING');
  assert.equal(parser.next(), false);
});

test('a line that is the one before it is known again, and only then N8 N9', () => {
  const block = 'NATS/1.0\r\n\r\n';
  const frames = [
    ['PUB a.b 3', 'one', false],
    ['PUB a.b 3', 'two', true],
    ['PUB a.b 3', '\r\nP', true],
    ['PUB a.b 4', 'four', false],
    ['PUB a.c 4', 'five', false],
    ['PUB a.c  4', 'five', false],
    ['pub a.c  4', 'five', false],
    ['pub a.c  4', 'five', true],
    ['PUB a.b re 0', '', false],
    ['PUB a.b re 0', '', true],
    [`HPUB a 12 13`, `${block}x`, false],
    [`HPUB a 12 13`, `${block}y`, true],
    [`HPUB a 12 13`, `${block}z`, true],
    ['PING', null, false],
    ['HPUB a 12 13', `${block}z`, false],
  ] as const;

  const texts = frames.map(([line, body]) => `${line}\r\n${body === null ? '' : `${body}\r\n`}`);
  const bytes = Buffer.from(texts.join(''));
  const parser = new Parser('client', LIMITS);
  parser.push(bytes);
  for (const [line, body, repeated] of frames) {
    assert.ok(parser.next());
    assert.equal(parser.repeated, repeated, `${line} ${body}`);
    assert.equal(parser.body.toString(), body ?? '');
    assert.equal(parser.payload.toString(), (body ?? '').slice(parser.headerSize));
    const words = line.split(/ +/).slice(1);
    assert.deepEqual(
      words.map((_, word) => parser.text(word)),
      words,
    );
  }
  // Whatever is cut out of the stream, the frames are those of a parser that sees each line alone.
  const alone = texts.flatMap((text) => readAll(new Parser('client', LIMITS), [Buffer.from(text)]));
  for (let from = 0; from <= bytes.length; from++) {
    for (let to = from; to <= bytes.length; to++) {
      const chunks = [bytes.subarray(0, from), bytes.subarray(from, to), bytes.subarray(to)];
      assert.deepEqual(readAll(new Parser('client', LIMITS), chunks), alone, `${from} ${to}`);
    }
  }
});

test('a repeated line does not make up for a body that is too long or a frame that is cut N8 N11', () => {
  const line = 'PUB a 2\r\n';
  for (const [rest, frames, fault] of [
    ['ab\r\n', 2, ''],
    ['abc\r\n', 1, String(FAULT.parser)],
    ['ab\r', 1, ''],
    ['ab', 1, ''],
    ['', 1, ''],
  ] as const) {
    const read = readSafely('client', [Buffer.from(`${line}xy\r\n${line}${rest}`)]);
    assert.deepEqual([read.frames.length, read.fault], [frames, fault], JSON.stringify(rest));
  }
});

test('every truncation gives the frames that are whole, and asks for more N8', () => {
  for (const [name, speaker, bytes] of streams()) {
    const whole = readAll(new Parser(speaker, LIMITS), [bytes]);
    const step = Math.max(1, Math.floor(bytes.length / 3000));
    for (let at = 0; at < bytes.length; at += step) {
      const { frames, fault } = readSafely(speaker, [bytes.subarray(0, at)]);
      assert.equal(fault, '', `${name} truncated at ${at}`);
      assert.deepEqual(frames, whole.slice(0, frames.length));
    }
  }
});

test('every one-byte corruption ends in frames or in a ProtocolError N8', () => {
  for (const [, speaker, bytes] of streams()) {
    for (let at = 0; at < Math.min(bytes.length, 250); at++) {
      for (const value of [0, 10, 13, 32, 57, 0x7f, 0xff, bytes[at]! ^ 0x20]) {
        const bad = Buffer.from(bytes);
        bad[at] = value;
        const whole = readSafely(speaker, [bad]);
        const halves = readSafely(speaker, [bad.subarray(0, at), bad.subarray(at)]);
        assert.deepEqual(halves, whole, `byte ${at} set to ${value}`);
      }
    }
  }
});

test('a stream with a byteOffset reads like any other N8', () => {
  const padded = Buffer.concat([Buffer.from('xyz'), CLIENT]).subarray(3);
  assert.deepEqual(
    readAll(new Parser('client', LIMITS), [padded]),
    readAll(new Parser('client', LIMITS), [CLIENT]),
  );
});

/** xorshift32: the same bytes in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

test('seeded random streams never escape as another error, and cuts do not matter N8', () => {
  const random = seeded(0x5eed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const pieces = [
    'PUB ',
    'HPUB ',
    'SUB ',
    'UNSUB ',
    'PING',
    'CONNECT ',
    '{}',
    'a.b',
    ' ',
    '\t',
    '7',
  ]
    .concat([
      '\r\n',
      '\n',
      '\r',
      '0',
      '12',
      'NATS/1.0\r\n\r\n',
      '999999999',
      '\0',
      'é',
      '-ERR',
      'x',
    ])
    .map((piece) => Buffer.from(piece));
  for (let run = 0; run < 3000; run++) {
    const parts = Array.from({ length: 1 + Math.floor(random() * 30) }, () => pick(pieces));
    const bytes = Buffer.concat(parts);
    const at = Math.floor(random() * bytes.length);
    const cut = readSafely('client', [bytes.subarray(0, at), bytes.subarray(at)]);
    assert.deepEqual(cut, readSafely('client', [bytes]), JSON.stringify(bytes.toString()));
  }
});

function faultOf(text: string, limits = LIMITS): number | undefined {
  const parser = new Parser('client', limits);
  try {
    parser.push(Buffer.from(text));
    while (parser.next());
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    return error.wireCode;
  }
  return undefined;
}

test('each kind of unreadable stream is told apart N11', () => {
  assert.equal(faultOf('FOO\r\n'), FAULT.operation);
  assert.equal(faultOf('\r\n'), FAULT.operation);
  assert.equal(faultOf('CONNECX {}\r\n'), FAULT.operation);
  assert.equal(faultOf('MSG a 1 0\r\n\r\n'), FAULT.operation);
  assert.equal(faultOf('GET / HTTP/1.1\r\n'), FAULT.operation);
  assert.equal(faultOf('ABCDEFGHIJ'), FAULT.operation);
  assert.equal(faultOf('PUB foo\r\n'), FAULT.parser);
  assert.equal(faultOf('PUB a b c 1\r\n'), FAULT.parser);
  assert.equal(faultOf('PUB foo x\r\n'), FAULT.parser);
  assert.equal(faultOf('PUB foo -1\r\n'), FAULT.parser);
  assert.equal(faultOf('PUB foo 2\r\nabc\r\n'), FAULT.parser);
  assert.equal(faultOf('HPUB foo 5 4\r\n'), FAULT.parser);
  assert.equal(faultOf('CONNECT\r\n'), FAULT.parser);
});

test('a stream of another protocol is told at its first bytes, without a line end N8 O31', () => {
  for (const bytes of [
    '\x10\x0e\0\x04MQTT',
    'AMQP\0\0\x09\x01',
    '\0\0\0\x10',
    '\x16\x03\x01',
    ' ',
    'GE',
    'PUBX',
  ]) {
    assert.equal(faultOf(bytes), FAULT.operation, JSON.stringify(bytes));
  }
  for (const bytes of ['P', 'hp', 'PUB', 'PUB ', 'CONNECT {', '+O', '-ERR ']) {
    assert.equal(faultOf(bytes), undefined, bytes);
  }
});

test('a payload above max_payload is refused by its size alone, headers included N12', () => {
  const limits = { ...LIMITS, payloadBytesMax: 16 };
  assert.equal(faultOf('PUB a 16\r\n0123456789abcdef\r\n', limits), undefined);
  assert.equal(faultOf('PUB a 17\r\n', limits), FAULT.payload);
  assert.equal(faultOf('HPUB a 12 17\r\n', limits), FAULT.payload);
});

test('a control line above the limit is refused, whole or still without an end N12', () => {
  const fits = `SUB ${'a'.repeat(4092)} 1`;
  assert.equal(faultOf(`${fits}\r\n`), undefined);
  assert.equal(faultOf(`SUB ${'a'.repeat(5000)} 1\r\n`), FAULT.controlLine);
  assert.equal(faultOf(`SUB ${'a'.repeat(5000)}`), FAULT.controlLine);
  const { fault } = readSafely(
    'client',
    Array.from(Buffer.from(`SUB ${'a'.repeat(5000)}`), (b) => Buffer.of(b)),
  );
  assert.equal(fault, String(FAULT.controlLine));
});

/** A pipe that keeps what it is given. */
function collector(pendingBytes = 0): {
  pipe: { write(c: Uint8Array): boolean; pendingBytes: number };
  chunks: Buffer[];
} {
  const chunks: Buffer[] = [];
  const pipe = {
    pendingBytes,
    write(chunk: Uint8Array): boolean {
      chunks.push(Buffer.from(chunk));
      return true;
    },
  };
  return { pipe, chunks };
}

const NONE = Buffer.alloc(0);

test('what the outbox writes is read back as it was, small and large, and leaves as one chunk N9', () => {
  const { pipe, chunks } = collector();
  let asked = 0;
  const outbox = new Outbox(pipe, new ChunkPool(), () => asked++);
  outbox.control(OK);
  outbox.message(Buffer.from('MSG a 1 '), NONE, NONE, Buffer.from('hello'));
  outbox.message(Buffer.from('MSG a 1 '), Buffer.from('re.ply'), NONE, NONE);
  outbox.message(Buffer.from('MSG a 1 '), NONE, Buffer.from('NATS/1.0\r\n\r\n'), Buffer.from('x'));
  outbox.control(PING);
  assert.equal(chunks.length, 0);
  outbox.flush();
  assert.equal(chunks.length, 1);
  assert.equal(asked, 1);
  assert.equal(
    chunks[0]!.toString(),
    '+OK\r\nMSG a 1 5\r\nhello\r\nMSG a 1 re.ply 0\r\n\r\nHMSG a 1 12 13\r\nNATS/1.0\r\n\r\nx\r\nPING\r\n',
  );
});

test('messages of all sizes keep their order and bytes across chunk borders N9 N21', () => {
  const { pipe, chunks } = collector();
  const outbox = new Outbox(pipe, new ChunkPool(), () => {});
  const random = seeded(7);
  const bodies: Buffer[] = [];
  const head = Buffer.from('MSG subject sid ');
  const long = Buffer.from(`MSG ${'l'.repeat(70_000)} 1 `);
  for (let index = 0; index < 2000; index++) {
    const size = [0, 1, 9, 31, 33, 99, 100, 999, 1000, 16_000, 17_000, 70_000][
      Math.floor(random() * 12)
    ]!;
    const body = Buffer.alloc(size, index % 251);
    bodies.push(body);
    outbox.message(
      index % 500 === 499 ? long : head,
      NONE,
      index % 3 === 0 ? Buffer.from('NATS/1.0\r\n\r\n') : NONE,
      body,
    );
    if (index % 97 === 0) {
      outbox.flush();
      outbox.reclaim();
    }
    if (index % 41 === 0) outbox.control(PONG);
  }
  outbox.flush();
  const parser = new Parser('server', { controlLineBytesMax: 100_000, payloadBytesMax: 1 << 20 });
  let next = 0;
  for (const chunk of chunks) {
    parser.push(chunk);
    while (parser.next()) {
      if (parser.verb.name === 'PONG') continue;
      assert.ok(parser.body.subarray(parser.headerSize).equals(bodies[next]!), `message ${next}`);
      next++;
    }
  }
  assert.equal(next, bodies.length);
});

test('a chunk is not written again before the kernel has taken it N15', () => {
  const { pipe, chunks } = collector();
  const views: Uint8Array[] = [];
  const keep = {
    get pendingBytes() {
      return pipe.pendingBytes;
    },
    write(chunk: Uint8Array): boolean {
      views.push(chunk);
      return pipe.write(chunk);
    },
  };
  const pool = new ChunkPool();
  const outbox = new Outbox(keep, pool, () => {});
  const body = Buffer.alloc(16_000, 1);
  for (let turn = 0; turn < 20; turn++) {
    pipe.pendingBytes = turn % 2;
    for (let index = 0; index < 8; index++) {
      outbox.message(Buffer.from('MSG a 1 '), NONE, NONE, body.fill(turn));
    }
    outbox.flush();
    outbox.reclaim();
    if (turn % 2 === 0) {
      views.length = 0;
      chunks.length = 0;
      continue;
    }
    // These had not left: what the pipe was given must still be what it was.
    for (const [index, view] of views.entries()) assert.ok(chunks[index]!.equals(view));
  }
});
