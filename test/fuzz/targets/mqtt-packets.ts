/**
 * MQTT 3.1, 3.1.1 and 5: a stream of packets, in any chunks. The first byte of the input says the
 * version that packets are read in until a CONNECT says another.
 */
import assert from 'node:assert/strict';
import { ProtocolError } from '#kit';
import { bytesOf, decodeFrame, FIXTURES } from '../../../src/protocols/mqtt/codec/codec.fixture.ts';
import {
  type AckPacket,
  AUTH,
  CONNECT,
  type ConnectPacket,
  checkHeader,
  DISCONNECT,
  decodePublish,
  encodeAck,
  encodeAuth,
  encodeConnect,
  encodeDisconnect,
  encodePublishFilled,
  encodeSubscribe,
  encodeUnsubscribe,
  Framer,
  fillProperties,
  PacketReader,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PublishPacket,
  propertyScratch,
  SUBSCRIBE,
  UNSUBSCRIBE,
  type Version,
} from '../../../src/protocols/mqtt/codec/index.ts';
import { sameForAllCuts, type Target } from '../target.ts';
import { goldenHex } from './golden.ts';

const PACKET_BYTES_MAX = 1 << 20;
const VERSIONS: readonly Version[] = [3, 4, 5];
const WORDS = ['MQTT', 'MQIsdp', 'a/b', '+/#', '$share/g/t', '/', '\u0000', '\ufeff', '\ud7ff'];
const CODES = [
  [0x10, 0x00],
  [0x82, 0x05],
  [0xc0, 0x00],
  [0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x00],
  [0x26, 0, 1, 0x61, 0, 1, 0x62],
  [0x23, 0, 1],
  [0xed, 0xa0, 0x80],
];

interface Read {
  readonly packets: unknown[];
  readonly fault: string | null;
}

function read(chunks: readonly Buffer[], first: Version): Read {
  const framer = new Framer();
  const reader = new PacketReader();
  const packets: unknown[] = [];
  let version = first;
  try {
    for (const chunk of chunks) {
      framer.push(chunk);
      while (framer.next(reader, PACKET_BYTES_MAX)) {
        checkHeader(reader, version);
        const packet = decodeFrame(reader, version);
        if (reader.type === CONNECT) version = (packet as ConnectPacket).version;
        // Views on the chunk are kept, as the room does.
        packets.push([reader.header, version, packet]);
        checkRoundTrip(reader, version, packet);
        framer.consume();
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.equal(typeof error.wireCode, 'number', 'a fault has its reason code');
    return { packets, fault: `${error.field} ${error.wireCode}` };
  }
  return { packets, fault: null };
}

/** What was read, written and read again, is the same. */
function checkRoundTrip(reader: PacketReader, version: Version, packet: unknown): void {
  const bytes = encoded(reader, version, packet);
  if (bytes === null) return;
  const framer = new Framer();
  const again = new PacketReader();
  framer.push(bytes);
  assert.ok(framer.next(again, 2 * PACKET_BYTES_MAX), 'a written packet is whole');
  checkHeader(again, version);
  assert.deepStrictEqual(normal(decodeFrame(again, version)), normal(packet));
}

/** An empty list of properties and none at all are written alike. */
function normal(packet: unknown): unknown {
  return { ...(packet as object) };
}

function encoded(reader: PacketReader, version: Version, packet: unknown): Buffer | null {
  const { type } = reader;
  if (type === CONNECT) return encodeConnect(packet as ConnectPacket);
  if (type === PUBLISH) return encodedPublish(reader, version);
  if (type === SUBSCRIBE) return encodeSubscribe(packet as never, version);
  if (type === UNSUBSCRIBE) return encodeUnsubscribe(packet as never, version);
  if (type >= PUBACK && type <= PUBCOMP) return encodeAck(type, packet as AckPacket, version);
  if (type === DISCONNECT) return encodeDisconnect(packet as never, version);
  return type === AUTH ? encodeAuth(packet as never) : null;
}

function encodedPublish(reader: PacketReader, version: Version): Buffer | null {
  const again = new PacketReader();
  Object.assign(again, reader, { at: reader.start });
  const packet = new PublishPacket();
  decodePublish(again, version, packet);
  const topic = packet.topic.toString();
  // Whether the topic is text is asked by who resolves it.
  if (Buffer.byteLength(topic) !== packet.topic.length) return null;
  propertyScratch.reset();
  if (version === 5) fillProperties(propertyScratch, packet.properties);
  const { payload, qos, retain, dup, packetId } = packet;
  const { head, payload: rest } = encodePublishFilled(
    { topic, payload, qos, retain, dup, packetId },
    version,
  );
  return Buffer.concat([head, rest]);
}

export const mqttPackets: Target = {
  name: 'mqtt-packets',
  words: [...WORDS.map((word) => Buffer.from(word)), ...CODES.map((code) => Buffer.from(code))],
  *seeds() {
    for (const bytes of goldenHex('mqtt')) yield Buffer.concat([Buffer.of(0), bytes]);
    for (const fixture of FIXTURES) {
      yield Buffer.concat([Buffer.of(VERSIONS.indexOf(fixture.version)), bytesOf(fixture)]);
    }
  },
  run(input) {
    const version = VERSIONS[(input[0] ?? 0) % VERSIONS.length]!;
    sameForAllCuts(input.subarray(1), (chunks) => read(chunks, version));
  },
};
