/** Packets of allowed size made of as many smallest parts as fit: refused before they cost much. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BrokerError, ProtocolError } from '#kit';
import { BatchBuilder, readRecords } from '../../src/broker/records/record-batch.ts';
import { apiByKey } from '../../src/protocols/kafka/codec.ts';
import { Reader } from '../../src/protocols/kafka/reader.ts';
import { decodeAll } from '../../src/protocols/mqtt/codec/codec.fixture.ts';

const QUOTA_EXCEEDED = 0x97;
const PACKET_BYTES_MAX = 16 << 20;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Buffer.from([...bytes, value]);
}

function packet(header: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(header), varint(body.length), body]);
}

describe('a packet of very many parts', () => {
  it('of MQTT 5 with a million user properties exceeds a quota R38 R39', () => {
    const properties = Buffer.alloc(5 << 20, Buffer.from([0x26, 0, 0, 0, 0]));
    const body = [Buffer.from([0, 1, 0x61]), varint(properties.length), properties];
    const bytes = packet(0x30, Buffer.concat(body));
    assert.throws(
      () => decodeAll([bytes], 5, PACKET_BYTES_MAX),
      (error) => error instanceof ProtocolError && error.wireCode === QUOTA_EXCEEDED,
    );
  });

  it('of MQTT with a million topic filters exceeds a quota R38 R39', () => {
    const filters = Buffer.alloc(4 << 20, Buffer.from([0, 1, 0x61, 0]));
    const bytes = packet(0x82, Buffer.concat([Buffer.of(0, 1), filters]));
    assert.throws(
      () => decodeAll([bytes], 4, PACKET_BYTES_MAX),
      (error) => error instanceof ProtocolError && error.wireCode === QUOTA_EXCEEDED,
    );
  });

  it('of Kafka with millions of elements is malformed K8 R38 R39', () => {
    const count = 5_000_000;
    const body = Buffer.concat([varint(count + 1), Buffer.alloc(2 * count, Buffer.from([1, 0]))]);
    const reader = new Reader(Buffer.concat([body, Buffer.alloc(4)]));
    assert.throws(() => apiByKey(3)!.readRequest(reader, 9), ProtocolError);
  });

  it('of a record batch with a million records is not opened R38 R39', () => {
    const batch = new BatchBuilder(0).finish();
    batch.writeInt32BE(1_000_000, 57);
    assert.throws(
      () => readRecords(batch, 0, 64 << 20),
      (error) => error instanceof BrokerError && error.code === 'message-too-large',
    );
  });
});
