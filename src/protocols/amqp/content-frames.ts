/**
 * Writes a message after its method: content header, body cut to the frame size. The hot way out.
 * Names and properties come packed, as `shown-properties.ts` says: exchange and routing key as two
 * short strings, then property flags and list.
 */
import { FRAME } from './frame-reader.ts';
import { BASIC, methodNamed } from './methods.ts';
import { FRAME_END, FRAME_HEADER_BYTES, FRAME_OVERHEAD_BYTES, type Output } from './output.ts';
import { propertiesAt } from './shown-properties.ts';

const DELIVER = methodNamed('basic.deliver').id;
const GET_OK = methodNamed('basic.get-ok').id;
const RETURN = methodNamed('basic.return').id;
const NOTHING = Buffer.alloc(0);
/** Method ids, delivery tag and flag. */
const DELIVER_BYTES = 13;
/** Class, weight, body size. */
const HEADER_BYTES = 12;
/** Up to this many bytes a loop beats the call that copies. */
const LOOP_BYTES_MAX = 32;

/** Method and content header are put together in one piece, without a call for each field. */
export function writeDeliver(
  output: Output,
  channel: number,
  frameMax: number,
  consumerTag: Buffer,
  deliveryTag: number,
  redelivered: boolean,
  packed: Buffer,
  value: Buffer | null,
): void {
  const namesEnd = propertiesAt(packed);
  const methodBytes = DELIVER_BYTES + consumerTag.length + namesEnd;
  const headerBytes = HEADER_BYTES + packed.length - namesEnd;
  let at = output.reserve(methodBytes + headerBytes + 2 * FRAME_OVERHEAD_BYTES);
  const { block } = output;
  at = putFrame(block, at, FRAME.method, channel, methodBytes);
  at = putLong(block, at, DELIVER);
  at = putBytes(block, at, consumerTag, 0, consumerTag.length);
  at = putLong(block, at, Math.floor(deliveryTag / 0x100000000));
  at = putLong(block, at, deliveryTag >>> 0);
  block[at++] = redelivered ? 1 : 0;
  at = putBytes(block, at, packed, 0, namesEnd);
  block[at++] = FRAME_END;
  at = putFrame(block, at, FRAME.header, channel, headerBytes);
  at = putLong(block, at, BASIC << 16);
  at = putLong(block, at, 0);
  at = putLong(block, at, value === null ? 0 : value.length);
  at = putBytes(block, at, packed, namesEnd, packed.length);
  block[at] = FRAME_END;
  writeBody(output, channel, frameMax, value);
}

export function writeGetOk(
  output: Output,
  channel: number,
  frameMax: number,
  deliveryTag: number,
  redelivered: boolean,
  messageCount: number,
  packed: Buffer,
  value: Buffer | null,
): void {
  output.beginFrame(FRAME.method, channel);
  output.long(GET_OK);
  output.longlong(deliveryTag);
  output.octet(redelivered ? 1 : 0);
  output.bytes(packed.subarray(0, propertiesAt(packed)));
  output.long(messageCount);
  output.endFrame();
  writeContent(output, channel, frameMax, packed, value);
}

export function writeReturn(
  output: Output,
  channel: number,
  frameMax: number,
  replyCode: number,
  replyText: string,
  packed: Buffer,
  value: Buffer | null,
): void {
  output.beginFrame(FRAME.method, channel);
  output.long(RETURN);
  output.short(replyCode);
  output.shortstr(replyText);
  output.bytes(packed.subarray(0, propertiesAt(packed)));
  output.endFrame();
  writeContent(output, channel, frameMax, packed, value);
}

function writeContent(
  output: Output,
  channel: number,
  frameMax: number,
  packed: Buffer,
  value: Buffer | null,
): void {
  output.beginFrame(FRAME.header, channel);
  output.short(BASIC);
  output.short(0);
  output.longlong(value === null ? 0 : value.length);
  output.bytes(packed.subarray(propertiesAt(packed)));
  output.endFrame();
  writeBody(output, channel, frameMax, value);
}

function writeBody(output: Output, channel: number, frameMax: number, value: Buffer | null): void {
  const body = value ?? NOTHING;
  const size = body.length;
  const part = frameMax - FRAME_OVERHEAD_BYTES;
  for (let from = 0; from < size; from += part) {
    output.frame(FRAME.body, channel, body, from, Math.min(size, from + part));
  }
}

/** The beginning of a frame. @returns the position after it */
function putFrame(block: Buffer, at: number, type: number, channel: number, size: number): number {
  block[at] = type;
  block[at + 1] = channel >>> 8;
  block[at + 2] = channel;
  putLong(block, at + 3, size);
  return at + FRAME_HEADER_BYTES;
}

function putLong(block: Buffer, at: number, value: number): number {
  block[at] = value >>> 24;
  block[at + 1] = value >>> 16;
  block[at + 2] = value >>> 8;
  block[at + 3] = value;
  return at + 4;
}

function putBytes(block: Buffer, at: number, source: Buffer, from: number, to: number): number {
  if (to - from > LOOP_BYTES_MAX) return at + source.copy(block, at, from, to);
  for (let index = from; index < to; index++) block[at++] = source[index]!;
  return at;
}
