/**
 * AMQP 0-9-1: frames in any chunks, and what is in them: methods with their tables, content headers
 * with their properties, log-ins.
 */
import assert from 'node:assert/strict';
import { ProtocolError } from '#kit';
import { readContent, withReplyTo } from '../../../src/protocols/amqp/content.ts';
import { AmqpError } from '../../../src/protocols/amqp/errors.ts';
import { FRAME, FrameReader } from '../../../src/protocols/amqp/frame-reader.ts';
import {
  METHODS,
  type MethodName,
  methodNamed,
  readMethod,
  readMethodId,
} from '../../../src/protocols/amqp/methods.ts';
import {
  clientFacts,
  foreignGreeting,
  mayBecomeHeader,
  readLogin,
} from '../../../src/protocols/amqp/negotiation.ts';
import { written } from '../../../src/protocols/amqp/output.ts';
import { parseProperties, propertyBytes } from '../../../src/protocols/amqp/properties.ts';
import { WireReader } from '../../../src/protocols/amqp/wire-reader.ts';
import { refusable, sameForAllCuts, type Target } from '../target.ts';
import { goldenBytes, pieces } from './golden.ts';

const FRAME_MAX = 4096;
const SEED_BYTES = 3000;
const LETTERS = 'tbBsuIilfdDSATFVx';

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

function cut(chunks: readonly Buffer[]): { frames: Frame[]; fault: unknown } {
  const frames: Frame[] = [];
  const reader = new FrameReader(FRAME_MAX, (type, channel, buffer, at, end) => {
    frames.push({ type, channel, payload: Buffer.from(buffer.subarray(at, end)) });
  });
  try {
    for (const chunk of chunks) reader.push(chunk);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames, fault: error.wireCode };
  }
  return { frames, fault: null };
}

const mayRefuse = (error: unknown): boolean =>
  error instanceof ProtocolError || error instanceof AmqpError;

function readMethodFrame(payload: Buffer): void {
  const reader = new WireReader().over(payload, 0, payload.length);
  const method = refusable(() => readMethod(reader, readMethodId(reader)));
  if (method === null) return;
  const { name, fields } = method;
  const codec = methodNamed(name);
  const bytes = written((output) => codec.write(output, fields));
  const again = new WireReader().over(bytes, 0, bytes.length);
  assert.deepStrictEqual(readMethod(again, codec.id), method, `${name} survives its writing`);
  if (name === 'connection.start-ok') {
    const start = fields as { clientProperties: never; mechanism: string; response: Buffer };
    clientFacts(start.clientProperties);
    refusable(() => readLogin(start.mechanism, start.response), mayRefuse);
  }
}

function readHeaderFrame(payload: Buffer): void {
  const bytes = payload.subarray(12);
  const properties = refusable(() => parseProperties(bytes));
  if (properties === null) return;
  const again = parseProperties(propertyBytes(properties));
  assert.deepStrictEqual(again, properties, 'properties survive their writing');
  const content = refusable(() => readContent(bytes), mayRefuse);
  if (content !== null) refusable(() => withReplyTo(content, 'amq.reply'), mayRefuse);
}

function frameOf(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(1, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.of(0xce)]);
}

/** A content header whose table has a value of every type, deep and wide. */
function contentSeed(): Buffer {
  const inner = [
    { name: 'CC', type: 'A' as const, value: [{ type: 'S' as const, value: Buffer.from('k') }] },
    { name: 'd', type: 'D' as const, value: { scale: 2, digits: -314 } },
    { name: 'l', type: 'l' as const, value: -5n },
  ];
  const headers = [...inner, { name: 'f', type: 'F' as const, value: inner }];
  const properties = { headers, correlationId: Buffer.of(1), replyTo: 'r', expiration: '60' };
  return Buffer.concat([Buffer.from([0, 60, 0, 0]), Buffer.alloc(8), propertyBytes(properties)]);
}

export const amqpFrames: Target = {
  name: 'amqp-frames',
  words: [
    ...[...LETTERS].map((letter) => Buffer.from(`\x01n${letter}`)),
    ...Object.values(METHODS).map(({ classId, methodId }) =>
      Buffer.from([classId >> 8, classId & 255, methodId >> 8, methodId & 255]),
    ),
    Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'),
    Buffer.from([0xce, 1, 0, 1]),
    Buffer.from('\x02CCA', 'latin1'),
    Buffer.from('\x03BCCA', 'latin1'),
    Buffer.from('\x00guest\x00guest'),
    Buffer.from('PLAIN'),
    Buffer.from('AMQPLAIN'),
  ],
  *seeds() {
    for (const session of pieces(goldenBytes('amqp', 'session'), SEED_BYTES)) {
      yield session.subarray(8);
    }
    yield frameOf(FRAME.header, contentSeed());
    for (const name of Object.keys(METHODS) as MethodName[]) {
      const ids = Buffer.alloc(4);
      ids.writeUInt32BE(methodNamed(name).id);
      yield frameOf(FRAME.method, Buffer.concat([ids, Buffer.alloc(12)]));
    }
  },
  /** Makes of the whole input one frame with a right length and end. */
  repair(input, dice) {
    return frameOf(dice.pick([1, 1, 2]), input.subarray(7, 7 + FRAME_MAX));
  },
  run(input) {
    const { frames } = sameForAllCuts(input, cut);
    for (const { type, payload } of frames) {
      if (type === FRAME.method) readMethodFrame(payload);
      else if (type === FRAME.header) readHeaderFrame(payload);
    }
    mayBecomeHeader(input.subarray(0, 8));
    foreignGreeting(input);
  },
};
