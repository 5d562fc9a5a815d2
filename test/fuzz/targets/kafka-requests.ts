/** Kafka: framing in any chunks, request headers, and every request of every version. */
import assert from 'node:assert/strict';
import { ProtocolError } from '#kit';
import { sample, seeded } from '../../../src/protocols/kafka/codec.fixture.ts';
import {
  type Api,
  apiByKey,
  readHeaderRest,
  readHeaderStart,
} from '../../../src/protocols/kafka/codec.ts';
import { Framing } from '../../../src/protocols/kafka/framing.ts';
import { MESSAGES } from '../../../src/protocols/kafka/messages/index.ts';
import { Reader } from '../../../src/protocols/kafka/reader.ts';
import { Writer } from '../../../src/protocols/kafka/writer.ts';
import { sameForAllCuts, type Target } from '../target.ts';
import { goldenFrames } from './golden.ts';

const LIMIT = 1 << 20;
const KEYS = MESSAGES.map(({ key }) => key);

function frame(bytes: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function requestFrame(api: Api, version: number, body: object): Buffer {
  const head = Buffer.from([0, api.pair.key, 0, version, 0, 0, 0, 1, 0, 1, 0x78]);
  const writer = new Writer();
  if (version >= api.pair.flexible) writer.unsigned(0);
  api.request.write(writer, version, body as never);
  return frame(Buffer.concat([head, ...writer.take()]));
}

interface Read {
  readonly frames: Buffer[];
  readonly fault: boolean;
}

function cut(chunks: readonly Buffer[]): Read {
  const framing = new Framing(LIMIT);
  const frames: Buffer[] = [];
  try {
    for (const chunk of chunks) {
      framing.push(chunk);
      for (let next = framing.next(); next !== null; next = framing.next()) {
        frames.push(Buffer.from(next));
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames, fault: true };
  }
  return { frames, fault: false };
}

function readRequest(bytes: Buffer): void {
  const reader = new Reader(bytes);
  try {
    const header = readHeaderStart(reader);
    const api = apiByKey(header.apiKey);
    if (api === undefined || !api.supports(header.apiVersion)) return;
    readHeaderRest(reader, header, header.apiVersion >= api.pair.flexible);
    checkRoundTrip(api, header.apiVersion, api.readRequest(reader, header.apiVersion));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.notEqual(error.field, '', 'a fault names its field');
  }
}

function checkRoundTrip(api: Api, version: number, message: object): void {
  const writer = new Writer();
  api.request.write(writer, version, message as never);
  const reader = new Reader(Buffer.concat(writer.take()));
  assert.deepStrictEqual(api.readRequest(reader, version), message);
  assert.equal(reader.at, reader.end, 'what was written is read to its end');
}

export const kafkaRequests: Target = {
  name: 'kafka-requests',
  words: [
    ...KEYS.map((key) => Buffer.from([0, key])),
    Buffer.from([0, 0, 0, 0]),
    Buffer.from([0xff, 0xff]),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0x7f, 0xff, 0xff, 0xff]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([1, 0, 1, 0]),
    Buffer.from('topic'),
  ],
  *seeds() {
    const random = seeded(1);
    for (const { request } of goldenFrames()) {
      if (request.length < 8000) yield frame(Buffer.from(request, 'hex'));
    }
    for (const pair of MESSAGES) {
      const api = apiByKey(pair.key)!;
      for (let version = pair.versions[0]; version <= pair.versions[1]; version++) {
        yield requestFrame(api, version, sample(pair.request, version, random));
      }
    }
  },
  /** Makes the first frame as long as the input. */
  repair(input) {
    if (input.length < 4) return input;
    const whole = Buffer.from(input);
    whole.writeInt32BE(whole.length - 4);
    return whole;
  },
  run(input) {
    const { frames } = sameForAllCuts(input, cut);
    for (const bytes of frames) readRequest(bytes);
  },
};
