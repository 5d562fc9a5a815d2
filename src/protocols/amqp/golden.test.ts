import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FRAME, FrameReader } from './frame-reader.ts';
import { BASIC, readMethod, readMethodId, writeMethod } from './methods.ts';
import { isProtocolHeader, PROTOCOL_HEADER } from './negotiation.ts';
import { Output } from './output.ts';
import { type Properties, parseProperties, propertyBytes } from './properties.ts';
import { WireReader } from './wire-reader.ts';

/** What a real client sent in one session, as it was captured. */
function session(file: string): { names: string[]; properties: Properties[] } {
  const bytes = readFileSync(new URL(`../../../test/golden/amqp/${file}`, import.meta.url));
  assert.ok(isProtocolHeader(bytes.subarray(0, PROTOCOL_HEADER.length)));
  const names: string[] = [];
  const properties: Properties[] = [];
  const chunks: Buffer[] = [PROTOCOL_HEADER];
  const output = new Output((chunk) => chunks.push(chunk));
  const reader = new FrameReader(131_072, (type, channel, buffer, at, end) => {
    if (type === FRAME.method) {
      const wire = new WireReader().over(buffer, at, end);
      const { name, fields } = readMethod(wire, readMethodId(wire));
      names.push(name);
      writeMethod(output, channel, name, fields);
    } else if (type === FRAME.header) {
      const read = parseProperties(buffer.subarray(at + 12, end));
      properties.push(read);
      output.beginFrame(FRAME.header, channel);
      output.short(BASIC);
      output.short(0);
      output.longlong(buffer.readUInt32BE(at + 8));
      output.bytes(propertyBytes(read));
      output.endFrame();
    } else {
      output.frame(type, channel, buffer, at, end);
    }
  });
  reader.push(bytes.subarray(PROTOCOL_HEADER.length));
  assert.equal(reader.waitingBytes, 0);
  output.flush();
  assert.deepEqual(Buffer.concat(chunks), bytes, 'written again it is the same, byte by byte');
  return { names, properties };
}

const OPENING = [
  'connection.start-ok',
  'connection.tune-ok',
  'connection.open',
  'channel.open',
  'confirm.select',
];

test('a session of pika 1.4.4 is read and written again byte by byte A2 A3 A29', () => {
  const { names, properties } = session('pika-1.4.4-session.bin');
  assert.deepEqual(names, [
    ...OPENING,
    'exchange.declare',
    'queue.declare',
    'queue.bind',
    'basic.publish',
    'basic.get',
    'basic.ack',
    'queue.delete',
    'exchange.delete',
    'channel.close',
    'connection.close',
  ]);
  const types = properties[0]!.headers!.map(({ name, type }) => `${name}:${type}`);
  assert.deepEqual(types, [
    'text:S',
    'int:I',
    'big:l',
    'neg:I',
    'flag:t',
    'none:V',
    'list:A',
    'table:F',
  ]);
});

test('a session of amqplib 2.3.1 is read and written again byte by byte A2 A3 A29', () => {
  const { names, properties } = session('amqplib-2.3.1-session.bin');
  assert.deepEqual(names, [
    ...OPENING,
    'queue.declare',
    'basic.publish',
    'basic.get',
    'basic.nack',
    'basic.qos',
    'queue.delete',
    'channel.close',
    'connection.close',
  ]);
  assert.equal(properties[0]!.deliveryMode, 2);
  assert.equal(properties[0]!.timestamp, 1_700_000_000);
});
