/**
 * NATS: control lines and bodies of clients and servers in any chunks, header blocks, the JSON of
 * CONNECT, and a message's way into the broker's form and back.
 */
import assert from 'node:assert/strict';
import { addressOfText, Message, originOf } from '#broker';
import { ProtocolError } from '#kit';
import { readConnect } from '../../../src/protocols/nats/connect-options.ts';
import { readHeaderBlock, writeHeaderBlock } from '../../../src/protocols/nats/header-block.ts';
import { readHeaders, writeHeaders } from '../../../src/protocols/nats/message-headers.ts';
import { Parser } from '../../../src/protocols/nats/parser.ts';
import { isReservedReply, subjectKind } from '../../../src/protocols/nats/subject.ts';
import { refusable, sameForAllCuts, type Target } from '../target.ts';
import { goldenBytes, pieces } from './golden.ts';

const LIMITS = { controlLineBytesMax: 512, payloadBytesMax: 64 << 10 };
const NOW_MS = 1_700_000_000_000;
const NATS = originOf('nats');
type Speaker = 'client' | 'server';
const SPEAKERS: readonly Speaker[] = ['client', 'server'];

const WORDS = [
  'CONNECT {}\r\n',
  '{"verbose":true,"protocol":1,"headers":true,"no_responders":true}',
  'PUB a 5\r\nhello\r\n',
  'HPUB a 22 24\r\nNATS/1.0\r\nA: b\r\n\r\nxx\r\n',
  'SUB a.* q 1\r\n',
  'UNSUB 1 5\r\n',
  'MSG a 1 r 0\r\n\r\n',
  'NATS/1.0',
  'NATS/1.0 503\r\n\r\n',
  '\r\n',
  'Nats-TTL: 1h2m\r\n',
  'Nats-Msg-Id: x\r\n',
  'Timestamp: 12\r\n',
  'Kafka-Key: k\r\n',
  '_b.t.a: base64\r\n',
  '_b.null: 1\r\n',
  '%00',
  '%3A',
  '_INBOX.x.',
  '>',
  '\t',
];

interface Frame {
  readonly verb: string;
  readonly words: readonly string[];
  readonly headers: Buffer;
  readonly payload: Buffer;
}

function cut(speaker: Speaker, chunks: readonly Buffer[]): { frames: Frame[]; fault: unknown } {
  const parser = new Parser(speaker, LIMITS);
  const frames: Frame[] = [];
  try {
    for (const chunk of chunks) {
      parser.push(chunk);
      while (parser.next()) {
        const words = Array.from({ length: parser.words }, (_, word) => parser.opaque(word));
        const { headerBlock, payload } = parser;
        frames.push({
          verb: parser.verb.name,
          words,
          headers: Buffer.from(headerBlock),
          payload: Buffer.from(payload),
        });
        for (let word = 0; word < parser.words; word++) {
          subjectKind(parser.line, parser.from(word), parser.to(word));
          isReservedReply(parser.line, parser.from(word), parser.to(word));
        }
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames, fault: error.wireCode };
  }
  return { frames, fault: null };
}

/** The frames written in their plainest form are the same frames. */
function checkRoundTrip(speaker: Speaker, frames: readonly Frame[]): void {
  const parts = frames.flatMap(({ verb, words, headers, payload }) => {
    const line = Buffer.from(`${[verb, ...words].join(' ')}\r\n`, 'latin1');
    const hasBody = /^(H?PUB|H?MSG)$/.test(verb);
    return hasBody ? [line, headers, payload, Buffer.from('\r\n')] : [line];
  });
  const again = cut(speaker, [Buffer.concat(parts)]);
  assert.deepStrictEqual(again, { frames, fault: null });
}

function checkHeaders(block: Buffer): void {
  const read = refusable(() => readHeaderBlock(block));
  if (read === null) return;
  const message = new Message(addressOfText('a'), Buffer.alloc(0), NATS);
  readHeaders(message, block, NOW_MS);
  const written = writeHeaders(message, NOW_MS);
  if (written === null) return;
  const again = new Message(addressOfText('a'), Buffer.alloc(0), NATS);
  readHeaders(again, written, NOW_MS);
  const fields = ({ native, ...rest }: Message): object => ({ ...rest });
  assert.deepStrictEqual(fields(again), fields(message), 'headers survive their own writing');
  // What every client could read: names without control characters or colons, no bare line ends.
  const { pairs } = readHeaderBlock(written);
  const texts = pairs.map(({ name, value }) => [name, value.toString()] as const);
  assert.deepEqual(readHeaderBlock(writeHeaderBlock(texts)).pairs.length, pairs.length);
}

export const natsFrames: Target = {
  name: 'nats-frames',
  words: WORDS.map((word) => Buffer.from(word)),
  *seeds() {
    for (const [index, speaker] of SPEAKERS.entries()) {
      for (const bytes of pieces(goldenBytes('nats', speaker), 3000)) {
        yield Buffer.concat([Buffer.of(index), bytes]);
      }
      for (const word of WORDS) yield Buffer.concat([Buffer.of(index), Buffer.from(word)]);
    }
  },
  run(input) {
    const speaker = SPEAKERS[(input[0] ?? 0) & 1]!;
    const { frames, fault } = sameForAllCuts(input.subarray(1), (chunks) => cut(speaker, chunks));
    if (fault === null) checkRoundTrip(speaker, frames);
    for (const { verb, words, headers } of frames) {
      if (headers.length > 0) checkHeaders(headers);
      if (verb === 'CONNECT') {
        refusable(() => readConnect(Buffer.from(words[0] ?? '', 'latin1').toString()));
      }
    }
  },
};
