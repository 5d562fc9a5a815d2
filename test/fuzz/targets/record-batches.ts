/**
 * Record batches as a Kafka producer may send them: the check of their header, their records in all
 * compressions, and how records become messages and are stored again.
 */
import assert from 'node:assert/strict';
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { addressOfText, Message, originOf } from '#broker';
import { BrokerError, crc32c, ProtocolError } from '#kit';
import { readEnvelope, readPlainHeaders } from '../../../src/broker/records/envelope.ts';
import {
  BatchBuilder,
  readRecords,
  type StoredRecord,
} from '../../../src/broker/records/record-batch.ts';
import { batchFault, batchFields } from '../../../src/protocols/kafka/batch.ts';
import type { Dice } from '../dice.ts';
import { refusable, type Target } from '../target.ts';

const HEADER_BYTES = 61;
const OPENED_MAX = 256 << 10;
const KAFKA = originOf('kafka');
const PRODUCE_VERSION = 9;
const LATEST_MS = 4e12;

/** What a decoder of stored records may answer with. */
const mayRefuse = (error: unknown): boolean =>
  error instanceof ProtocolError ||
  (error instanceof BrokerError && error.code === 'message-too-large');

function sampleMessages(): Message[] {
  const plain = new Message(addressOfText('a/b'), Buffer.from('value'), KAFKA);
  const rich = new Message(addressOfText('a/c'), Buffer.from('v'), originOf('mqtt'));
  Object.assign(rich, { qos: 2, retain: true, text: true, contentType: 'text/plain' });
  Object.assign(rich, { replyTo: 'r/s', correlation: Buffer.of(1, 2), messageId: 'm1' });
  Object.assign(rich, { expiresAtMs: 1e12, timestampMs: 999, priority: 4, producer: 'p' });
  rich.key = Buffer.from('key');
  rich.native = Buffer.of(9);
  rich.headers = [
    { name: 'h', value: Buffer.from('1'), type: 'amqp:I' },
    { name: '_b.x', value: null },
    { name: 'h', value: Buffer.of(255) },
  ];
  const none = new Message(addressOfText('a'), null, KAFKA);
  return [plain, rich, none];
}

function packed(messages: readonly Message[]): Buffer {
  const builder = new BatchBuilder(0);
  for (const message of messages) builder.add(message, 'home');
  return builder.finish();
}

/** The same batch with its records in another compression. */
function compressed(batch: Buffer, codec: number): Buffer {
  const records = batch.subarray(HEADER_BYTES);
  const body = [
    () => records,
    () => gzipSync(records),
    () => compressSync(records),
    () => compressFrameSync(records),
    () => zstdCompressSync(records),
    () => xerial(records),
  ][codec]!();
  const changed = Buffer.concat([batch.subarray(0, HEADER_BYTES), body]);
  changed.writeInt16BE(codec === 5 ? 2 : codec, 21);
  return sealed(changed);
}

function xerial(records: Buffer): Buffer {
  const block = compressSync(records);
  const size = Buffer.alloc(4);
  size.writeInt32BE(block.length);
  const head = Buffer.from('82534e41505059000000000100000001', 'hex');
  return Buffer.concat([head, size, block, size, block]);
}

/** With the length and the checksum that its bytes ask for. */
function sealed(batch: Buffer): Buffer {
  if (batch.length < HEADER_BYTES) return batch;
  batch.writeInt32BE(batch.length - 12, 8);
  batch[16] = 2;
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function messageOf(record: StoredRecord, serverPacked: boolean): Message {
  const message = new Message(addressOfText('home'), record.value, KAFKA);
  message.key = record.key;
  message.timestampMs = record.timeMs;
  const packedByServer = serverPacked && readEnvelope(message, record.headers) !== -1;
  if (!packedByServer) readPlainHeaders(message, record.headers);
  return message;
}

/** Messages that were read, stored by the server and read again, are the same messages. */
function checkRoundTrip(records: readonly StoredRecord[], serverPacked: boolean): void {
  const messages = records.map((record) => messageOf(record, serverPacked));
  const again = readRecords(packed(messages), 0, Number.MAX_SAFE_INTEGER);
  for (const [index, record] of again.entries()) {
    const { appendTimeMs, ...expected } = { ...messages[index]! };
    const { appendTimeMs: _, ...actual } = { ...messageOf(record, true) };
    assert.deepStrictEqual(actual, expected, 'a message survives being stored');
  }
}

function checkOffsets(batch: Buffer, records: readonly StoredRecord[]): void {
  const last = batch.readInt32BE(23);
  let before = -1;
  for (const { offset } of records) {
    assert.ok(offset > before && offset <= last, `offset ${offset} lies in the batch`);
    before = offset;
  }
}

export const recordBatches: Target = {
  name: 'record-batches',
  words: [
    Buffer.from('08_b.e12', 'latin1'),
    Buffer.from('\x08_b.e\x12\x01\x01\x00\x00\x00\x00\x00\x00\x01', 'latin1'),
    Buffer.from('\x0c_b.t.h', 'latin1'),
    Buffer.from('\x0c_b.u.h', 'latin1'),
    Buffer.from('\x18content-type\x02a', 'latin1'),
    Buffer.from('\x1ccorrelation-id\x02a', 'latin1'),
    Buffer.from('\x14expires-at\x025', 'latin1'),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.from('82534e4150505900', 'hex'),
    Buffer.from('04224d18', 'hex'),
    Buffer.from('28b52ffd', 'hex'),
    Buffer.from('1f8b0800', 'hex'),
    deflateRawSync(Buffer.alloc(1 << 16)),
  ],
  *seeds() {
    const batch = packed(sampleMessages());
    const zeros = Buffer.concat([batch, Buffer.alloc(1 << 20)]);
    for (let codec = 0; codec <= 5; codec++) {
      yield compressed(batch, codec);
      // A bomb: it opens to four times of what is allowed.
      if (codec > 0) yield compressed(zeros, codec);
    }
  },
  repair(input: Buffer, dice: Dice): Buffer {
    const batch = Buffer.from(input);
    if (batch.length >= HEADER_BYTES && dice.oneIn(2)) {
      // As a producer that knows what is checked: header fields right, records not.
      batch.writeUInt16BE(batch.readUInt16BE(21) & 7, 21);
      const count = batch.readInt32BE(57);
      batch.writeInt32BE((count - 1) | 0, 23);
    }
    return sealed(batch);
  },
  run(input) {
    const fault = batchFault(input, PRODUCE_VERSION, LATEST_MS);
    if (fault !== null) {
      // Batches that lie on the disk are read whatever a newer check thinks of them.
      refusable(() => readRecords(input, 0, OPENED_MAX), mayRefuse);
      return;
    }
    batchFields(input);
    const records = refusable(() => readRecords(input, 0, OPENED_MAX), mayRefuse);
    if (records === null) return;
    checkOffsets(input, records);
    for (const serverPacked of [true, false]) checkRoundTrip(records, serverPacked);
  },
};
