/**
 * Writes a message after its method: content header, body cut to the frame size. The hot way out.
 */
import { FRAME } from './frame-reader.ts';
import { BASIC, methodNamed } from './methods.ts';
import { FRAME_OVERHEAD_BYTES, type Output } from './output.ts';

const DELIVER = methodNamed('basic.deliver').id;
const GET_OK = methodNamed('basic.get-ok').id;
const RETURN = methodNamed('basic.return').id;
const NOTHING = Buffer.alloc(0);

/** What is written behind every delivery. */
export interface Written {
  /** Exchange and routing key as two short strings. */
  readonly names: Buffer;
  /** Property flags and list. */
  readonly properties: Buffer;
  readonly value: Buffer | null;
}

export function writeDeliver(
  output: Output,
  channel: number,
  frameMax: number,
  consumerTag: Buffer,
  deliveryTag: number,
  redelivered: boolean,
  written: Written,
): void {
  output.beginFrame(FRAME.method, channel);
  output.long(DELIVER);
  output.bytes(consumerTag);
  output.longlong(deliveryTag);
  output.octet(redelivered ? 1 : 0);
  output.bytes(written.names);
  output.endFrame();
  writeContent(output, channel, frameMax, written);
}

export function writeGetOk(
  output: Output,
  channel: number,
  frameMax: number,
  deliveryTag: number,
  redelivered: boolean,
  messageCount: number,
  written: Written,
): void {
  output.beginFrame(FRAME.method, channel);
  output.long(GET_OK);
  output.longlong(deliveryTag);
  output.octet(redelivered ? 1 : 0);
  output.bytes(written.names);
  output.long(messageCount);
  output.endFrame();
  writeContent(output, channel, frameMax, written);
}

export function writeReturn(
  output: Output,
  channel: number,
  frameMax: number,
  replyCode: number,
  replyText: string,
  written: Written,
): void {
  output.beginFrame(FRAME.method, channel);
  output.long(RETURN);
  output.short(replyCode);
  output.shortstr(replyText);
  output.bytes(written.names);
  output.endFrame();
  writeContent(output, channel, frameMax, written);
}

function writeContent(
  output: Output,
  channel: number,
  frameMax: number,
  { properties, value }: Written,
): void {
  const body = value ?? NOTHING;
  const size = body.length;
  output.beginFrame(FRAME.header, channel);
  output.short(BASIC);
  output.short(0);
  output.longlong(size);
  output.bytes(properties);
  output.endFrame();
  const part = frameMax - FRAME_OVERHEAD_BYTES;
  for (let from = 0; from < size; from += part) {
    output.frame(FRAME.body, channel, body, from, Math.min(size, from + part));
  }
}
