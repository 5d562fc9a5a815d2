/** A whole message as bytes of its own: one record with its envelope, as logs store it. */
import { addressOfText } from '../addresses/address.ts';
import { readEnvelope } from './envelope.ts';
import { Message } from './message.ts';
import { BatchBuilder, readRecords } from './record-batch.ts';

const RECORD_BYTES_MAX = 1 << 30;
/** Never equal to an address, so the record always carries its own. */
const NO_HOME = '\0';

/** Most are put together here: the small bytes that stay need no buffer to grow in. */
const scratch = Buffer.allocUnsafeSlow(16 << 10);

export function messageBytes(message: Message): Buffer {
  const builder = new BatchBuilder(0, scratch);
  builder.add(message, NO_HOME);
  const bytes = builder.finish();
  return bytes.buffer === scratch.buffer ? Buffer.from(bytes) : bytes;
}

/** Another message with the same fields. One by one: that costs a tenth of `Object.assign`. */
export function copyOf(message: Message): Message {
  const copy = new Message(message.address, message.value, message.origin);
  copy.key = message.key;
  copy.headers = message.headers;
  copy.qos = message.qos;
  copy.retain = message.retain;
  copy.text = message.text;
  copy.contentType = message.contentType;
  copy.contentEncoding = message.contentEncoding;
  copy.replyTo = message.replyTo;
  copy.correlation = message.correlation;
  copy.messageId = message.messageId;
  copy.expiresAtMs = message.expiresAtMs;
  copy.timestampMs = message.timestampMs;
  copy.priority = message.priority;
  copy.producer = message.producer;
  copy.principal = message.principal;
  copy.native = message.native;
  copy.source = message.source;
  copy.partition = message.partition;
  copy.offset = message.offset;
  copy.appendTimeMs = message.appendTimeMs;
  return copy;
}

export interface KeptMessage {
  /** Without its principal. */
  readonly message: Message;
  readonly principalId: number;
}

export function messageOfBytes(bytes: Buffer): KeptMessage {
  const record = readRecords(bytes, 0, RECORD_BYTES_MAX)[0]!;
  const message = new Message(addressOfText(''), record.value, 0);
  message.key = record.key;
  message.timestampMs = record.timeMs;
  message.appendTimeMs = record.timeMs;
  return { message, principalId: readEnvelope(message, record.headers) };
}
