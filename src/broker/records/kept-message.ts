/** A whole message as bytes of its own: one record with its envelope, as logs store it. */
import { addressOfText } from '../addresses/address.ts';
import { readEnvelope } from './envelope.ts';
import { Message } from './message.ts';
import { BatchBuilder, readRecords } from './record-batch.ts';

const RECORD_BYTES_MAX = 1 << 30;
/** Never equal to an address, so the record always carries its own. */
const NO_HOME = '\0';

export function messageBytes(message: Message): Buffer {
  const builder = new BatchBuilder(0);
  builder.add(message, NO_HOME);
  return builder.finish();
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
