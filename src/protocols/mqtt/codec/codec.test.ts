import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '#kit';
import {
  type AckPacket,
  AUTH,
  CONNACK,
  CONNECT,
  type ConnectPacket,
  checkFromClient,
  checkHeader,
  DISCONNECT,
  decodeAck,
  decodeAuth,
  decodeCodes,
  decodeConnack,
  decodeConnect,
  decodeDisconnect,
  decodePublish,
  decodeSubscribe,
  decodeUnsubscribe,
  encodeAck,
  encodeAuth,
  encodeConnack,
  encodeConnect,
  encodeDisconnect,
  encodePublishFilled,
  encodeSuback,
  encodeSubscribe,
  encodeUnsuback,
  encodeUnsubscribe,
  Framer,
  fillProperties,
  NO_PROPERTIES,
  PACKET_TYPES,
  PacketReader,
  PINGREQ,
  PINGREQ_BYTES,
  PINGRESP,
  PROPERTY_ROWS,
  type Properties,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  PublishPacket,
  propertyScratch,
  REASON,
  readProperties,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
  type Version,
  WILL,
  writeProperties,
} from './index.ts';
import { PacketWriter } from './writer.ts';

interface Fixture {
  readonly name: string;
  readonly version: Version;
  readonly hex: string;
  /** The packet as an object, and its bytes from that object. */
  readonly value: unknown;
  readonly encode: () => Buffer;
}

const hello: ConnectPacket = {
  version: 4,
  bridge: false,
  clean: true,
  keepAliveSec: 60,
  clientId: 'c1',
  properties: NO_PROPERTIES,
  will: null,
  user: null,
  password: null,
};

const will: ConnectPacket = {
  ...hello,
  version: 5,
  properties: { sessionExpirySec: 10, receiveMaximum: 20 },
  will: {
    topic: 'w',
    payload: Buffer.from('bye'),
    qos: 1,
    retain: true,
    properties: {
      willDelaySec: 5,
      userProperties: [
        ['a', 'b'],
        ['a', 'c'],
      ],
    },
  },
  user: 'u',
  password: Buffer.from('p'),
};

const ack: AckPacket = { packetId: 0x1234, reason: 0, properties: NO_PROPERTIES };
const options = { noLocal: true, retainAsPublished: true, retainHandling: 2 } as const;
const subscribe5 = {
  packetId: 10,
  properties: { subscriptionIds: [268_435_455] },
  filters: [{ filter: 'a/#', qos: 1, ...options } as const],
};
const plain = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
const subscribe4 = {
  packetId: 10,
  properties: NO_PROPERTIES,
  filters: [{ filter: 'a', qos: 0, ...plain } as const, { filter: '+', qos: 2, ...plain } as const],
};

function publishOf(
  version: Version,
  qos: 0 | 1 | 2,
  payload: Buffer,
  properties: Properties = NO_PROPERTIES,
): Buffer {
  propertyScratch.reset();
  if (version === 5) fillProperties(propertyScratch, properties);
  const fields = { topic: 'a/b', payload, qos, retain: true, dup: false, packetId: 7 };
  const { head, payload: rest } = encodePublishFilled(fields, version);
  return Buffer.concat([head, rest]);
}

const published = (qos: number, properties: Properties): object => ({
  ...{ topic: 'a/b', payload: 'hi', qos, retain: true, dup: false },
  packetId: qos === 0 ? 0 : 7,
  properties,
});

const FIXTURES: readonly Fixture[] = [
  {
    name: 'CONNECT 3.1',
    version: 3,
    hex: '10 10 0006 4d5149736470 03 02 003c 0002 6331',
    value: { ...hello, version: 3 },
    encode: () => encodeConnect({ ...hello, version: 3 }),
  },
  {
    name: 'CONNECT 3.1.1',
    version: 4,
    hex: '10 0e 0004 4d515454 04 02 003c 0002 6331',
    value: hello,
    encode: () => encodeConnect(hello),
  },
  {
    name: 'CONNECT 3.1.1 of a bridge',
    version: 4,
    hex: '10 0e 0004 4d515454 84 02 003c 0002 6331',
    value: { ...hello, bridge: true },
    encode: () => encodeConnect({ ...hello, bridge: true }),
  },
  {
    name: 'CONNECT 5 with everything',
    version: 5,
    hex:
      '10 39 0004 4d515454 05 ee 003c 08 11 0000000a 21 0014 0002 6331 ' +
      '13 18 00000005 26 0001 61 0001 62 26 0001 61 0001 63 0001 77 0003 627965 0001 75 0001 70',
    value: will,
    encode: () => encodeConnect(will),
  },
  {
    name: 'CONNACK 3.1.1',
    version: 4,
    hex: '20 02 01 00',
    value: { sessionPresent: true, reason: 0, properties: NO_PROPERTIES },
    encode: () => encodeConnack({ sessionPresent: true, reason: 0, properties: NO_PROPERTIES }, 4),
  },
  {
    name: 'CONNACK 5',
    version: 5,
    hex: '20 06 00 87 03 22 0040',
    value: { sessionPresent: false, reason: 0x87, properties: { topicAliasMaximum: 64 } },
    encode: () =>
      encodeConnack(
        { sessionPresent: true, reason: 0x87, properties: { topicAliasMaximum: 64 } },
        5,
      ),
  },
  {
    name: 'PUBLISH QoS 0 of 3.1.1',
    version: 4,
    hex: '31 07 0003 612f62 6869',
    value: published(0, NO_PROPERTIES),
    encode: () => publishOf(4, 0, Buffer.from('hi')),
  },
  {
    name: 'PUBLISH QoS 1 of 5 without properties [MQTT-2.2.2-1] M8',
    version: 5,
    hex: '33 0a 0003 612f62 0007 00 6869',
    value: published(1, NO_PROPERTIES),
    encode: () => publishOf(5, 1, Buffer.from('hi')),
  },
  {
    name: 'PUBLISH QoS 2 of 5 with properties',
    version: 5,
    hex: '35 19 0003 612f62 0007 0f 02 0000003c 0b 01 0b ffffff7f 23 0005 6869',
    value: published(2, {
      messageExpirySec: 60,
      subscriptionIds: [1, 268_435_455],
      topicAlias: 5,
    }),
    encode: () =>
      publishOf(5, 2, Buffer.from('hi'), {
        messageExpirySec: 60,
        subscriptionIds: [1, 268_435_455],
        topicAlias: 5,
      }),
  },
  ...(
    [
      [PUBACK, '40'],
      [PUBREC, '50'],
      [PUBREL, '62'],
      [PUBCOMP, '70'],
    ] as const
  ).map(
    ([type, first]): Fixture => ({
      name: `${PACKET_TYPES[type]!.name}`,
      version: 5,
      hex: `${first} 02 1234`,
      value: ack,
      encode: () => encodeAck(type, ack, 5),
    }),
  ),
  {
    name: 'PUBACK with a reason',
    version: 5,
    hex: '40 03 1234 87',
    value: { ...ack, reason: 0x87 },
    encode: () => encodeAck(PUBACK, { ...ack, reason: 0x87 }, 5),
  },
  {
    name: 'SUBSCRIBE 3.1.1',
    version: 4,
    hex: '82 0a 000a 0001 61 00 0001 2b 02',
    value: subscribe4,
    encode: () => encodeSubscribe(subscribe4, 4),
  },
  {
    name: 'SUBSCRIBE 5',
    version: 5,
    hex: '82 0e 000a 05 0b ffffff7f 0003 612f23 2d',
    value: subscribe5,
    encode: () => encodeSubscribe(subscribe5, 5),
  },
  {
    name: 'SUBACK 5',
    version: 5,
    hex: '90 05 000a 00 01 8f',
    value: { packetId: 10, properties: NO_PROPERTIES, codes: [1, 0x8f] },
    encode: () => encodeSuback({ packetId: 10, properties: NO_PROPERTIES, codes: [1, 0x8f] }, 5),
  },
  {
    name: 'UNSUBSCRIBE 3.1.1',
    version: 4,
    hex: 'a2 05 000a 0001 61',
    value: { packetId: 10, properties: NO_PROPERTIES, filters: ['a'] },
    encode: () => encodeUnsubscribe({ packetId: 10, properties: NO_PROPERTIES, filters: ['a'] }, 4),
  },
  {
    name: 'UNSUBACK 5',
    version: 5,
    hex: 'b0 04 000a 00 11',
    value: { packetId: 10, properties: NO_PROPERTIES, codes: [0x11] },
    encode: () => encodeUnsuback({ packetId: 10, properties: NO_PROPERTIES, codes: [0x11] }, 5),
  },
  {
    name: 'UNSUBACK 3.1.1 has no codes',
    version: 4,
    hex: 'b0 02 000a',
    value: { packetId: 10, properties: NO_PROPERTIES, codes: [] },
    encode: () => encodeUnsuback({ packetId: 10, properties: NO_PROPERTIES, codes: [0] }, 4),
  },
  {
    name: 'PINGREQ',
    version: 4,
    hex: 'c0 00',
    value: {},
    encode: () => PINGREQ_BYTES,
  },
  {
    name: 'DISCONNECT',
    version: 5,
    hex: 'e0 07 04 05 11 00000000',
    value: { reason: 4, properties: { sessionExpirySec: 0 } },
    encode: () => encodeDisconnect({ reason: 4, properties: { sessionExpirySec: 0 } }, 5),
  },
  {
    name: 'AUTH',
    version: 5,
    hex: 'f0 06 18 04 15 0001 78',
    value: { reason: 0x18, properties: { authenticationMethod: 'x' } },
    encode: () => encodeAuth({ reason: 0x18, properties: { authenticationMethod: 'x' } }),
  },
];

const bytesOf = (fixture: Fixture): Buffer => Buffer.from(fixture.hex.replaceAll(' ', ''), 'hex');

function decodeFrame(reader: PacketReader, version: Version): unknown {
  switch (reader.type) {
    case CONNECT:
      return decodeConnect(reader);
    case CONNACK:
      return decodeConnack(reader, version);
    case PUBLISH: {
      const packet = new PublishPacket();
      decodePublish(reader, version, packet);
      const { qos, retain, dup, packetId, properties } = packet;
      const [topic, payload] = [packet.topic.toString(), packet.payload.toString()];
      return { topic, payload, qos, retain, dup, packetId, properties };
    }
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
      return decodeAck(reader, version);
    case SUBSCRIBE:
      return decodeSubscribe(reader, version);
    case UNSUBSCRIBE:
      return decodeUnsubscribe(reader, version);
    case SUBACK:
    case UNSUBACK:
      return decodeCodes(reader, version);
    case DISCONNECT:
      return decodeDisconnect(reader, version);
    case AUTH:
      return decodeAuth(reader);
    case PINGREQ:
    case PINGRESP:
      reader.finish();
      return {};
    default:
      throw new ProtocolError('packet type', 0, 'unknown', REASON.malformedPacket);
  }
}

function decodeAll(
  chunks: readonly Buffer[],
  version: Version,
  packetBytesMax = 1 << 20,
): unknown[] {
  const framer = new Framer();
  const reader = new PacketReader();
  const packets: unknown[] = [];
  for (const chunk of chunks) {
    framer.push(chunk);
    while (framer.next(reader, packetBytesMax)) {
      packets.push(decodeFrame(reader, version));
      framer.consume();
    }
  }
  return packets;
}

function reasonOfDecoding(hex: string, version: Version = 5): number | undefined {
  try {
    decodeAll([Buffer.from(hex.replaceAll(' ', ''), 'hex')], version);
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    return error.wireCode;
  }
  return 0;
}

for (const fixture of FIXTURES) {
  test(`${fixture.name}: bytes and object are each other's form M10`, () => {
    assert.deepEqual(decodeAll([bytesOf(fixture)], fixture.version), [fixture.value]);
    assert.equal(fixture.encode().toString('hex'), bytesOf(fixture).toString('hex'));
  });

  test(`${fixture.name}: every split point gives the same packet M7`, () => {
    const bytes = bytesOf(fixture);
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      assert.deepEqual(
        decodeAll(chunks.slice(0, 1), fixture.version).length,
        at < bytes.length ? 0 : 1,
      );
      assert.deepEqual(decodeAll(chunks, fixture.version), [fixture.value]);
    }
    const single = [...bytes].map((byte) => Buffer.of(byte));
    assert.deepEqual(decodeAll(single, fixture.version), [fixture.value]);
  });

  test(`${fixture.name}: every truncation and one-byte corruption ends in a value or a ProtocolError`, () => {
    const bytes = bytesOf(fixture);
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xc0, 0xed, 0xff, bytes[at]! ^ 1]) {
        const corrupt = Buffer.from(bytes);
        corrupt[at] = value;
        survives(corrupt, fixture.version);
      }
      const cut = Buffer.from(bytes.subarray(0, at));
      if (cut.length > 1) cut[1] = Math.max(0, cut.length - 2);
      survives(cut, fixture.version);
    }
  });
}

function survives(bytes: Buffer, version: Version): void {
  try {
    decodeAll([bytes], version);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.equal(typeof error.wireCode, 'number');
  }
}

test('all packets in one chunk that starts inside a larger buffer decode alike M7', () => {
  for (const version of [4, 5] as const) {
    const own = FIXTURES.filter((fixture) => fixture.version === version);
    const all = Buffer.concat(own.map(bytesOf));
    const holder = Buffer.alloc(all.length + 64, 0xee);
    all.copy(holder, 13);
    const chunk = holder.subarray(13, 13 + all.length);
    const values = own.map((fixture) => fixture.value);
    assert.deepEqual(decodeAll([chunk], version), values);
    for (let at = 1; at < all.length; at += 3) {
      const chunks = [chunk.subarray(0, at), chunk.subarray(at)];
      assert.deepEqual(decodeAll(chunks, version), values);
    }
  }
});

test('any bytes in any chunks end in packets or a ProtocolError', () => {
  const anyChunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
  const versions = fc.constantFrom<Version>(3, 4, 5);
  const property = fc.property(anyChunks, versions, (chunks, version) => {
    try {
      decodeAll(
        chunks.map((chunk) => Buffer.from(chunk)),
        version,
      );
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  });
  fc.assert(property, { seed: 20_260_101, numRuns: 3000 });
});

test('any mutation of valid packets ends in packets or a ProtocolError', () => {
  const mutation = fc.record({
    fixture: fc.constantFrom(...FIXTURES),
    at: fc.nat(60),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 3 }),
  });
  const property = fc.property(mutation, ({ fixture, at, bytes }) => {
    const mutated = Buffer.from(bytesOf(fixture));
    mutated.set(bytes.subarray(0, Math.max(0, mutated.length - at)), Math.min(at, mutated.length));
    survives(mutated, fixture.version);
  });
  fc.assert(property, { seed: 20_260_102, numRuns: 3000 });
});

test('remaining lengths up to 268435455; a fifth length byte is malformed [MQTT-1.5.5-1] M4', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('30ffffff7f', 'hex'));
  assert.equal(framer.next(reader, 1 << 29), false);
  assert.equal(reasonOfDecoding('30 ffffffff 01'), 0x81);
  assert.equal(reasonOfDecoding('82 0f 000a 06 0b ffffffff7f 0003 612f23 2d'), 0x81);
});

test('a longer form than needed is malformed in 5.0 and accepted in 3.x M4', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('c08000', 'hex'));
  assert.equal(framer.next(reader, 100), true);
  checkHeader(reader, 4);
  assert.throws(() => checkHeader(reader, 5), { wireCode: 0x81 });
  assert.equal(reasonOfDecoding('82 0a 000a 03 0b 8100 0001 61 00'), 0x81);
});

test('a frame over the limit is refused before its body comes M15', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('308008', 'hex'));
  assert.throws(() => framer.next(reader, 1026), { wireCode: 0x95 });
  assert.equal(framer.next(reader, 1027), false);
});

test('announcing a large packet takes no memory before it comes', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('30ffffff07', 'hex'));
  assert.equal(framer.next(reader, 1 << 28), false);
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 0; count < 100; count++) framer.push(Buffer.of(1));
  assert.ok(process.memoryUsage().arrayBuffers - before < 100_000);
});

test('a packet of one byte per chunk is put together once, and what was read before stays intact', () => {
  const payload = Buffer.alloc(70_000, 1).map((_, index) => index % 251);
  const bytes = publishOf(4, 0, Buffer.from(payload));
  const framer = new Framer();
  const reader = new PacketReader();
  const packet = new PublishPacket();
  const seen: Buffer[] = [];
  for (const part of [bytes, bytes]) {
    for (let at = 0; at < part.length; at += 7) {
      framer.push(part.subarray(at, at + 7));
      while (framer.next(reader, 1 << 20)) {
        decodePublish(reader, 4, packet);
        seen.push(packet.payload);
        framer.consume();
      }
    }
  }
  assert.equal(seen.length, 2);
  for (const each of seen) assert.ok(each.equals(Buffer.from(payload)));
});

test('reserved flags are malformed, in every packet type [MQTT-2.1.3-1] M5 M6', () => {
  for (let header = 0; header < 256; header++) {
    const reader = new PacketReader();
    reader.header = header;
    const row = PACKET_TYPES[header >> 4];
    const legal = row?.flags === null || (row !== undefined && row.flags === (header & 15));
    for (const version of [4, 5] as const) {
      if (legal && row!.fromClient && row!.since <= version) checkHeader(reader, version);
      else assert.throws(() => checkHeader(reader, version), ProtocolError, `${header}`);
    }
  }
});

test('each property is accepted in its packets and refused in all others M9', () => {
  const sample: Readonly<Record<string, string>> = {
    flag: '01',
    u16: '0001',
    u32: '00000001',
    varint: '01',
    text: '000161',
    binary: '000161',
    pair: '000161000162',
  };
  const allowed: Readonly<Record<number, readonly number[]>> = {
    1: [0, 3],
    2: [0, 3],
    3: [0, 3],
    8: [0, 3],
    9: [0, 3],
    11: [3, 8],
    17: [1, 2, 14],
    18: [2],
    19: [2],
    21: [1, 2, 15],
    22: [1, 2, 15],
    23: [1],
    24: [0],
    25: [1],
    26: [2],
    28: [2, 14],
    31: [2, 4, 5, 6, 7, 9, 11, 14, 15],
    33: [1, 2],
    34: [1, 2],
    35: [3],
    36: [2],
    37: [2],
    38: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15],
    39: [1, 2],
    40: [2],
    41: [2],
    42: [2],
  };
  assert.equal(PROPERTY_ROWS.length, 27);
  for (const row of PROPERTY_ROWS) {
    const one = row.id.toString(16).padStart(2, '0') + sample[row.type];
    for (let packet = WILL; packet <= AUTH; packet++) {
      const read = (hex: string): Properties => {
        const reader = new PacketReader();
        const size = (hex.length / 2).toString(16).padStart(2, '0');
        reader.bytes = Buffer.from(size + hex, 'hex');
        reader.end = reader.bytes.length;
        return readProperties(reader, packet);
      };
      if (!allowed[row.id]!.includes(packet)) {
        assert.throws(() => read(one), { wireCode: 0x81 }, `${row.title} in ${packet}`);
        continue;
      }
      const value = read(one);
      assert.notEqual(value[row.name], undefined);
      const twice = row.type === 'pair' || (row.name === 'subscriptionIds' && packet === PUBLISH);
      if (twice) assert.equal((read(one + one)[row.name] as unknown[]).length, 2);
      else assert.throws(() => read(one + one), { wireCode: 0x82 });
      const writer = new PacketWriter();
      writeProperties(writer, value);
      assert.equal(writer.bytes.toString('hex', 1, writer.at), one);
    }
  }
});

test('an unknown property is malformed; values out of range are protocol errors M9 M69 M110', () => {
  assert.equal(reasonOfDecoding('30 06 0001 61 02 7f 00'), 0x81);
  assert.equal(reasonOfDecoding('30 06 0001 61 02 01 02'), 0x82);
  assert.equal(reasonOfDecoding('30 07 0001 61 03 23 0000'), 0x94);
  assert.equal(reasonOfDecoding('82 09 000a 02 0b 00 0001 61 00'), 0x82);
  assert.equal(reasonOfDecoding('10 12 0004 4d515454 05 02 003c 03 21 0000 0002 6331'), 0x82);
  assert.equal(reasonOfDecoding('10 14 0004 4d515454 05 02 003c 05 27 00000000 0002 6331'), 0x82);
});

test('ill-formed UTF-8, surrogates and U+0000 are malformed; U+FEFF stays [MQTT-1.5.4-1..3] M1 M2 M3', () => {
  const subscribe = (text: string): string => {
    const size = (n: number, digits: number): string => n.toString(16).padStart(digits, '0');
    const bytes = text.length / 2;
    return `82${size(bytes + 6, 2)}000a00${size(bytes, 4)}${text}00`;
  };
  const bad = ['ff', 'c080', 'eda080', 'edbfbf', 'f4908080', 'e282', '6100', '80'];
  for (const text of bad) assert.equal(reasonOfDecoding(subscribe(text)), 0x81, text);
  const [packet] = decodeAll([Buffer.from(subscribe('efbbbf61'), 'hex')], 5) as [
    { filters: { filter: string }[] },
  ];
  assert.equal(packet.filters[0]!.filter, '\ufeffa');
});

test('packet identifier 0 is a protocol error; QoS 0 has none [MQTT-2.2.1-2] [MQTT-2.2.1-3] M11', () => {
  assert.equal(reasonOfDecoding('32 06 0001 61 0000 00'), 0x82);
  assert.equal(reasonOfDecoding('82 07 0000 00 0001 61 00'), 0x82);
  assert.equal(reasonOfDecoding('a2 06 0000 00 0001 61'), 0x82);
  assert.equal(reasonOfDecoding('40 02 0000'), 0x82);
});

test('QoS 3 is malformed in PUBLISH, SUBSCRIBE and the will [MQTT-3.3.1-4] M32 M60 M102', () => {
  assert.equal(reasonOfDecoding('36 06 0001 61 0001 00'), 0x81);
  assert.equal(reasonOfDecoding('82 07 000a 00 0001 61 03'), 0x81);
  assert.equal(reasonOfDecoding('82 07 000a 00 0001 61 30'), 0x81);
  assert.equal(reasonOfDecoding('82 07 000a 00 0001 61 40'), 0x81);
  assert.equal(reasonOfDecoding('82 06 000a 0001 61 04', 4), 0x81);
  assert.equal(
    reasonOfDecoding('10 16 0004 4d515454 04 1e 003c 0002 6331 0001 77 0003 627965'),
    0x81,
  );
});

test('CONNECT flags that contradict each other are malformed [MQTT-3.1.2-3] [MQTT-3.1.2-11] M26 M32 M39', () => {
  const connect = (flags: string, level = '04'): string =>
    level === '05'
      ? `10 0f 0004 4d515454 05 ${flags} 003c 00 0002 6331`
      : `10 0e 0004 4d515454 ${level} ${flags} 003c 0002 6331`;
  for (const flags of ['03', '22', '0a', '12', '1a', '42']) {
    assert.equal(reasonOfDecoding(connect(flags)), 0x81, flags);
  }
  assert.equal(reasonOfDecoding(connect('42', '05')), 0x81); // the password itself is missing
  assert.equal(reasonOfDecoding('10 12 0004 4d515454 05 42 003c 00 0002 6331 0001 70'), 0);
});

test('other protocol names and levels get 0x84 [MQTT-3.1.2-1] [MQTT-3.1.2-2] M23', () => {
  assert.equal(reasonOfDecoding('10 0e 0004 4d515454 06 02 003c 0002 6331'), 0x84);
  assert.equal(reasonOfDecoding('10 0e 0004 4d515454 03 02 003c 0002 6331'), 0x84);
  assert.equal(reasonOfDecoding('10 0e 0004 6d717474 04 02 003c 0002 6331'), 0x84);
  assert.equal(reasonOfDecoding('10 0e 0004 4d515454 85 02 003c 0002 6331'), 0x84);
});

test('SUBSCRIBE and UNSUBSCRIBE need a filter, of at least one character M100 M101', () => {
  assert.equal(reasonOfDecoding('82 03 000a 00'), 0x82);
  assert.equal(reasonOfDecoding('a2 03 000a 00'), 0x82);
  assert.equal(reasonOfDecoding('82 06 000a 00 0000 00'), 0x82);
  assert.equal(reasonOfDecoding('82 02 000a', 4), 0x82);
});

test('a subscription identifier in a message of a client is a protocol error [MQTT-3.3.4-6] M86', () => {
  const packet = new PublishPacket();
  packet.properties = { subscriptionIds: [1] };
  assert.throws(() => checkFromClient(packet), { wireCode: 0x82 });
});

test('reason codes that a packet does not know are malformed [MQTT-3.15.2-1] M144', () => {
  assert.equal(reasonOfDecoding('40 03 0001 01'), 0x81);
  assert.equal(reasonOfDecoding('62 03 0001 80'), 0x81);
  assert.equal(reasonOfDecoding('f0 01 01'), 0x81);
  assert.equal(reasonOfDecoding('e0 01 8e'), 0x81);
});

test('bytes behind the last field are malformed', () => {
  assert.equal(reasonOfDecoding('40 03 0001 00', 4), 0x81);
  assert.equal(reasonOfDecoding('10 0f 0004 4d515454 04 02 003c 0002 6331 00'), 0x81);
  assert.equal(reasonOfDecoding('e0 01 00', 4), 0x81);
});

test('an error of a decoder names the field and the byte', () => {
  assert.throws(() => decodeAll([Buffer.from('8207000a000001ff00', 'hex')], 5), {
    field: 'topic filter',
    code: 'malformed',
  });
});
